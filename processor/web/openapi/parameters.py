"""The parameters of paths, queries and headers, by the names that the table of operations uses."""

from typing import Any, NamedTuple

from processor.config.checks import NAME
from processor.event_types import FILTER_NAMES
from processor.model import State
from processor.provider.job_ids import LONGEST_ID
from processor.service.delivery.history import STATES
from processor.web.groups import MODES
from processor.web.jobs import MAX_WAIT
from processor.web.query_params import LIMIT, MAX_LIMIT

JOB_ID = (
    "The job's id, or an alias: **one percent-encoded segment**, so `a%2Fb` is the id `a/b`. "
    f"At most {LONGEST_ID} bytes, no control characters, not `.` or `..`"
)

GROUP_ID = "The group's id: one percent-encoded segment, like a job's"


class Parameter(NamedTuple):
    """One parameter; those of a path are required."""

    name: str
    location: str
    description: str
    schema: dict[str, Any]
    required: bool = False


def _query(name: str, description: str, **schema: Any) -> Parameter:
    return Parameter(name, "query", description, {"type": "string", **schema})


def _several(name: str, description: str) -> Parameter:
    return Parameter(name, "query", description, {"type": "array", "items": {"type": "string"}})


def _path(name: str, description: str, **schema: Any) -> Parameter:
    return Parameter(name, "path", description, {"type": "string", **schema}, required=True)


def _header(name: str, description: str, *, required: bool = False, **schema: Any) -> Parameter:
    return Parameter(name, "header", description, {"type": "string", **schema}, required=required)


_ID = r"^(?!\.{1,2}$)[^\u0000-\u001f\u007f-\u009f]+$"
_BASE64 = "^[A-Za-z0-9_-]+={0,2}$"  # opaque: only what this server returned is valid
_LIMIT = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}
_WAIT = {"type": "number", "minimum": 0, "maximum": MAX_WAIT, "default": 0}

PARAMETERS = {
    "source": _path("source", "A source of the configuration", pattern=f"^{NAME.pattern}$"),
    "job": _path("id", JOB_ID, minLength=1, maxLength=LONGEST_ID, pattern=_ID),
    "group": _path("group", GROUP_ID, minLength=1, maxLength=LONGEST_ID, pattern=_ID),
    "delivery": _path("id", "The delivery's id, as `/v1/deliveries` shows it", minLength=1),
    "callback": _path("callback", "The callback's id, as the job's list shows it", minLength=1),
    "subscription": _path("id", "The subscription's id", minLength=1),
    "mirrored": _path(
        "path",
        "The provider's own path, its slashes as they are, and with its own query: "
        "`mirror` in `/v1/sources` shows them",
    ),
    "cache_control": _header(
        "Cache-Control",
        "`no-cache`, or `max-age=SECONDS`: an older answer is refreshed by a poll first. Ignored "
        "without a key",
    ),
    "of_source": _query("source", "Only jobs of this source"),
    "in_state": _query("state", "Only jobs in this state", enum=[str(s) for s in State]),
    "with_metadata": _several(
        "metadata",
        "`key:value`, split at the first colon: only jobs whose metadata has this value, as text or "
        "as JSON; all of them, if there are several",
    ),
    "in_group": _query(
        "group", "Only the jobs of this group, in its order; 404 if there is no such group"
    ),
    "limit": Parameter("limit", "query", "Items of a page", _LIMIT | {"default": LIMIT}),
    "limit_of_all": Parameter("limit", "query", "Items of a page; by default all", _LIMIT),
    "cursor": _query("cursor", "`next` of the previous page", pattern=_BASE64),
    "wait": Parameter(
        "wait", "query", "Seconds to wait until the job is finished; 200 both ways", _WAIT
    ),
    "wait_for_group": Parameter(
        "wait", "query", "Seconds to wait until the group has ended; 200 both ways", _WAIT
    ),
    "wait_jobs": _several("job", "Jobs as `source/id`, split at the first slash"),
    "wait_groups": _several("group", "Ids of groups"),
    "mode": _query("mode", "Wait for all of them (default), or for the first", enum=list(MODES)),
    "timeout": Parameter(
        "timeout", "query", "Seconds to wait; 200 both ways", _WAIT | {"default": MAX_WAIT}
    ),
    "prefer": _header("Prefer", "`wait=SECONDS`; the query parameter wins"),
    "target": Parameter(
        "subscription",
        "query",
        "The id of a subscription, or of a job's callback",
        {"type": "string"},
        required=True,
    ),
    "delivered": _query("state", "Only deliveries in this state", enum=list(STATES)),
    "after": _query(
        "after",
        "`next` of the previous page, or the `id:` of an event in the stream",
        pattern=_BASE64,
    ),
    "newest": Parameter(
        "newest",
        "query",
        "The newest events, still the oldest of them first; without `after`",
        {"type": "boolean", "default": False},
    ),
    "event_types": Parameter(
        "type",
        "query",
        "Only events of this type; may be repeated",
        {"type": "array", "items": {"type": "string", "enum": list(FILTER_NAMES)}},
    ),
    "event_source": _query("source", "Only events of this source's jobs, and of groups with one"),
    "event_job": _query("job", "Only events of the job `source/id`, and of groups with it"),
    "last_event_id": _header(
        "Last-Event-ID", "Like `after`, over which it wins; only for streams", pattern=_BASE64
    ),
    "trace": _header(
        "traceparent",
        "W3C Trace Context, version 00: sent with the events that this call causes. Ignored if malformed",
    ),
    "webhook_id": _header(
        "webhook-id",
        "The event's id: the same in every attempt and for every subscriber. Use it to detect repetitions",
        required=True,
    ),
    "webhook_timestamp": _header(
        "webhook-timestamp", "When this attempt was made, in seconds since 1970", required=True
    ),
    "webhook_signature": _header(
        "webhook-signature",
        "`v1,` and the base64 of HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`, once "
        "for each secret that signs, separated by spaces; the key is the decoded base64 after "
        "`whsec_`. Or `v1a,` and the base64 of the Ed25519 signature over the same",
        required=True,
    ),
}


def parameters() -> dict[str, Any]:
    """All parameters, as components."""
    return {
        key: {
            "name": parameter.name,
            "in": parameter.location,
            "description": parameter.description,
            "required": parameter.required,
            "schema": parameter.schema,
        }
        for key, parameter in PARAMETERS.items()
    }
