"""What subscribers receive: a POST for each event type, by Standard Webhooks."""

from typing import Any

from processor.event_types import DISABLED, GROUP_COMPLETED, JOB_TYPES, POLL_STALLED

HEADERS = ("webhook_id", "webhook_timestamp", "webhook_signature")

_RESPONSES = {
    "2XX": "Delivered",
    "410": "No more events: the subscription is disabled",
    "default": "Retried, ten attempts over three days; `Retry-After` can delay the next",
}

_EVENT = {"$ref": "#/components/schemas/CloudEvent"}
_CLOUDEVENTS = {  # for subscriptions of these formats
    "application/cloudevents+json": {"schema": _EVENT},
    "application/cloudevents-batch+json": {"schema": {"type": "array", "items": _EVENT}},
}

_SUMMARIES = {
    "job.started": "A job became running, or a re-run of it did",
    "job.progressed": "Its progress, result, counts or status word changed while it runs",
    "job.succeeded": "The provider says it is done; `partial` if parts of it failed",
    "job.failed": "The provider gave up",
    "job.canceled": "It was stopped at the provider",
    "job.expired": "The provider dropped it; or its deadline passed, and a final event may still follow",
    POLL_STALLED: "Five polls of a job failed in a row, or all of them for ten minutes; once until one succeeds",
    GROUP_COMPLETED: "A group of jobs ended; only for subscriptions that name this type",
    DISABLED: "Another subscription was disabled: it answered 410, or only failed for five days",
    "subscription.test": "A test that was requested",
}


def webhooks() -> dict[str, Any]:
    """One for each event type, by its name."""
    jobs = {kind: _webhook(kind, "JobEvent") for kind in JOB_TYPES}
    return jobs | {
        POLL_STALLED: _webhook(POLL_STALLED, "PollStalledEvent"),
        GROUP_COMPLETED: _webhook(GROUP_COMPLETED, "GroupEvent"),
        DISABLED: _webhook(DISABLED, "DisabledEvent"),
        "subscription.test": _webhook("subscription.test", "TestEvent"),
    }


def _webhook(kind: str, shape: str) -> dict[str, Any]:
    schema = {
        "allOf": [
            {"$ref": f"#/components/schemas/{shape}"},
            {"properties": {"type": {"const": kind}}},
        ]
    }
    call = {
        "operationId": kind,
        "summary": _SUMMARIES[kind],
        "security": [],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in HEADERS],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema}} | _CLOUDEVENTS,
        },
        "responses": {status: {"description": text} for status, text in _RESPONSES.items()},
    }
    return {"post": call}
