"""A provider profile: the tables of its TOML file as frozen values, compiled once.

A profile has one or more kinds of jobs. The default kind is None and is written at the top of the
file; a named kind is written under `[kinds.NAME]`. All kinds share one push URL and so one
`[push.verify]`, but each kind has its own pointers, states and poll.
"""

from datetime import date
from functools import cached_property
from typing import Any, Literal

import msgspec

from processor import signing
from processor.http_time import UNITS
from processor.model import SUCCESSES
from processor.provider.condition import Condition, StatusField
from processor.provider.field_types import Auth, Budget, Decode, Seconds, Size, States
from processor.provider.pointer import Pointer, PointerSum
from processor.provider.url_template import CancelCall, PollTarget, UrlTemplate
from processor.provider.webhook_setup import WebhookSetup
from processor.signing import Verify

WHOLE = Pointer("")


class ProgressField(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The pointer to the progress, and the number that means done, or a pointer to that."""

    at: Pointer
    of: Any = 1.0  # a number, or a pointer

    def __post_init__(self) -> None:
        """Compile the pointer; refuse 0, by which we would divide."""
        if isinstance(self.of, bool) or not isinstance(self.of, int | float):
            msgspec.structs.force_setattr(self, "of", Pointer(self.of))
        elif self.of <= 0:
            raise ValueError("`of` is the number that means done; it must be more than 0")


class WaitField(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The pointer to a number of seconds from now, or to a time (`epoch`)."""

    at: Pointer
    unit: str = "s"

    def __post_init__(self) -> None:
        """Refuse an unknown unit."""
        if self.unit not in UNITS:
            raise ValueError(f"unit `{self.unit}` is not known; write {', '.join(UNITS)}")


class ErrorFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Pointers to the provider's error code and message."""

    code: Pointer | None = None
    message: Pointer | None = None


class CountFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Pointers to the counts of a bulk job's parts."""

    total: PointerSum | None = None
    succeeded: PointerSum | None = None
    failed: PointerSum | None = None


class UpdateFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The pointers to the values of one update."""

    id: Pointer | None = None  # None: the polled job
    status: StatusField | None = None  # None: the update says only that the job exists
    aliases: tuple[Pointer, ...] = ()
    attempt: Pointer | None = None
    progress: ProgressField | None = None
    eta: WaitField | None = None  # when the provider expects the end
    result: Pointer | None = None
    error: ErrorFields | None = None
    counts: CountFields | None = None
    time: Pointer | None = None
    params: dict[str, Pointer] = msgspec.field(default_factory=dict)


class PushFields(UpdateFields, frozen=True, kw_only=True):
    """How the updates of one kind are read from a push."""

    id: Pointer
    status: StatusField
    matches: Condition = msgspec.field(default=Condition(), name="about")
    event_id: Pointer | None = None
    reopens: Pointer | None = None  # when the last run ended, if re-runs have no number


class ListRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one request polls many jobs, and where their answers are in the response.

    Either the request names up to `most` jobs (`{ids}`, with `join` between two of them). Or it is
    for the first page of a list, and `more` for the next ones, of `most` jobs each: `{page}` is the
    number of a page, `{last}` the id of the last job on the page before.
    """

    request: PollTarget
    more: PollTarget | None = None
    each: Pointer
    whole: bool = False  # whether an element is all that the poll of one job would return
    most: int | None = None
    join: str = ","

    def __post_init__(self) -> None:
        """Refuse what is not one of the two kinds of requests."""
        names = self.names_jobs
        if (names or self.more is not None) != (self.most is not None and self.most > 1):
            raise ValueError(
                "`most` is how many jobs {ids} may name, or a page holds before there are `more`; "
                "write it with either"
            )
        if self.more and (names or not _placeholders(self.more) & {"page", "last"}):
            raise ValueError("`more` is for the next page of a list; write {page} or {last} in it")
        if "last" in _placeholders(self.request):
            raise ValueError("`request` is for the first page; write {last} in `more`")

    @property
    def names_jobs(self) -> bool:
        """Whether the request names the jobs."""
        return "ids" in _placeholders(self.request)

    @property
    def placeholders(self) -> frozenset[str]:
        """All that is filled in, in either request."""
        return _placeholders(self.request) | _placeholders(self.more)


def _placeholders(target: PollTarget | None) -> frozenset[str]:
    """The placeholders of a path; a whole URL (`GET {setting}`) has one that no list can fill."""
    if target is None:
        return frozenset()
    return target.path.placeholders if target.path else frozenset({target.setting or ""})


class PollRules(UpdateFields, frozen=True, kw_only=True):
    """How one job is polled, and how the response is read."""

    status: StatusField
    request: PollTarget
    every: tuple[Seconds, Seconds]  # first interval, longest interval
    pause: Seconds | None = msgspec.field(default=None, name="after")
    root: Pointer = WHOLE  # where the update is in the response
    reads: frozenset[int] = frozenset({200})  # HTTP codes whose body contains a status
    budget: Budget | None = None
    gone: bool = False  # whether 404 and 410 mean that the provider dropped the job
    reopens: bool = False  # whether a re-run keeps its id and has no number
    auth: Auth | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    throttled: Condition | None = None
    hint: WaitField | None = None  # when to poll again, if there is no Retry-After
    etag: bool = False
    cancel: CancelCall | None = None  # how the provider is asked to cancel a job
    list: ListRules | None = None
    learn: bool = True  # False: polls keep to `every`, however long jobs take

    def __post_init__(self) -> None:
        """Refuse an interval of 0, and a first interval above the longest."""
        if not 0 < self.every[0] <= self.every[1]:
            raise ValueError('`every` is [first, longest], such as ["1.5s", "10s"]')

    @property
    def after(self) -> float:
        """Seconds from the first time that we learn of a job to its first poll."""
        return self.every[0] if self.pause is None else self.pause


class JobKind(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One kind of a provider's jobs."""

    push: PushFields | None
    poll: PollRules | None
    states: States
    submit: UpdateFields | None = None
    mirror: UrlTemplate | None = None

    @property
    def params_from_provider(self) -> frozenset[str]:
        """The params that the provider itself sends with a job."""
        return frozenset(
            name
            for fields in (self.push, self.poll, self.submit)
            if fields
            for name in fields.params
        )


class EchoRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A challenge that some providers send first and expect back in the response."""

    at: Pointer
    key: str = msgspec.field(name="as")


class PushRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the pushes of all kinds share: the signature, and where the updates are."""

    verify: Verify | None = None  # None: the provider does not sign
    decode: Decode = Decode("json")
    each: Pointer = WHOLE  # one update or an array of them
    trust: Literal["event", "refetch"] = "event"
    answer: int = 202
    # the provider drops a webhook after one error, so every genuine push is accepted
    lenient: bool = False
    echo: EchoRule | None = None
    largest: Size | None = None  # bytes of a push, if the provider documents more than 1 MiB

    def __post_init__(self) -> None:
        """Refuse a status code that is not a success, and to read what no signature covers."""
        if self.answer not in SUCCESSES:
            raise ValueError("`answer` is the status code for an accepted push: 200 to 299")
        for way in self.verify.alternatives if self.verify else ():
            if way.signs_only_fields and f"field:{self.decode.field}" not in way.placeholders:
                raise ValueError(
                    "`signs` covers only fields of a form, and none that is read: write "
                    '`decode` = "form:FIELD" with a {field:FIELD} of `signs`'
                )


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """One provider. `kinds[None]` is the default kind."""

    name: str
    base_url: str | None  # a source may override it
    push: PushRules | None
    kinds: dict[str | None, JobKind]
    params: dict[str, str] = {}  # values of placeholders that neither source nor job fills
    docs: str = ""
    checked: date | None = None
    inferred: str = ""
    register: WebhookSetup | None = None

    @cached_property
    def verify(self) -> Verify | None:
        """How its pushes are verified, or None if they cannot be."""
        return self.push.verify if self.push else None

    @property
    def scheme(self) -> str | None:
        """The names of its signature schemes, for display."""
        return " or ".join(way.scheme for way in self.verify.alternatives) if self.verify else None

    @cached_property
    def signs(self) -> bool:
        """Whether its pushes are signed; a token in a header or the URL is not a signature."""
        return self.verify is not None and all(
            w.scheme != "token" for w in self.verify.alternatives
        )

    @cached_property
    def signs_only_field(self) -> bool:
        """Whether nothing else in a push may be believed than the field of a form that is read."""
        return self.verify is not None and any(
            way.signs_only_fields for way in self.verify.alternatives
        )

    @property
    def placeholders(self) -> frozenset[str]:
        """The params that a source may set: all placeholders of its requests except ids."""
        polls = [kind.poll.request for kind in self.kinds.values() if kind.poll]
        paths = [call.path for call in polls if call.path]
        register = self.register
        requests = (register.list, register.create, register.update) if register else ()
        paths += [request.path for request in requests if request]
        settings = {call.setting for call in polls if call.setting}
        placeholders = {placeholder for path in paths for placeholder in path.placeholders}
        return frozenset(placeholders | settings) - {"id", "hook"}

    @cached_property
    def needs_secret(self) -> bool:
        """Whether a source needs a shared secret before the provider can push."""
        return self.verify is not None and signing.needs_secret(self.verify)

    @property
    def auths(self) -> tuple[Auth, ...]:
        """The distinct ways in which its API expects a token, over all kinds."""
        polls = (kind.poll for kind in self.kinds.values())
        found = {poll.auth.text: poll.auth for poll in polls if poll and poll.auth}
        return tuple(found.values())

    def polls(self, kind: str | None) -> PollRules | None:
        """How a job of this kind is polled, or None if it cannot be."""
        known = self.kinds.get(kind)
        return known.poll if known else None

    def kind_of(self, job_id: str) -> str | None:
        """The kind in a job's id: `media` for `media:l9dq…`, else None, the default kind."""
        if ":" not in job_id:
            return None
        prefix = job_id.partition(":")[0]
        return prefix if prefix in self.kinds else None
