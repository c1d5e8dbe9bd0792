"""The `[push.verify]` table of a profile: which scheme, and where the signature is."""

import re
from functools import lru_cache

import msgspec

from processor.durations import duration
from processor.model import Push
from processor.signing.nonsense import NONSENSE
from processor.signing.parse import signed_content
from processor.signing.parse.encoding import PAIRS
from processor.signing.parse.timestamp import TOLERANCE

_SIGNED = frozenset(
    {"header", "older", "field", "format", "encoding", "signs", "timestamp", "tolerance"}
)  # what describes a signature that no standard describes

STANDARD = "standard-webhooks"
STANDARD_SECRETS = ("whsec_", "whpk_")  # how its secrets and public keys begin

# Which keys of the table each scheme takes; the others would mean nothing.
TAKES: dict[str, frozenset[str]] = {
    "hmac-sha1": _SIGNED,
    "hmac-sha256": _SIGNED,
    "hmac-sha384": _SIGNED,
    "hmac-sha512": _SIGNED,
    "hmac-named": _SIGNED,
    "hash-sha1": _SIGNED,
    "hash-sha256": _SIGNED,
    "standard-webhooks": frozenset({"header", "tolerance", "raw_secret"}),
    "ed25519": _SIGNED | {"keys", "sender"},
    "sns": frozenset({"tolerance"}),
    "token": frozenset({"header", "field", "query", "format"}),
}


class Verify(msgspec.Struct, frozen=True, forbid_unknown_fields=True, cache_hash=True):
    """How a provider's pushes are verified; docs/profiles.md says what each key means."""

    scheme: str
    header: str = ""
    older: tuple[str, ...] = ()  # names that the header had before
    field: str = ""
    query: str = ""
    format: str = ""
    encoding: str = "hex"
    signs: str = signed_content.WHOLE
    timestamp: str = ""
    tolerance: float | str = float(TOLERANCE)  # as text a duration; kept as seconds
    keys: str = ""
    sender: str = ""
    raw_secret: bool | str = False  # or "base64"
    other: "Verify | None" = msgspec.field(name="or", default=None)

    def __post_init__(self) -> None:
        """Refuse what could never hold, and what anybody could make hold."""
        if self.scheme not in TAKES:
            raise ValueError(f"unknown scheme `{self.scheme}`; known are {', '.join(TAKES)}")
        if isinstance(self.tolerance, str):
            msgspec.structs.force_setattr(self, "tolerance", duration(self.tolerance))
        for field in msgspec.structs.fields(self):
            given = getattr(self, field.name) != field.default
            if given and field.name not in {"scheme", "other", *TAKES[self.scheme]}:
                raise ValueError(f"`{field.name}` means nothing to {self.scheme}; remove it")
        for wrong, why in NONSENSE:
            if wrong(self):
                raise ValueError(why.format(**msgspec.structs.asdict(self)))

    def at(self, push: Push) -> "Verify":
        """The rule for a push: its header's older name where only that is there."""
        if not self.older or self.header.lower() in push.headers:
            return self
        found = next((name for name in self.older if name.lower() in push.headers), self.header)
        return _renamed(self, found)

    @property
    def ways(self) -> tuple["Verify", ...]:
        """All the ways to sign, of which the hook's owner chose one."""
        return _ways(self) if self.other else (self,)

    @property
    def tells_apart(self) -> bool:
        """Whether a secret says which way it is for: those of Standard Webhooks are marked."""
        return len({way.scheme == STANDARD for way in self.ways}) > 1

    def way_of(self, secret: str) -> "Verify":
        """The way that a secret is for; the first where it may be for any."""
        marked = secret.startswith(STANDARD_SECRETS)
        fit = [way for way in self.ways if (way.scheme == STANDARD) is marked]
        return fit[0] if self.tells_apart else self.ways[0]

    @property
    def holes(self) -> tuple[str, ...]:
        """The placeholders in `signs`."""
        return signed_content.holes(self.signs)

    @property
    def pairs(self) -> re.Match[str] | None:
        """The names and what parts them, where `format` is of pairs."""
        return PAIRS.fullmatch(self.format)

    @property
    def describes(self) -> bool:
        """Whether it is this table that says what is signed."""
        return TAKES[self.scheme] >= _SIGNED


@lru_cache(1024)  # making a rule checks all of it
def _ways(rule: Verify) -> tuple[Verify, ...]:
    first = msgspec.structs.replace(rule, other=None)
    return (first, rule.other) if rule.other else (first,)


@lru_cache(1024)
def _renamed(rule: Verify, header: str) -> Verify:
    return msgspec.structs.replace(rule, header=header, older=())
