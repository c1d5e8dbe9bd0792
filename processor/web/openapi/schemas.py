"""What goes in and comes out, as structs, for the schemas.

What the code has a struct for is that struct. Answers that it puts together from others are
described here, and a test holds real answers against each.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from processor import model
from processor.formats import Format
from processor.formats.cloudevents import CloudEvent
from processor.model import Concurrency, Counts
from processor.payload import JobData, JobEvent
from processor.service.jobs import watch_request
from processor.service.replay import plan, replay as replay_replay
from processor.service.subscriptions import update
from processor.web.problems import Problem

Time = Annotated[datetime, msgspec.Meta(tz=True)]


class JobWish(watch_request.WatchRequest, frozen=True):
    """What to watch a job with; everything is optional, and added to what is known.

    Durations are texts such as `1.5s`, `30s`, `5m`, `24h`, `7d`.
    """


class SubscriptionWish(replay_replay.Wish, frozen=True):
    """A URL, and which events it wants; what is left out means all.

    `events` are event types, or `job.completed` for the four that end a job. `metadata` are
    values that a job's own must hold. `secret` is made up if left out. `headers` are sent with
    every event; at most `concurrency` at the same time, and `rate` per time (`100/1m`);
    with `ordered` the events of a job one after the other. Without `auto_disable` five days of
    nothing but failures do not disable it. With `handshake` the URL is asked
    with OPTIONS, and must allow us. `since` (a time, or `24h` ago) has it get what it would have
    got since then.
    """


class SubscriptionChange(update.Change, frozen=True):
    """What is named is replaced, as a whole; a `rate` of null is none.

    With a handshake another `url` is asked first, and must allow us. `signature` cannot be
    another than it is.
    """


class ReplayWish(replay_replay.Replay, frozen=True):
    """`since` and `until` are times with a zone, or how long ago: `24h`.

    `events` and `source` narrow the subscription's own filter; `failed` is what ended without
    arriving. `again`: what was delivered too. `after` goes on where `next` says.
    """


class ReplayResult(plan.ReplayResult):
    """Deliveries put, found waiting, found delivered, and lost with the log's oldest events.

    `oldest` says how far back the log goes, where that is not far enough; `next`, if it was too
    much for one call, is the `after` of the one that goes on.
    """

    oldest: Time | None = None


class Retried(msgspec.Struct):
    """The delivery is due now, or under way."""

    id: str
    state: Literal["pending"]


class Receipt(msgspec.Struct):
    """What became of the updates in a push: ignored ones are not about a job.

    `unreadable` is there where some of a batch could not be read; the others were taken.
    """

    accepted: int
    duplicates: int
    ignored: int
    unreadable: int | msgspec.UnsetType = msgspec.UNSET


class _More(msgspec.Struct):
    """What a job has beyond what its events tell."""

    counts: Counts | None
    flags: list[str]
    deadline_at: Time
    next_poll_at: Time | None


Job: Any = msgspec.defstruct(
    "Job",
    [
        (field.name, field.type)
        for field in (*msgspec.structs.fields(JobData), *msgspec.structs.fields(_More))
        if field.name != "origin"
    ],
    namespace={"__doc__": "A job: the `data` of its events without `origin`, and more."},
)


class HistoryEntry(model.HistoryEntry, frozen=True, omit_defaults=True, kw_only=True):
    """A transition, a progress, or an ignored update; `count` of the same came in a row."""

    at: Time
    count: int


class Asked(msgspec.Struct):
    """The job is asked about as soon as a worker is free."""

    asked: bool


class Subscription(msgspec.Struct, kw_only=True):
    """A URL, and which events it wants; `disabled` says why it gets nothing."""

    id: str
    url: str
    events: list[str]
    sources: list[str]
    providers: list[str]
    metadata: dict[str, Any]
    format: Format
    signature: Literal["v1", "v1a"]
    public_key: Annotated[str | None, msgspec.Meta(description="Verifies `v1a`; null for `v1`")]
    headers: Annotated[dict[str, str], msgspec.Meta(description="Their values are masked")]
    handshake: bool
    concurrency: Concurrency
    rate: Annotated[str | None, msgspec.Meta(description="Deliveries per time: `100/1m`")]
    ordered: Annotated[bool, msgspec.Meta(description="Events of a job one after the other")]
    auto_disable: Annotated[bool, msgspec.Meta(description="After five days of failures only")]
    created_at: Time | None
    disabled: str | None
    read_only: Annotated[bool, msgspec.Meta(description="It is in the configuration file")]


class SubscriptionSecret(Subscription, kw_only=True):
    """A subscription with its new secret, which is shown this once; `v1a` has none to show."""

    secret: str | None


class SubscriptionMade(SubscriptionSecret, kw_only=True):
    """A new subscription; with `since`, also what became of the past."""

    replay: ReplayResult | msgspec.UnsetType = msgspec.UNSET


class PublicKeys(msgspec.Struct):
    """Public keys as Standard Webhooks writes them, the newest first: `whpk_…`."""

    keys: list[str]


class Sent(msgspec.Struct):
    """A `subscription.test` event, under its webhook-id, is on its way."""

    event_id: str


class Attempt(msgspec.Struct):
    """One HTTP try of a delivery: an answer's status, or why there was none."""

    at: Time
    seconds: float
    status: int | None
    error: str | None


class Delivery(msgspec.Struct):
    """One event for one subscription; `state` is one of those that `?state=` takes."""

    id: str
    event_id: str
    type: str
    subscription: str
    state: str
    reason: str | None
    created_at: Time
    attempts: list[Attempt]


class Event(JobEvent, frozen=True, kw_only=True):
    """What subscribers receive, with its webhook-id."""

    id: str


class Source(msgspec.Struct):
    """A configured account at a provider; `stalled` says why its polls are refused,
    `lacks` what it needs to be of any use.
    """

    name: str
    provider: str
    push: str | None
    scheme: str | None
    trust: str
    poll: bool
    mirror: list[str]
    lacks: str | None
    stalled: str | None


class Alive(msgspec.Struct):
    """The process turns."""

    alive: bool


class Ready(msgspec.Struct):
    """Whether this process can serve, what it lacks, and what of Redis could lose work."""

    ready: bool
    lacks: list[str]
    warnings: list[str]


class TestData(msgspec.Struct):
    """The `data` of a `subscription.test`."""

    subscription: str
    message: str


class TestEvent(msgspec.Struct):
    """A `subscription.test`, which goes to that one subscription and is not in the log."""

    type: str
    timestamp: Time
    data: TestData


class DisabledData(msgspec.Struct):
    """The `data` of a `subscription.disabled`."""

    subscription: str
    url: str
    reason: str


class DisabledEvent(msgspec.Struct):
    """A `subscription.disabled`, which goes to the others that name it, and is in the log."""

    type: str
    timestamp: Time
    data: DisabledData


class DisabledItem(DisabledEvent, kw_only=True):
    """The same in the event log, with its webhook-id."""

    id: str


SHAPES: tuple[Any, ...] = (
    *(SubscriptionChange, ReplayWish, ReplayResult, Retried, SubscriptionMade, DisabledEvent),
    DisabledItem,
    *(JobWish, SubscriptionWish, Receipt, Job, HistoryEntry, Asked, Subscription),
    *(SubscriptionSecret, PublicKeys, Sent, Delivery, Event, Source, Alive, Ready, Problem),
    *(JobEvent, TestEvent, CloudEvent),
)
