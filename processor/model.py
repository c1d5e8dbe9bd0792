"""The nouns: frozen values that every other module speaks of.

Times are seconds since the epoch (float); ids are strings; JSON values that only
pass through stay `msgspec.Raw` and are never decoded.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from processor.subscription_settings import SubscriptionSettings

NULL = msgspec.Raw(b"null")


class State(StrEnum):
    """Our word for where a job is. The provider's own word is its status."""

    QUEUED = "queued"  # accepted, not begun; where an unknown first word puts a job
    RUNNING = "running"  # in process, whatever the provider calls the stage
    SUCCEEDED = "succeeded"  # done; `partial` when some of its parts failed
    FAILED = "failed"  # the provider gave up
    CANCELED = "canceled"  # somebody stopped it at the provider
    EXPIRED = "expired"  # the provider dropped it, or (provisional) our deadline passed


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELED, State.EXPIRED})


class Origin(StrEnum):
    """Where an update came from."""

    PUSH = "push"
    POLL = "poll"
    SUBMIT = "submit"  # the provider's answer to the user's own submit call
    DEADLINE = "deadline"  # ours: the job's time is up


class Push(msgspec.Struct, frozen=True):
    """One raw inbound request: header names in lower case, the body as it was signed."""

    headers: Mapping[str, str]
    body: bytes
    query: str = ""  # of its URL, as it came


class Failure(msgspec.Struct, frozen=True):
    """What the provider says went wrong."""

    code: str | None = None
    message: str | None = None


class Counts(msgspec.Struct, frozen=True):
    """Parts of a bulk job."""

    total: int | None = None
    succeeded: int | None = None
    failed: int | None = None


class StatusUpdate(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one push or poll said about one job, in our words.

    `state` is None where the provider's word is unknown to its profile; `attempt` is
    None where the provider does not number its re-runs. `event_id` is the provider's
    own id of this update, or None. `flags` are oddities worth showing:
    `unknown_status`, `progress_out_of_range`, `result_truncated`, `time_in_future`, `result_unreadable`,
    `unconfirmed` (a final word that counts once a poll says so too).
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
    again: float | None = None  # seconds until the provider wants to be asked again
    reopens: bool = False  # a poll begun after the final may start a new attempt
    begun: float | None = None  # when the poll that brought it began, by Redis' clock
    ended: float | None = None  # when its last run ended, where a push says that of re-runs too
    trace: str | None = None  # `traceparent` of the push that brought it


class Polling(msgspec.Struct, frozen=True, omit_defaults=True):
    """One job's wishes about polling; None leaves it to the profile."""

    enabled: bool = True
    every: float | None = None  # seconds between polls, instead of the profile's


class Callback(msgspec.Struct, frozen=True):
    """A job's own callback target, and the lane that its deliveries wait in."""

    id: str
    lane: str


class Job(msgspec.Struct, frozen=True, omit_defaults=True):
    """The one record of a job. Identity: (source, id)."""

    source: str
    provider: str
    id: str
    uid: str  # tells this record from an earlier one of the same name; in event ids
    created_at: float
    deadline: float  # seconds from first sight (or from a re-run's) until we give up
    deadline_at: float
    kind: str | None = None
    state: State = State.QUEUED
    previous_state: State | None = None
    provisional: bool = False  # expired by our deadline; the provider may yet speak
    status: str | None = None
    status_at: float = 0.0  # the time of the newest update that counted
    attempt: int = 1
    sequence: int = 0  # events so far
    progress: float | None = None
    progressed_at: float = 0.0  # when the last job.progressed was told
    result: msgspec.Raw = NULL
    error: Failure | None = None
    counts: Counts | None = None
    partial: bool = False
    flags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    params: dict[str, str] = {}  # fills {placeholders} of poll requests
    aliases: tuple[str, ...] = ()
    callbacks: tuple[Callback, ...] = ()
    polling: Polling = Polling()
    seen: bool = False  # the provider has spoken of it at least once
    origin: Origin | None = None  # of the update that made the newest transition
    started_at: float | None = None
    finished_at: float | None = None  # by the provider's clock, where it tells the time
    ended_at: float | None = None  # the same by Redis' clock: what lifetimes are counted from
    completion: str | None = None  # id of the newest completion event
    trace: str | None = None  # `traceparent` of who moved it last, or of who registered it
    claimed: StatusUpdate | None = None  # a pushed final that waits for a poll to agree
    hinted_at: float = 0.0  # when a push last had it asked about
    again_at: float = 0.0  # before then the provider does not want to be asked


class HistoryEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a job's history: a transition, a progress, or an ignored update."""

    origin: Origin
    status: str
    state: State  # where the job was afterwards
    was: State
    attempt: int
    event: str | None = None  # id of the event that it became
    ignored: str | None = None  # why it changed nothing
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
    old_secret_until: float = 0.0  # until when a rotated secret signs too
    origin: str | None = None  # the `WebHook-Request-Origin` that a handshake confirmed


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One HTTP try of a delivery."""

    at: float
    seconds: float
    status: int | None = None
    error: str | None = None


class JobOrder(msgspec.Struct, frozen=True):
    """The place of a delivery among those of its job, which an ordered subscription gets one by one."""

    job: str  # the uid of its record
    sequence: int  # of the event


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event for one subscription or callback target, and how far it got."""

    id: str
    event_id: str
    type: str
    target: str  # id of a subscription (`sub_…`) or of a callback target (`cb_…`)
    created_at: float
    attempts: tuple[Attempt, ...] = ()
    trace: str | None = None  # `traceparent` to send with it
    order: JobOrder | None = None  # where its subscription wants the events of a job in order


ARRIVED = ("delivered", "superseded")
"""How a delivery ends that needs no replay: its event came, or a later one of its job did."""

DEAD = ("failed", "canceled")
"""How a delivery ends that did not arrive."""


class HttpResponse(msgspec.Struct, frozen=True):
    """An HTTP answer that we got: header names in lower case, body capped."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


class Retention(msgspec.Struct, frozen=True):
    """How long Redis keeps what, in seconds; the configuration checks their bounds."""

    jobs: float = 30 * 86_400.0  # behind a job's deadline, or its end if that is later
    events: float = 7 * 86_400.0
    events_count: int = 1_000_000  # of a shard, when the clock has swept
    deliveries: float = 30 * 86_400.0  # that have ended, and at most about 1,000 of a target
    seen: float = 7 * 86_400.0  # that a push is remembered, and that a deletion is
    waiting: int = 100_000  # deliveries of a subscription in a shard; the rest stays in the log
