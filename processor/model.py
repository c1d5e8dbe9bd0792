"""The data model: frozen values (job, update, event, subscription, delivery) that all modules use.

Times are seconds since the epoch (float); ids are strings; JSON values that only pass through stay
`msgspec.Raw` and are never decoded. `name=` keeps the name that stored records have.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from processor.subscription_settings import SubscriptionSettings

NULL = msgspec.Raw(b"null")


class State(StrEnum):
    """Our state of a job. The provider's own word for it is its status."""

    QUEUED = "queued"  # accepted, not started; also the state if the first status is unknown
    RUNNING = "running"  # in progress, whatever the provider calls the stage
    SUCCEEDED = "succeeded"  # done; `partial` when some of its parts failed
    FAILED = "failed"  # the provider gave up
    CANCELED = "canceled"  # somebody stopped it at the provider
    EXPIRED = "expired"  # the provider dropped it, or (provisional) our deadline passed


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELED, State.EXPIRED})

SUCCESSES = range(200, 300)  # HTTP status codes


class Origin(StrEnum):
    """Where an update came from."""

    PUSH = "push"
    POLL = "poll"
    SUBMIT = "submit"  # the provider's response to the user's own submit call
    DEADLINE = "deadline"  # our own: the job's deadline has passed


class Push(msgspec.Struct, frozen=True, gc=False):
    """One raw inbound request: header names in lower case, the body as it was signed."""

    headers: Mapping[str, str]
    body: bytes
    query: str = ""  # the query string of its URL, not decoded


class Failure(msgspec.Struct, frozen=True):
    """The provider's error of a job."""

    code: str | None = None
    message: str | None = None


class Counts(msgspec.Struct, frozen=True):
    """The counts of a bulk job's parts."""

    total: int | None = None
    succeeded: int | None = None
    failed: int | None = None


