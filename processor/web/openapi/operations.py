"""Every call, one row each: how it is made, what answers it, and how it is refused."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from processor.service.subscriptions.update import UpdateSubscription
from processor.web.openapi import schemas
from processor.web.problems import MEDIA_TYPE

WITH_BODY = (400, 408, 413, 415)  # a call that takes a body can be refused for it
JSON_SCHEMA: dict[str, Any] = {"type": "object"}
TEXT: dict[str, Any] = {"type": "string"}
PROBLEM: dict[str, Any] = {"$ref": "#/components/schemas/Problem"}


class Answer(NamedTuple):
    """A good answer: what it says, as which shape (or schema), and in which further types."""

    says: str
    shape: Any = None
    many: bool = False  # a page of them
    other: Mapping[str, dict[str, Any]] = {}  # media type → schema


class Operation(NamedTuple):
    """One call. `open` ones need no key; one with a `default` answer lists no refusals."""

    method: str
    path: str
    id: str
    says: str
    answers: Mapping[int | str, Answer]
    refusals: tuple[int, ...] = ()
    parameters: tuple[str, ...] = ()
    body: Any = None
    open: bool = False


_STREAM = Answer(
    "A page from the oldest; or, for `Accept: text/event-stream`, a stream from now on (or behind "
    "`Last-Event-ID` or `after`): `retry: 3000` first, then for each event `id:` its cursor, "
    "`event:` its type, `data:` the item; `: ping` every 15 s; `event: gap` where events were "
    "trimmed before they could be read",
    {"anyOf": [{"$ref": f"#/components/schemas/{s}"} for s in ("Event", "DisabledItem")]},
    many=True,
    other={"text/event-stream": TEXT},
)
_ADDED = "The job; metadata, params, aliases and callbacks were added to what was known"
_JOB, _SUBSCRIPTION = "/v1/jobs/{source}/{id}", "/v1/subscriptions/{id}"

OPERATIONS = (
    Operation(
        *("post", "/hooks/{source}", "push", "Take a push, signed as its provider signs"),
        {
            202: Answer("Redis has it; send no more of it", schemas.Receipt),
            200: Answer(
                "The same, for a provider that takes nothing else for a yes; or the answer to its "
                "challenge, as the profile's `echo` says",
                {"anyOf": [{"$ref": "#/components/schemas/Receipt"}, JSON_SCHEMA]},
            ),
        },
        (404, 401, *WITH_BODY),
        ("source", "trace"),
        {"description": "What the provider sends, untouched; at most 1 MiB", **JSON_SCHEMA},
        open=True,
    ),
    Operation(
        *(
            "options",
            "/hooks/{source}",
            "agree",
            "Agree to pushes: CloudEvents' web hook handshake",
        ),
        {200: Answer("`WebHook-Allowed-Origin` and `-Rate`, where the source takes CloudEvents")},
        (404,),
        ("source",),
        open=True,
    ),
    Operation(
        *("get", "/v1/jobs", "listJobs", "All jobs, those with the latest deadline first"),
        {200: Answer("A page; it may be short and still have a `next`", schemas.Job, many=True)},
        (400, 422),
        ("of_source", "in_state", "limit", "jobs_cursor"),
    ),
    Operation(
        *("put", _JOB, "watchJob", "Watch a job; repeating it is safe"),
        {200: Answer(_ADDED, schemas.Job), 201: Answer("The job is new", schemas.Job)},
        (404, 409, 422, *WITH_BODY),
        ("source", "job", "trace"),
        schemas.WatchRequest,
    ),
    Operation(
        *("get", _JOB, "getJob", "One job, perhaps once it is finished"),
        {200: Answer("The job as it is; finished, or the time is up", schemas.Job)},
        (404, 422),
        ("source", "job", "wait", "prefer"),
    ),
    Operation(
        *("delete", _JOB, "forgetJob", "Stop watching a job; for 7 days pushes of it are ignored"),
        {204: Answer("It is watched no more")},
        (404, 422, *WITH_BODY),
        ("source", "job"),
    ),
    Operation(
        *("get", f"{_JOB}/history", "getHistory", "What happened to a job, the oldest first"),
        {200: Answer("A page of its newest 200 entries", schemas.HistoryEntry, many=True)},
        (400, 404, 422),
        ("source", "job", "limit", "cursor"),
    ),
    Operation(
        *("post", f"{_JOB}/poll", "pollJob", "Ask the provider now"),
        {202: Answer("It will be asked", schemas.PollQueued)},
        (404, 409, 422, *WITH_BODY),
        ("source", "job"),
    ),
    Operation(
        *("get", "/v1/subscriptions", "listSubscriptions", "All subscriptions, the oldest first"),
        {200: Answer("A page", schemas.Subscription, many=True)},
        (400, 422),
        ("limit", "cursor"),
    ),
    Operation(
        *("post", "/v1/subscriptions", "subscribe", "Have a URL called back"),
        {201: Answer("It hears of all that is committed from now on", schemas.CreatedSubscription)},
        (409, 422, *WITH_BODY),
        body=schemas.CreateSubscription,
    ),
    Operation(
        *("get", _SUBSCRIPTION, "getSubscription", "One subscription"),
        {200: Answer("The subscription, without its secret", schemas.Subscription)},
        (404, 422),
        ("subscription",),
    ),
    Operation(
        *("patch", _SUBSCRIPTION, "changeSubscription", "Change what a subscription wants"),
        {200: Answer("As it is from now on, for what waits too", schemas.Subscription)},
        (404, 409, 422, *WITH_BODY),
        ("subscription",),
        UpdateSubscription,
    ),
    Operation(
        *("delete", _SUBSCRIPTION, "unsubscribe", "Remove a subscription"),
        {204: Answer("It is gone; deliveries that wait are canceled when they fall due")},
        (404, 409, 422, *WITH_BODY),
        ("subscription",),
    ),
    Operation(
        *("post", f"{_SUBSCRIPTION}/rotate", "rotateSecret", "Give a subscription a new secret"),
        {
            200: Answer(
                "The new secret; the old one signs too for 24 h", schemas.SubscriptionWithSecret
            )
        },
        (404, 409, 422, *WITH_BODY),
        ("subscription",),
    ),
    Operation(
        *("get", f"{_SUBSCRIPTION}/public-key", "getPublicKey", "What verifies `v1a` signatures"),
        {200: Answer("All that sign now: after a rotation the old one too", schemas.PublicKeys)},
        (404, 422),
        ("subscription",),
    ),
    Operation(
        *("post", f"{_SUBSCRIPTION}/test", "testSubscription", "Send it a `subscription.test`"),
        {202: Answer("It is on its way", schemas.TestSent)},
        (404, 422, *WITH_BODY),
        ("subscription",),
    ),
    Operation(
        *("post", f"{_SUBSCRIPTION}/enable", "enableSubscription", "Let it get events again"),
        {200: Answer("It hears of all that is committed from now on", schemas.Subscription)},
        (404, 422, *WITH_BODY),
        ("subscription",),
    ),
    Operation(
        *("post", f"{_SUBSCRIPTION}/replay", "replay", "Deliver what a subscription missed"),
        {202: Answer("What became of it; repeating it is safe", schemas.ReplayResult)},
        (404, 409, 422, *WITH_BODY),
        ("subscription",),
        schemas.ReplayRequest,
    ),
    Operation(
        *("post", "/v1/deliveries/{id}/retry", "retryDelivery", "Make one delivery again"),
        {202: Answer("It is due now", schemas.Retried)},
        (404, 409, 422, *WITH_BODY),
        ("delivery",),
    ),
    Operation(
        *("get", "/v1/deliveries", "listDeliveries", "What one subscription got, newest first"),
        {200: Answer("A page, with all attempts", schemas.Delivery, many=True)},
        (400, 404, 422),
        ("target", "delivered", "limit", "cursor"),
    ),
    Operation(
        *("get", "/v1/events", "listEvents", "The event log; order holds within a job"),
        {200: _STREAM},
        (400, 410, 422),
        ("after", "limit", "last_event_id"),
    ),
    Operation(
        *("get", "/v1/sources", "listSources", "All sources: how they are heard and asked"),
        {200: Answer("All of them", schemas.Source, many=True)},
        (422,),
    ),
    Operation(
        *("get", "/mirror/{source}/{path}", "mirror", "The provider's own status call"),
        {
            200: Answer("The provider's last answer, as it was", other={"*/*": {}}),
            "default": Answer(
                "The provider's refusal, as it was; or a problem of ours: 404 for what is not "
                "mirrored, 502 if it refuses the source's token, 504 if it does not answer",
                other={MEDIA_TYPE: PROBLEM, "*/*": {}},
            ),
        },
        parameters=("source", "mirrored"),
    ),
    Operation(
        *("get", "/healthz", "alive", "Is the process alive? Redis is not asked"),
        {200: Answer("It is", schemas.Alive)},
        open=True,
    ),
    Operation(
        *("get", "/readyz", "ready", "Is it of use: does Redis take writes, does a worker beat?"),
        {
            200: Answer("It is", schemas.Ready),
            503: Answer(
                "It lacks something, or has not begun", schemas.Ready, other={MEDIA_TYPE: PROBLEM}
            ),
        },
        open=True,
    ),
    Operation(
        *("get", "/metrics", "metrics", "Counters of this process and of all workers"),
        {200: Answer("In Prometheus' text format", other={"text/plain": TEXT})},
    ),
    Operation(
        *("get", "/openapi.json", "openapi", "This document"),
        {200: Answer("OpenAPI 3.1", other={"application/json": JSON_SCHEMA})},
    ),
)
