"""Every call of the API, one row each: path, parameters, body, responses and errors."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from processor.group_payload import GroupMember
from processor.service.polling.mirror import MAX_HOLD
from processor.service.polling.poll_all import PollAllRequest
from processor.service.replay.retry import RetryAllRequest, RetryRequest
from processor.service.subscriptions.update import UpdateSubscription
from processor.web.dashboard.sign_in import Credentials
from processor.web.openapi import schemas
from processor.web.problems import MEDIA_TYPE

WITH_BODY = (400, 408, 413, 415)  # errors of a call with a body
JSON_SCHEMA: dict[str, Any] = {"type": "object"}
TEXT: dict[str, Any] = {"type": "string"}
PROBLEM: dict[str, Any] = {"$ref": "#/components/schemas/Problem"}


class Response(NamedTuple):
    """A successful response: its description, its struct (or schema), and further media types."""

    description: str
    schema: Any = None
    many: bool = False  # a page of such items
    other: Mapping[str, dict[str, Any]] = {}  # media type → schema


class Operation(NamedTuple):
    """One call. `open` ones need no key; one with a `default` response lists no errors."""

    method: str
    path: str
    id: str
    summary: str
    responses: Mapping[int | str, Response]
    refusals: tuple[int, ...] = ()
    parameters: tuple[str, ...] = ()
    body: Any = None
    open: bool = False
    body_required: bool = True


_LOGGED = ("Event", "PollStalledItem", "GroupItem", "DisabledItem")
_STREAM = Response(
    "A page, oldest first; or, for `Accept: text/event-stream`, a stream from now on (or after "
    "`Last-Event-ID` or `after`): `retry: 3000` first, then for each event `id:` its cursor, "
    "`event:` its type, `data:` the item; `: ping` every 15 s; `event: gap` if events were "
    "trimmed before they were read",
    {"anyOf": [{"$ref": f"#/components/schemas/{s}"} for s in _LOGGED]},
    many=True,
    other={"text/event-stream": TEXT},
)
_MIRRORED: Mapping[int | str, Response] = {
    200: Response(
        "The provider's last response, unchanged, and in `Age` how many seconds ago it was asked",
        other={"*/*": {}},
    ),
    "default": Response(
        "The provider's error, unchanged; or ours: 404 if the path is not mirrored, 409 if only "
        "workers can poll and the job is not watched, 502 if the provider refuses the source's "
        "token or a worker gets no answer to store, 503 at the limits of the source, 504 if the "
        "provider does not respond",
        other={MEDIA_TYPE: PROBLEM, "*/*": {}},
    ),
}
_ADDED = "The job; metadata, params, aliases and callbacks were added to the existing ones"
_WAITED = Response(
    "`done`, or the time was up: all jobs and groups as they are", schemas.WaitResult
)
_GROUP = "/v1/groups/{group}"
_JOB, _SUBSCRIPTION = "/v1/jobs/{source}/{id}", "/v1/subscriptions/{id}"

OPERATIONS = (
    Operation(
        *("post", "/hooks/{source}", "push", "Receive a push, signed as its provider signs"),
        {
            202: Response("Accepted and stored; do not send it again", schemas.Receipt),
            200: Response(
                "The same, for a provider that requires this status; or the response to its "
                "challenge, by the profile's `echo`",
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
        {200: Response("`WebHook-Allowed-Origin` and `-Rate`, if the source receives CloudEvents")},
        (404,),
        ("source",),
        open=True,
    ),
    Operation(
        *("get", "/v1/jobs", "listJobs", "List jobs, those with the latest deadline first"),
        {200: Response("A page; it may be short and still have a `next`", schemas.Job, many=True)},
        (400, 404, 422),
        ("of_source", "in_state", "with_metadata", "in_group", "limit", "cursor"),
    ),
    Operation(
        *("post", "/v1/jobs/poll", "pollJobs", "Poll all unfinished jobs of a source, soon"),
        {202: Response("How many jobs are polled within a while", schemas.PollsQueued)},
        (404, 409, 422, *WITH_BODY),
        (),
        PollAllRequest,
    ),
    Operation(
        *("put", _JOB, "watchJob", "Watch a job; repeating it is safe"),
        {200: Response(_ADDED, schemas.Job), 201: Response("The job is new", schemas.Job)},
        (404, 409, 422, *WITH_BODY),
        ("source", "job", "trace"),
        schemas.WatchRequest,
    ),
    Operation(
        *("get", _JOB, "getJob", "Get one job; with `wait`, once it is finished"),
        {200: Response("The job as it is now, finished or not", schemas.Job)},
        (404, 422),
        ("source", "job", "wait", "prefer"),
    ),
    Operation(
        *("delete", _JOB, "forgetJob", "Delete a job; its pushes are ignored for 7 days"),
        {204: Response("Deleted")},
        (404, 422, *WITH_BODY),
        ("source", "job"),
    ),
    Operation(
        *("get", f"{_JOB}/history", "getHistory", "List what happened to a job, oldest first"),
        {200: Response("A page of its newest 200 entries", schemas.HistoryEntry, many=True)},
        (400, 404, 422),
        ("source", "job", "limit", "cursor"),
    ),
    Operation(
        *("post", f"{_JOB}/poll", "pollJob", "Poll the provider now"),
        {202: Response("The poll is due now", schemas.PollQueued)},
        (404, 409, 422, *WITH_BODY),
        ("source", "job"),
    ),
    Operation(
        *("get", f"{_JOB}/callbacks", "listCallbacks", "List where a job calls back"),
        {200: Response("All of them; secrets are not shown", schemas.Callback, many=True)},
        (400, 404, 422),
        ("source", "job", "limit_of_all", "cursor"),
    ),
    Operation(
        *("delete", f"{_JOB}/callbacks/{{callback}}", "removeCallback", "Take a callback back"),
        {204: Response("Removed; a call that is due already is still made")},
        (404, 422, *WITH_BODY),
        ("source", "job", "callback"),
    ),
    Operation(
        *("get", "/v1/wait", "wait", "Wait for several jobs and groups: for all, or the first"),
        {200: _WAITED},
        (404, 422),
        ("wait_jobs", "wait_groups", "mode", "timeout"),
    ),
    Operation(
        *("post", "/v1/wait", "waitForMany", "The same for names in a body"),
        {200: _WAITED},
        (404, 422, *WITH_BODY),
        body=schemas.WaitRequest,
    ),
    Operation(
        *("get", "/v1/groups", "listGroups", "List all groups, those that are kept longest first"),
        {200: Response("A page", schemas.Group, many=True)},
        (400, 422),
        ("limit", "cursor"),
    ),
    Operation(
        *("post", "/v1/groups", "createGroup", "Create a group and watch its jobs; repeatable"),
        {
            200: Response("The same group was created before", schemas.Group),
            201: Response("The group is new; all its jobs are watched", schemas.Group),
        },
        (409, 422, *WITH_BODY),
        ("trace",),
        schemas.GroupRequest,
    ),
    Operation(
        *("get", _GROUP, "getGroup", "Get one group; with `wait`, once it has ended"),
        {200: Response("The group as it is now, ended or not", schemas.Group)},
        (404, 422),
        ("group", "wait_for_group"),
    ),
    Operation(
        *("delete", _GROUP, "forgetGroup", "Forget a group; its jobs stay, nobody is called back"),
        {204: Response("Forgotten")},
        (404, 422, *WITH_BODY),
        ("group",),
    ),
    Operation(
        *("post", f"{_GROUP}/close", "closeGroup", "Take no more jobs; repeatable"),
        {200: Response("The group, which ends with the jobs that it has", schemas.Group)},
        (404, 422, *WITH_BODY),
        ("group",),
    ),
    Operation(
        *("get", f"{_GROUP}/jobs", "listGroupJobs", "List the jobs of a group, in its order"),
        {200: Response("A page", GroupMember, many=True)},
        (400, 404, 422),
        ("group", "limit", "cursor"),
    ),
    Operation(
        *(
            "put",
            f"{_GROUP}/jobs/{{source}}/{{id}}",
            "addToGroup",
            "Watch a job in an open group; repeatable",
        ),
        {200: Response("The group with this job", schemas.Group)},
        (404, 409, 422, *WITH_BODY),
        ("group", "source", "job", "trace"),
        schemas.WatchRequest,
    ),
    Operation(
        *("get", "/v1/subscriptions", "listSubscriptions", "List all subscriptions, oldest first"),
        {200: Response("A page", schemas.Subscription, many=True)},
        (400, 422),
        ("limit", "cursor"),
    ),
    Operation(
        *("post", "/v1/subscriptions", "subscribe", "Create a subscription"),
        {201: Response("It receives all events from now on", schemas.CreatedSubscription)},
        (409, 422, *WITH_BODY),
        body=schemas.CreateSubscription,
    ),
    Operation(
        *("get", _SUBSCRIPTION, "getSubscription", "Get one subscription"),
        {200: Response("The subscription, without its secret", schemas.Subscription)},
        (404, 422),
        ("subscription",),
    ),
    Operation(
        *("patch", _SUBSCRIPTION, "changeSubscription", "Change the settings of a subscription"),
        {
            200: Response(
                "The new settings; they also apply to pending deliveries", schemas.Subscription
            )
        },
        (404, 409, 422, *WITH_BODY),
        ("subscription",),
        UpdateSubscription,
    ),
    Operation(
        *("delete", _SUBSCRIPTION, "unsubscribe", "Remove a subscription"),
        {204: Response("Removed; pending deliveries are canceled when they fall due")},
        (404, 409, 422, *WITH_BODY),
        ("subscription",),
    ),
    Operation(
        *(
            "post",
            f"{_SUBSCRIPTION}/rotate",
            "rotateSecret",
            "Replace the secret of a subscription",
        ),
        {
            200: Response(
                "The new secret; the old ones also sign for 24 h", schemas.SubscriptionWithSecret
            )
        },
        (404, 409, 422, *WITH_BODY),
        ("subscription",),
    ),
    Operation(
        *(
            "get",
            f"{_SUBSCRIPTION}/public-key",
            "getPublicKey",
            "Get the keys that verify `v1a` signatures",
        ),
        {
            200: Response(
                "All that sign now: after a rotation also the old ones", schemas.PublicKeys
            )
        },
        (404, 422),
        ("subscription",),
    ),
    Operation(
        *("post", f"{_SUBSCRIPTION}/test", "testSubscription", "Send a `subscription.test` event"),
        {202: Response("Enqueued", schemas.TestSent)},
        (404, 409, 422, *WITH_BODY),
        ("subscription",),
    ),
    Operation(
        *(
            "post",
            f"{_SUBSCRIPTION}/enable",
            "enableSubscription",
            "Enable a disabled subscription, and end a pause",
        ),
        {200: Response("It receives all events from now on", schemas.Subscription)},
        (404, 422, *WITH_BODY),
        ("subscription",),
    ),
    Operation(
        *("post", f"{_SUBSCRIPTION}/replay", "replay", "Deliver what a subscription missed"),
        {
            202: Response(
                "What became of the events; repeating the call is safe", schemas.ReplayResult
            )
        },
        (404, 409, 422, *WITH_BODY),
        ("subscription",),
        schemas.ReplayRequest,
    ),
    Operation(
        *("post", "/v1/deliveries/retry", "retryDeliveries", "Retry all waiting deliveries"),
        {202: Response("How many are due now, at most 10,000", schemas.RetriedAll)},
        (404, 409, 422, *WITH_BODY),
        body=RetryAllRequest,
    ),
    Operation(
        *("post", "/v1/deliveries/{id}/retry", "retryDelivery", "Retry one delivery"),
        {202: Response("It is due now", schemas.Retried)},
        (404, 409, 422, *WITH_BODY),
        ("delivery",),
        RetryRequest,
        body_required=False,
    ),
    Operation(
        *(
            "get",
            "/v1/deliveries",
            "listDeliveries",
            "List the deliveries of a subscription, newest first",
        ),
        {200: Response("A page, with all attempts", schemas.Delivery, many=True)},
        (400, 404, 422),
        ("target", "delivered", "limit", "cursor"),
    ),
    Operation(
        *(
            "get",
            "/v1/events",
            "listEvents",
            "List or stream the event log; events of a job are in order",
        ),
        {200: _STREAM},
        (400, 410, 422),
        ("after", "newest", "event_types", "event_source", "event_job", "limit", "last_event_id"),
    ),
    Operation(
        *(
            "get",
            "/v1/sources",
            "listSources",
            "List all sources: how they receive pushes and are polled",
        ),
        {200: Response("All sources", schemas.Source, many=True)},
        (400, 422),
        ("limit_of_all", "cursor"),
    ),
    Operation(
        *(
            "get",
            "/mirror/{source}/{path}",
            "mirror",
            "The provider's own status call, answered from the last poll",
        ),
        _MIRRORED,
        parameters=("source", "mirrored", "cache_control"),
    ),
    Operation(
        *(
            "get",
            "/mirror/{source}/final/{path}",
            "mirrorFinal",
            f"The same once the job has ended; after {MAX_HOLD:g} s 503, with `Retry-After`",
        ),
        _MIRRORED,
        parameters=("source", "mirrored", "cache_control"),
    ),
    Operation(
        *("post", "/session", "signIn", "Sign a browser in with an API key, for the dashboard"),
        {
            204: Response(
                "Signed in: the cookie `ringback_session` is set, and is also good for every GET "
                "below `/v1`. The form of the sign-in page is answered 303, to a page"
            )
        },
        (401, 422, *WITH_BODY),
        body=Credentials,
        open=True,
    ),
    Operation(
        *("delete", "/session", "signOut", "Have a browser forget its session"),
        {204: Response("Signed out; without a key this needs the session's `X-CSRF-Token`")},
    ),
    Operation(
        *("get", "/healthz", "alive", "Liveness: does the process run? Redis is not asked"),
        {200: Response("It does", schemas.Alive)},
        open=True,
    ),
    Operation(
        *("get", "/readyz", "ready", "Readiness: does Redis accept writes, is a worker alive?"),
        {
            200: Response("Ready", schemas.Ready),
            503: Response(
                "Not ready, or not yet started", schemas.Ready, other={MEDIA_TYPE: PROBLEM}
            ),
        },
        open=True,
    ),
    Operation(
        *("get", "/metrics", "metrics", "Metrics of this process and of all workers"),
        {200: Response("In Prometheus' text format", other={"text/plain": TEXT})},
    ),
    Operation(
        *("get", "/openapi.json", "openapi", "This document"),
        {200: Response("OpenAPI 3.1", other={"application/json": JSON_SCHEMA})},
    ),
)
