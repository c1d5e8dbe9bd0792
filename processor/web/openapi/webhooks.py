"""What subscribers receive: a POST for every event type, as Standard Webhooks says."""

from typing import Any

from processor.event_types import DISABLED, JOB_TYPES

HEADERS = ("webhook_id", "webhook_timestamp", "webhook_signature")

_ANSWERS = {
    "2XX": "It is delivered",
    "410": "No more of it: the subscription is disabled",
    "default": "Tried again, ten times over three days; `Retry-After` can put that off",
}

_EVENT = {"$ref": "#/components/schemas/CloudEvent"}
_CLOUDY = {  # for subscriptions of these formats
    "application/cloudevents+json": {"schema": _EVENT},
    "application/cloudevents-batch+json": {"schema": {"type": "array", "items": _EVENT}},
}

_SAYS = {
    "job.started": "A job became running, or a re-run of it did",
    "job.progressed": "Its progress, result, counts or status word changed while it runs",
    "job.succeeded": "The provider says it is done; `partial` when parts of it failed",
    "job.failed": "The provider gave up",
    "job.canceled": "Somebody stopped it at the provider",
    "job.expired": "The provider dropped it; or its deadline passed, which a final event may follow",
    DISABLED: "Another subscription gets no more: its subscriber answered 410, or did nothing but fail for five days",
    "subscription.test": "You asked for it",
}


def webhooks() -> dict[str, Any]:
    """One for every type, by its name."""
    jobs = {kind: _webhook(kind, "JobEvent") for kind in JOB_TYPES}
    return jobs | {
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
        "summary": _SAYS[kind],
        "security": [],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in HEADERS],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema}} | _CLOUDY,
        },
        "responses": {status: {"description": says} for status, says in _ANSWERS.items()},
    }
    return {"post": call}
