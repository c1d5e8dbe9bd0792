"""What a profile may say about a provider: frozen values, compiled once.

A profile has kinds of jobs; the default kind is None and is written at the top of the
file, a named one under `[kinds.NAME]`. All kinds share one push URL and so one
`[push.verify]`, but each reads its own updates, has its own states and its own poll.
"""

from typing import Literal

import msgspec

from processor.provider.place import Place
from processor.provider.template import Call, Template
from processor.provider.words import About, Budget, Seconds, States
from processor.signing import Verify

WHOLE = Place("")


class ProgressAt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where progress lies, and what number means done."""

    at: Place
    of: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a division by zero."""
        if self.of <= 0:
            raise ValueError("`of` is the number that means done; it must be more than 0")


class FailureAt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the provider says what went wrong."""

    code: Place | None = None
    message: Place | None = None


class CountsAt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a bulk job counts its parts."""

    total: Place | None = None
    succeeded: Place | None = None
    failed: Place | None = None


class Fields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where things lie in one update."""

    id: Place
    status: Place
    aliases: tuple[Place, ...] = ()
    attempt: Place | None = None
    progress: ProgressAt | None = None
    result: Place | None = None
    error: FailureAt | None = None
    counts: CountsAt | None = None
    time: Place | None = None
    event_id: Place | None = None


class Told(Fields, frozen=True, kw_only=True):
    """How one kind's updates are read from a push."""

    about: About = About()


class Poll(Fields, frozen=True, kw_only=True):
    """How to ask for one job, and how the answer is read."""

    request: Call
    every: tuple[Seconds, Seconds]  # first interval, longest interval
    pause: Seconds | None = msgspec.field(default=None, name="after")
    root: Place = WHOLE  # where the update lies in the answer
    reads: frozenset[int] = frozenset({200})  # HTTP codes whose body carries a status
    budget: Budget | None = None
    gone: bool = False  # 404 or 410: the provider dropped a job that it had
    reopens: bool = False  # a re-run keeps its id and carries no number
    auth: Literal["bearer", "bearer-if-set"] | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse an interval that would never end or never start."""
        if not 0 < self.every[0] <= self.every[1]:
            raise ValueError('`every` is [first, longest], such as ["1.5s", "10s"]')

    @property
    def after(self) -> float:
        """Seconds from a job's first sight to its first poll."""
        return self.every[0] if self.pause is None else self.pause


class Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One family of a provider's jobs."""

    push: Told | None
    poll: Poll | None
    states: States
    mirror: Template | None = None


class Push(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all kinds' pushes share: the signature, and where the updates lie."""

    verify: Verify | None = None  # None: this provider does not sign
    each: Place = WHOLE  # one update or an array of them


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One provider, as its file describes it. `kinds[None]` is the default kind."""

    name: str
    base_url: str | None  # a source may override it
    push: Push | None
    kinds: dict[str | None, Kind]

    @property
    def signed(self) -> bool:
        """Whether pushes carry a signature, so that a source needs a secret."""
        return self.push is not None and self.push.verify is not None

    @property
    def mirror(self) -> dict[str | None, str]:
        """The provider's own status path with `{id}`, by kind."""
        return {name: kind.mirror.text for name, kind in self.kinds.items() if kind.mirror}

    def polls(self, kind: str | None) -> Poll | None:
        """How to ask for a job of this kind, or None where there is nobody to ask."""
        known = self.kinds.get(kind)
        return known.poll if known else None

    def kind_of(self, job_id: str) -> str | None:
        """The kind that a job's id names: `media` for `media:l9dq…`, else the default."""
        prefix, colon, _ = job_id.partition(":")
        return prefix if colon and prefix in self.kinds else None