class StatusUpdate(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One status update of one job, from a push, a poll, a submit response or our deadline.

    `state` is None if the profile does not know the status; `attempt` is None if the provider does
    not number re-runs. `event_id` is the provider's own id of the update, or None. `flags` are
    anomalies to show: `unknown_status`, `progress_out_of_range`, `result_truncated`,
    `time_in_future`, `result_unreadable`, `unconfirmed` (final, but a poll must confirm it).
    """

    source: str
    id: str
    status: str
    state: State | None
    at: float
    origin: Origin
    aliases: tuple[str, ...] = ()
    attempt: int | None = None
    progress: float | None = None
    result: msgspec.Raw = NULL
    error: Failure | None = None
    counts: Counts | None = None
    event_id: str | None = None
    flags: tuple[str, ...] = ()
    params: dict[str, str] = {}  # fills {placeholders} of poll requests
    # seconds until the provider wants the next poll
    poll_after: float | None = msgspec.field(default=None, name="again")
    remaining: float | None = None  # seconds that the provider expects the job to take yet
    reopens: bool = False  # whether a poll that started after the end may start a new attempt
    # when its poll started, by Redis' clock
    poll_started_at: float | None = msgspec.field(default=None, name="begun")
    # when the last run ended, if pushes say so
    run_ended_at: float | None = msgspec.field(default=None, name="ended")
    trace: str | None = None  # `traceparent` of its push or poll
    own_trace: bool = False  # Ringback began that trace: a caller's goes before it


class Polling(msgspec.Struct, frozen=True, omit_defaults=True):
    """The polling settings of one job; None is the profile's."""

    enabled: bool = True
    every: float | None = None  # seconds between polls, instead of the profile's


class Callback(msgspec.Struct, frozen=True):
    """A job's own callback URL, and the lane of its deliveries."""

    id: str
    lane: str


class Membership(msgspec.Struct, frozen=True):
    """A group that a job is a member of."""

    group: str
    uid: str  # of the group's record: another group may get its id later
    member: str  # the `source/id` under which the group knows the job


class FailedPolls(msgspec.Struct, frozen=True):
    """The series of a job's polls that failed since its last answer."""

    count: int
    since: float  # when the first of them failed
    error: str  # why the last one failed, in at most 200 characters, without secrets
    stalled: bool = False  # whether `job.poll_stalled` was published for this series
    unseen_since: float = 0.0  # when the first of them failed since a push of the job; 0: none has


class Job(msgspec.Struct, frozen=True, omit_defaults=True):
    """The one record of a job. Identity: (source, id)."""

    source: str
    provider: str
    id: str
    uid: str  # unique per record, even if the id is used again; a part of event ids
    created_at: float
    deadline: float  # seconds from the first update (or a re-run's first) until we give up
    deadline_at: float
    kind: str | None = None
    state: State = State.QUEUED
    previous_state: State | None = None
    provisional: bool = False  # expired by our deadline; a later update may still change it
    status: str | None = None
    status_at: float = 0.0  # the time of the newest update that was not ignored
    attempt: int = 1
    sequence: int = 0  # events so far
    progress: float | None = None
    progressed_at: float = 0.0  # when the last job.progressed was emitted
    result: msgspec.Raw = NULL
    error: Failure | None = None
    counts: Counts | None = None
    partial: bool = False
    flags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    params: dict[str, str] = {}  # fills {placeholders} of poll requests
    aliases: tuple[str, ...] = ()
    callbacks: tuple[Callback, ...] = ()
    groups: tuple[Membership, ...] = ()
    polling: Polling = Polling()
    seen: bool = False  # whether a push or a poll has shown that the provider has the job
    origin: Origin | None = None  # of the update that made the newest transition
    started_at: float | None = None
    finished_at: float | None = None  # by the provider's clock, if it gives a time
    ended_at: float | None = None  # the same by Redis' clock: retention is counted from it
    completion: str | None = None  # id of the newest completion event
    trace: str | None = None  # `traceparent` of the last transition, or of the registration
    own_trace: bool = False  # Ringback began that trace
    # a pushed final update that a poll must confirm
    unconfirmed: StatusUpdate | None = msgspec.field(default=None, name="claimed")
    # when a push last requested a poll
    poll_requested_at: float = msgspec.field(default=0.0, name="hinted_at")
    # the provider does not want a poll before then
    poll_not_before: float = msgspec.field(default=0.0, name="again_at")
    failed_polls: FailedPolls | None = None  # None: the last poll brought an answer
    poll_stalls: int = 0  # series of failed polls for which `job.poll_stalled` was published
    push_missing: bool = False  # a poll found the end, and no push of it has come
    polled_at: float = 0.0  # when the last poll began that found the job unfinished
    expected_at: float = 0.0  # when the provider expects the end

    @property
    def attempt_since(self) -> float:
        """When this attempt was first seen."""
        return max(self.created_at, self.deadline_at - self.deadline)

    @property
    def final(self) -> bool:
        """Whether this attempt has ended by the provider's word, and not only by our deadline."""
        return self.state in FINAL and not self.provisional


class HistoryEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a job's history: a transition, a progress, an ignored update, a failed poll."""

    origin: Origin
    status: str
    state: State  # the job's state afterwards
    was: State
    attempt: int
    event: str | None = None  # id of the event that it caused
    ignored: str | None = None  # the reason why it changed nothing
    flags: tuple[str, ...] = ()


class Subscription(SubscriptionSettings, frozen=True, omit_defaults=True, kw_only=True):
    """A subscription as Redis has it: its settings, secrets and state.

    `secrets` are `whsec_` (`v1`) or `whsk_` (`v1a`) strings, newest first; all of them sign.
    `static` ones come from the configuration file and cannot be changed through the API.
    """

    id: str
    secrets: tuple[str, ...]
    created_at: float = 0.0
    static: bool = False
    disabled: str | None = None  # the reason, or None while it is enabled
    old_secret_until: float = 0.0  # until when the secrets behind the newest sign too
    origin: str | None = None  # the `WebHook-Request-Origin` that a handshake confirmed


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One HTTP request of a delivery."""

    at: float
    seconds: float
    status: int | None = None
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the subscriber answered 2xx."""
        return self.status is not None and self.status in SUCCESSES


class JobOrder(msgspec.Struct, frozen=True):
    """The position of a delivery within its job; an ordered subscription gets them one by one."""

    job: str  # the uid of its record
    sequence: int  # of the event


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event for one subscription or callback, with its attempts."""

    id: str
    event_id: str
    type: str
    target: str  # id of a subscription (`sub_…`) or of a callback target (`cb_…`)
    created_at: float
    attempts: tuple[Attempt, ...] = ()
    trace: str | None = None  # `traceparent` to send with it
    order: JobOrder | None = None  # if its subscription wants the events of a job in order
    job: str | None = None  # `source/id` of the job that its event is about


class EndedDelivery(Delivery, frozen=True, omit_defaults=True, kw_only=True):
    """The record of a delivery that has ended."""

    state: str  # one of ARRIVED or DEAD
    reason: str | None  # why, unless it arrived


ARRIVED = ("delivered", "superseded")
"""The ends of a delivery that need no replay: its event was delivered, or a later one of the job."""

DEAD = ("failed", "canceled")
"""The ends of a delivery that did not arrive (dead letters)."""


class HttpResponse(msgspec.Struct, frozen=True):
    """A received HTTP response: header names in lower case, body cut at a limit.

    `cut`: why the body is not whole, such as "the answer broke off"; empty if it is.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float
    cut: str = ""


class Retention(msgspec.Struct, frozen=True):
    """Retention: how long Redis keeps records, in seconds; the configuration checks the bounds."""

    jobs: float = 30 * 86_400.0  # after a job's deadline, or its end if that is later
    events: float = 7 * 86_400.0
    events_count: int = 1_000_000  # events per shard, after the clock has trimmed
    deliveries: float = 30 * 86_400.0  # ended deliveries, and at most about 1,000 of a target
    seen: float = 7 * 86_400.0  # pushes (to dedupe repeats) and deletions of jobs
    waiting: int = 100_000  # waiting deliveries of a subscription in a shard; more overflow

    @property
    def arrived(self) -> int:
        """How many events that a subscription got are remembered in a shard, at least, for 8 days.

        More than the log keeps: it is trimmed late, and what waits may arrive after newer events.
        """
        return self.events_count + self.waiting
