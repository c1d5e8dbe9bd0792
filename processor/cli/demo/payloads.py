"""What the simulated providers say, and how far each payload is documented.

Documented: Wistia's background job (OpenAPI 2026-03) and its webhook envelope and signature
(docs.wistia.com/docs/webhooks); Bluesky's jobStatus (lexicon app.bsky.video.defs). Ids, times
and progress values are made up, except in the failure, which a Bluesky user reported as shown.
"""

from dataclasses import dataclass
from typing import Any

JSON = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """One job: what is said of it, each at so many seconds from its beginning."""

    source: str
    id: str
    says: tuple[tuple[float, JSON], ...]
    ends: str  # the type of the event that must come
    provenance: str
    asked_at: str | None = None  # the path and query of its polls; None: it is pushed


def _wistia(status: str, **more: object) -> JSON:
    return {
        "background_job_status": {"id": 197424, "hashed_id": "k2j3h4g5f6", "status": status, **more}
    }


def _bluesky(state: str, **more: object) -> JSON:
    job = {
        "jobId": "d9it0jc5ep2c73frhd4g",
        "did": "did:plc:ewvi7nxzyoun6zhxrhs64oiz",
        "state": state,
    }
    return {"jobStatus": job | more}


def _wistia_event(kind: str, uuid: str) -> JSON:
    """Build a webhook; `generated_at` is added when it is sent."""
    media = {
        "id": "l9dqljgtfy",
        "name": "Lenny Eating Peanuts",
        "duration": 71.912,
        "url": "https://dave.wistia.com/medias/l9dqljgtfy",
    }
    event = {
        "uuid": uuid,
        "type": kind,
        "metadata": {"account_id": "8lq25o0p9c"},
        "payload": {"media": media, "project": {"id": "some-hashed-id", "name": "Folder Name"}},
    }
    return {"hook": {"uuid": "bb812395-8d23-4285-9278-9ca014209ae7"}, "events": [event]}


BLOB = {
    "$type": "blob",
    "ref": {"$link": "bafkreiam5ayuqtxeqzzcdmhl2cr5mkm5mdqcdrzrijyb2ibtdrxzb3yy5m"},
    "mimeType": "video/mp4",
    "size": 1_048_576,
}

SCENES = (
    Scene(
        source="wistia",
        id="197424",
        asked_at="/modern/background_job_status/197424",
        says=(
            (0.0, _wistia("queued")),
            (1.0, _wistia("started")),
            (
                3.0,
                _wistia(
                    "finished",
                    object={
                        "type": "bulk_operation",
                        "summary": {"total": 3, "succeeded": 2, "failed": 1},
                        "results": [],
                    },
                ),
            ),
        ),
        ends="job.succeeded",
        provenance="documented shape, made-up values; `object` only in a copy of Wistia's newest API",
    ),
    Scene(
        source="bluesky",
        id="d9it0jc5ep2c73frhd4g",
        asked_at="/xrpc/app.bsky.video.getJobStatus?jobId=d9it0jc5ep2c73frhd4g",
        says=(
            (0.0, _bluesky("JOB_STATE_CREATED")),
            (0.5, _bluesky("JOB_STATE_ENCODING", progress=20)),
            (1.0, _bluesky("JOB_STATE_ENCODING", progress=55)),
            (1.5, _bluesky("JOB_STATE_ENCODING", progress=90)),
            (2.0, _bluesky("JOB_STATE_SCANNING", progress=10)),  # each state counts from 0
            (2.5, _bluesky("JOB_STATE_SCANNING", progress=60)),
            (3.0, _bluesky("JOB_STATE_UPLOADING", progress=35)),
            (3.5, _bluesky("JOB_STATE_UPLOADING", progress=80)),
            (4.0, _bluesky("JOB_STATE_COMPLETED", progress=100, blob=BLOB)),
        ),
        ends="job.succeeded",
        provenance="documented shape and states, made-up values; progress restarts with each state",
    ),
    Scene(
        source="bluesky",
        id="d004n3qbh3us72spkh2g",
        asked_at="/xrpc/app.bsky.video.getJobStatus?jobId=d004n3qbh3us72spkh2g",
        says=(
            (
                0.0,
                {
                    "jobStatus": {
                        "jobId": "d004n3qbh3us72spkh2g",
                        "state": "JOB_STATE_FAILED",
                        "error": "video processing error for job: d004n3qbh3us72spkh2g",
                        "message": "Failed to process video",
                        "did": "did:plc:xxxxxxxxxx",
                    }
                },
            ),
        ),
        ends="job.failed",
        provenance="documented: as reported in bluesky-social/atproto-website #407",
    ),
    Scene(
        source="wistia",
        id="media:l9dqljgtfy",
        says=(
            (0.5, _wistia_event("media.processing", "09e6729eecb3a000")),
            (2.5, _wistia_event("media.ready", "09e6729eecb3a001")),
        ),
        ends="job.succeeded",
        provenance="documented envelope, values and signature; that type and uuid differ is inferred",
    ),
    Scene(
        source="encoder",
        id="job-1",
        says=(
            (0.5, {"id": "job-1", "status": "running", "progress": 0.25}),
            (1.5, {"id": "job-1", "status": "running", "progress": 0.75}),
            (
                2.5,
                {
                    "id": "job-1",
                    "status": "succeeded",
                    "result": {"url": "https://cdn.example/1.mp4"},
                },
            ),
        ),
        ends="job.succeeded",
        provenance="Ringback's own `standard` provider, signed as Standard Webhooks",
    ),
)
