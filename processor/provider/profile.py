"""What a profile may say about a provider: frozen values, compiled once.

A profile has kinds of jobs; the default kind is None and is written at the top of the
file, a named one under `[kinds.NAME]`. All kinds share one push URL and so one
`[push.verify]`, but each reads its own updates, has its own states and its own poll.
"""

from datetime import date
from typing import Any, Literal

import msgspec

from processor import signing
from processor.http_time import UNITS
from processor.provider.condition import Condition, StatusField
from processor.provider.field_types import Auth, Budget, Decode, Seconds, Size, States
from processor.provider.pointer import Pointer, PointerSum
from processor.provider.url_template import PollTarget, UrlTemplate
from processor.provider.webhook_setup import WebhookSetup
from processor.signing import Verify

WHOLE = Pointer("")


class ProgressField(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where progress lies, and what number means done, or where that lies."""

    at: Pointer
    of: Any = 1.0  # a number, or a place

    def __post_init__(self) -> None:
        """Read the place; refuse a division by zero."""
        if isinstance(self.of, bool) or not isinstance(self.of, int | float):
            msgspec.structs.force_setattr(self, "of", Pointer(self.of))
        elif self.of <= 0:
            raise ValueError("`of` is the number that means done; it must be more than 0")


class ErrorFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the provider says what went wrong."""

    code: Pointer | None = None
    message: Pointer | None = None


class CountFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a bulk job counts its parts."""

    total: PointerSum | None = None
    succeeded: PointerSum | None = None
    failed: PointerSum | None = None


class UpdateFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where things lie in one update."""

    id: Pointer | None = None  # None: it is the job that was asked about
    status: StatusField | None = None  # None: it says only that the job is there
    aliases: tuple[Pointer, ...] = ()
    attempt: Pointer | None = None
    progress: ProgressField | None = None
    result: Pointer | None = None
    error: ErrorFields | None = None
    counts: CountFields | None = None
    time: Pointer | None = None
    params: dict[str, Pointer] = msgspec.field(default_factory=dict)


class PushFields(UpdateFields, frozen=True, kw_only=True):
    """How one kind's updates are read from a push."""

    id: Pointer
    status: StatusField
    matches: Condition = msgspec.field(default=Condition(), name="about")
    event_id: Pointer | None = None
    reopens: Pointer | None = (
        None  # when the last run ended, of jobs that run again without a number
    )


class PollHint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a provider says when to ask again, beside Retry-After."""

    at: Pointer
    unit: str = "s"

    def __post_init__(self) -> None:
        """Refuse a unit that nobody knows."""
        if self.unit not in UNITS:
            raise ValueError(f"unit `{self.unit}` is not known; write {', '.join(UNITS)}")


class PollRules(UpdateFields, frozen=True, kw_only=True):
    """How to ask for one job, and how the answer is read."""

    status: StatusField
    request: PollTarget
    every: tuple[Seconds, Seconds]  # first interval, longest interval
    pause: Seconds | None = msgspec.field(default=None, name="after")
    root: Pointer = WHOLE  # where the update lies in the answer
    reads: frozenset[int] = frozenset({200})  # HTTP codes whose body carries a status
    budget: Budget | None = None
    gone: bool = False  # 404 or 410: the provider dropped a job that it had
    reopens: bool = False  # a re-run keeps its id and carries no number
    auth: Auth | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    throttled: Condition | None = None
    hint: PollHint | None = None
    etag: bool = False

    def __post_init__(self) -> None:
        """Refuse an interval that would never end or never start."""
        if not 0 < self.every[0] <= self.every[1]:
            raise ValueError('`every` is [first, longest], such as ["1.5s", "10s"]')

    @property
    def after(self) -> float:
        """Seconds from a job's first sight to its first poll."""
        return self.every[0] if self.pause is None else self.pause


class JobKind(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One family of a provider's jobs."""

    push: PushFields | None
    poll: PollRules | None
    states: States
    submit: UpdateFields | None = None
    mirror: UrlTemplate | None = None

    @property
    def params_from_provider(self) -> frozenset[str]:
        """The params that the provider itself tells of a job."""
        return frozenset(
            name
            for fields in (self.push, self.poll, self.submit)
            if fields
            for name in fields.params
        )


class EchoRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A challenge that some providers send first, and want to see again."""

    at: Pointer
    key: str = msgspec.field(name="as")


class PushRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all kinds' pushes share: the signature, and where the updates lie."""

    verify: Verify | None = None  # None: this provider does not sign
    decode: Decode = Decode("json")
    each: Pointer = WHOLE  # one update or an array of them
    trust: Literal["event", "refetch"] = "event"
    answer: int = 202
    lenient: bool = False  # one refusal ends the hook, so what is genuine is never refused
    echo: EchoRule | None = None
    largest: Size | None = None  # bytes of a push, where the provider documents more than 1 MiB

    def __post_init__(self) -> None:
        """Refuse an answer that would say no."""
        if not 200 <= self.answer < 300:  # noqa: PLR2004 - HTTP's success
            raise ValueError("`answer` is what a push that was taken is told: 200 to 299")


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One provider, as its file describes it. `kinds[None]` is the default kind."""

    name: str
    base_url: str | None  # a source may override it
    push: PushRules | None
    kinds: dict[str | None, JobKind]
    params: dict[str, str] = {}  # of placeholders that neither source nor job fills
    docs: str = ""
    checked: date | None = None
    inferred: str = ""
    register: WebhookSetup | None = None

    @property
    def verify(self) -> Verify | None:
        """How its pushes are verified, or None where they cannot be."""
        return self.push.verify if self.push else None

    @property
    def scheme(self) -> str | None:
        """How its pushes are signed, in words; of two ways both."""
        return " or ".join(way.scheme for way in self.verify.alternatives) if self.verify else None

    @property
    def signs(self) -> bool:
        """Whether its pushes are signed; a token in a header or the URL signs nothing."""
        return self.verify is not None and all(
            w.scheme != "token" for w in self.verify.alternatives
        )

    @property
    def placeholders(self) -> frozenset[str]:
        """What a source's params may fill: all placeholders of its requests but ids."""
        polls = [kind.poll.request for kind in self.kinds.values() if kind.poll]
        paths = [call.path for call in polls if call.path]
        register = self.register
        requests = (register.list, register.create, register.update) if register else ()
        paths += [request.path for request in requests if request]
        settings = {call.setting for call in polls if call.setting}
        placeholders = {placeholder for path in paths for placeholder in path.placeholders}
        return frozenset(placeholders | settings) - {"id", "hook"}

    @property
    def needs_secret(self) -> bool:
        """Whether a source must share a secret with it before it can push."""
        return self.verify is not None and signing.needs_secret(self.verify)

    @property
    def auths(self) -> tuple[Auth, ...]:
        """How its own API is told who asks, of all kinds."""
        polls = (kind.poll for kind in self.kinds.values())
        found = {poll.auth.text: poll.auth for poll in polls if poll and poll.auth}
        return tuple(found.values())

    def polls(self, kind: str | None) -> PollRules | None:
        """How to ask for a job of this kind, or None where there is nobody to ask."""
        known = self.kinds.get(kind)
        return known.poll if known else None

    def kind_of(self, job_id: str) -> str | None:
        """The kind that a job's id names: `media` for `media:l9dq…`, else the default."""
        prefix, colon, _ = job_id.partition(":")
        return prefix if colon and prefix in self.kinds else None
