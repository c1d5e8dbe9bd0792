"""Request bodies and responses as structs, for the schemas.

Where the code has a struct, that one is used. Responses that it builds from dicts are described
here, and a test compares real responses with each.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from processor import group_payload, model
from processor.formats.cloudevents import CloudEvent
from processor.group_payload import GroupEvent, GroupMember
from processor.model import Counts
from processor.payload import JobData, JobEvent, PollData, PollStalledEvent
from processor.service.groups import group_request
from processor.service.jobs import watch_request
from processor.service.polling.poll_all import PollAllRequest
from processor.service.replay import plan, replay as replay_replay
from processor.service.replay.retry import RetryAllRequest, RetryRequest
from processor.service.subscriptions.update import UpdateSubscription
from processor.subscription_settings import SubscriptionSettings
from processor.web import groups
from processor.web.dashboard.sign_in import Credentials
from processor.web.problems import Problem

Time = Annotated[datetime, msgspec.Meta(tz=True)]


class WatchRequest(watch_request.WatchRequest, frozen=True):
    """How to watch a job; everything is optional, and added to what is known.

    Durations are texts such as `1.5s`, `30s`, `5m`, `24h`, `7d`.
    """


class CreateSubscription(replay_replay.CreateWithReplay, frozen=True):
    """A URL, and which events it receives.

    `secret` is generated if left out. With `handshake` the URL is asked with OPTIONS, and must
    allow us. `since` (a time, or `24h` ago) also delivers the events since then.
    """


class ReplayRequest(replay_replay.ReplayRequest, frozen=True):
    """`since` and `until` are times with a zone, or how long ago: `24h`.

    `events` and `source` narrow the subscription's own filter; state `failed` means only dead
    letters. `again` repeats delivered events too. `after` continues from a `next`, and stands instead of `since`.
    """


class ReplayResult(plan.ReplayResult):
    """Deliveries enqueued, already pending, already delivered, and lost (`gone`): trimmed from the log.

    `oldest` says how far back the log goes, if that is not far enough; `next`, if there is more than
    one call may do, is the `after` of the next call.
    """

    oldest: Time | None = None


class Retried(msgspec.Struct):
    """The delivery is due now, or in progress."""

    id: str
    state: Literal["pending"]


class RetriedAll(msgspec.Struct):
    """So many deliveries that had failed are due now."""

    due: int


class Receipt(msgspec.Struct):
    """What became of the updates in a push; ignored ones are not about a job (`ignored_because`).

    `unreadable` counts those of a batch that could not be read; the others were accepted. `held`,
    of a source with `track = "registered"`, counts those that wait until their job is registered.
    """

    accepted: int
    duplicates: int
    ignored: int
    ignored_because: list[str] | msgspec.UnsetType = msgspec.UNSET
    unreadable: int | msgspec.UnsetType = msgspec.UNSET
    held: int | msgspec.UnsetType = msgspec.UNSET


def _joined(
    name: str, doc: str, *parts: type[msgspec.Struct], without: str = "", optional: str = ""
) -> Any:
    """One schema of the fields of several structs, all of them required but an optional one."""
    fields = [field for part in parts for field in msgspec.structs.fields(part)]
    return msgspec.defstruct(
        name,
        [
            (f.name, f.type)
            if f.name != optional
            else (f.name, f.type | msgspec.UnsetType, msgspec.UNSET)
            for f in fields
            if f.name != without
        ],
        kw_only=True,
        namespace={"__doc__": doc},
    )


class _More(msgspec.Struct):
    """What a job has beside the data of its events."""

    counts: Counts | None
    flags: list[str]
    deadline_at: Time
    next_poll_at: Time | None
    poll: Annotated[
        PollData | None,
        msgspec.Meta(description="Its failed polls in a row, and the next one; null if not polled"),
    ]


Job: Any = _joined(
    "Job",
    "A job: the `data` of its events without `origin`, and more.",
    *(JobData, _More),
    without="origin",
)


class GroupRequest(group_request.GroupRequest, frozen=True):
    """The jobs of a group, and when it ends.

    `policy`: `all` ends it once all jobs have ended, `fail_fast` at the first that did not succeed.
    `open`: it takes more jobs, until it is closed. `deadline` is a duration, by default that of the
    job that has the longest.
    """


class WaitRequest(groups.WaitRequest, frozen=True):
    """Jobs as `source/id`, groups by their ids; `timeout` in seconds."""


class Group(group_payload.GroupView, frozen=True):
    """A group, and how many of its jobs are in which state."""


WaitResult: Any = msgspec.defstruct(
    "WaitResult",
    [
        ("done", bool),
        ("jobs", list[Job]),
        ("groups", list[Group] | msgspec.UnsetType, msgspec.UNSET),
    ],
    namespace={"__doc__": "Whether the wait is over, and the jobs (and groups) as they are now."},
)


class HistoryEntry(model.HistoryEntry, frozen=True, omit_defaults=True, kw_only=True):
    """A transition, a progress, an ignored update or a failed poll; `count` equal ones came in a row."""

    at: Time
    count: int


class PollQueued(msgspec.Struct):
    """The job is polled as soon as a worker is free."""

    asked: bool


class Callback(msgspec.Struct):
    """A callback URL of a job; `id` is its `subscription` in `/v1/deliveries`."""

    id: str
    url: str | None


class PollsQueued(msgspec.Struct):
    """How many jobs are polled."""

    asked: int


class _State(msgspec.Struct):
    """What a subscription has besides its settings."""

    id: str
    public_key: Annotated[str | None, msgspec.Meta(description="Verifies `v1a`; null for `v1`")]
    handshake: bool
    created_at: Time | None
    disabled: Annotated[str | None, msgspec.Meta(description="Why it receives nothing, or null")]
    read_only: Annotated[bool, msgspec.Meta(description="It is in the configuration file")]


class _Secret(msgspec.Struct):
    secret: Annotated[str | None, msgspec.Meta(description="Shown only now; null for `v1a`")]


class _Replay(msgspec.Struct):
    replay: Annotated[ReplayResult, msgspec.Meta(description="Only with `since`")]


Subscription: Any = _joined(
    "Subscription", "A URL, and which events it receives.", SubscriptionSettings, _State
)
SubscriptionWithSecret: Any = _joined(
    "SubscriptionWithSecret",
    "A subscription with its new secret.",
    *(SubscriptionSettings, _State, _Secret),
)
CreatedSubscription: Any = _joined(
    "CreatedSubscription",
    "A new subscription; with `since`, also the result of the replay.",
    *(SubscriptionSettings, _State, _Secret, _Replay),
    optional="replay",
)


class PublicKeys(msgspec.Struct):
    """Public keys as Standard Webhooks writes them, the newest first: `whpk_…`."""

    keys: list[str]


class TestSent(msgspec.Struct):
    """A `subscription.test` event with this webhook-id is enqueued."""

    event_id: str


class Attempt(msgspec.Struct):
    """One HTTP request of a delivery: the status, or the reason why there was no response."""

    at: Time
    seconds: float
    status: int | None
    error: str | None


class Delivery(msgspec.Struct):
    """One event for one subscription; `state` is one of the values of `?state=`."""

    id: str
    event_id: str
    type: str
    subscription: Annotated[str, msgspec.Meta(description="Or a job's callback, `cb_…`")]
    job: Annotated[
        str | None, msgspec.Meta(description="`source/id`; null if it is not about a job")
    ]
    state: str
    reason: str | None
    next_attempt_at: Annotated[
        Time | None,
        msgspec.Meta(
            description="Not before a pause of the subscriber ends; null while it is made, and once it has ended"
        ),
    ]
    created_at: Time
    attempts: list[Attempt]


class Event(JobEvent, frozen=True, kw_only=True):
    """What subscribers receive, with its webhook-id."""

    id: str


class PollError(msgspec.Struct):
    """A failed poll of a source: when, of which job, and why."""

    at: Time
    job: str
    error: str


class PollStalledItem(PollStalledEvent, frozen=True, kw_only=True):
    """A `job.poll_stalled` in the event log, with its webhook-id."""

    id: str


class PushLoss(msgspec.Struct):
    """The share of pushes that never came, of the last `jobs` that were also polled; `poll_first`:
    polls do not wait for pushes.
    """

    jobs: int
    share: float
    poll_first: bool


class Learnt(msgspec.Struct):
    """How long the last `jobs` of a kind took, in seconds: the median, and the shortest hundredth;
    and after how long the next one is polled first.
    """

    kind: str | None
    jobs: int
    median: float
    shortest: float
    first_poll: float


class Source(msgspec.Struct):
    """A configured account at a provider; `stalled` is the reason why its polls are refused,
    `lacks` what must be set before it can be used. `push_loss` is null unless it is both pushed to
    us and polled.
    """

    name: str
    provider: str
    push: str | None
    scheme: str | None
    track: str
    trust: str
    poll: bool
    mirror: list[str]
    lacks: str | None
    stalled: str | None
    poll_error: Annotated[
        PollError | None, msgspec.Meta(description="Its last failed poll within the hour, or null")
    ]
    failing_polls: Annotated[int, msgspec.Meta(description="Jobs whose last poll failed")]
    push_loss: PushLoss | None
    learnt: list[Learnt]


class Alive(msgspec.Struct):
    """The process runs."""

    alive: bool


class Ready(msgspec.Struct):
    """Whether this process can serve, what is missing, and settings of Redis that could lose work."""

    ready: bool
    lacks: list[str]
    warnings: list[str]


class TestData(msgspec.Struct):
    """The `data` of a `subscription.test`."""

    subscription: str
    message: str


class TestEvent(msgspec.Struct):
    """A `subscription.test`, which only that subscription receives, and which is not in the log."""

    type: str
    timestamp: Time
    data: TestData


class DisabledData(msgspec.Struct):
    """The `data` of a `subscription.disabled`."""

    subscription: str
    url: str
    reason: str


class DisabledEvent(msgspec.Struct):
    """A `subscription.disabled`, which the other subscriptions that name it receive; it is in the log."""

    type: str
    timestamp: Time
    data: DisabledData


class GroupItem(GroupEvent, frozen=True, kw_only=True):
    """A `group.completed` in the event log, with its webhook-id."""

    id: str


class DisabledItem(DisabledEvent, kw_only=True):
    """A `subscription.disabled` in the event log, with its webhook-id."""

    id: str


SCHEMAS: tuple[Any, ...] = (
    Credentials,
    *(
        WatchRequest,
        Job,
        Callback,
        HistoryEntry,
        PollQueued,
        PollAllRequest,
        PollsQueued,
        Receipt,
        Source,
    ),
    *(GroupRequest, Group, GroupMember, WaitRequest, WaitResult),
    *(CreateSubscription, UpdateSubscription, Subscription, SubscriptionWithSecret),
    *(CreatedSubscription, PublicKeys, TestSent, ReplayRequest, ReplayResult),
    *(
        Delivery,
        Retried,
        RetriedAll,
        RetryRequest,
        RetryAllRequest,
        Event,
        JobEvent,
        GroupEvent,
        GroupItem,
        TestEvent,
        DisabledEvent,
    ),
    *(DisabledItem, PollStalledEvent, PollStalledItem, CloudEvent),
    *(Alive, Ready, Problem),
)
