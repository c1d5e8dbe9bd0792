"""The `[push.verify]` table of a profile: which scheme, and where the signature is."""

import re
from collections.abc import Callable
from functools import lru_cache

import msgspec

from processor.durations import parse_duration
from processor.model import Push
from processor.signing.parse import signed_content
from processor.signing.parse.encoding import ENCODE, PAIRS, PREFIX
from processor.signing.parse.timestamp import TOLERANCE

_SIGNED = frozenset(
    {"header", "older", "field", "format", "encoding", "signs", "timestamp", "tolerance"}
)  # what describes a signature that no standard describes

STANDARD = "standard-webhooks"
STANDARD_SECRETS = ("whsec_", "whpk_")  # how its secrets and public keys begin

# Which keys of the table each scheme takes; the others would mean nothing.
ALLOWED_KEYS: dict[str, frozenset[str]] = {
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


_TIMED = frozenset({"standard-webhooks", "sns"})  # their standards say where the time is
_NAME = re.compile(r"[A-Za-z0-9_-]*")
_SENDER = re.compile(r"header:[A-Za-z0-9_-]+")
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]+)?/[!\"$-~]*")


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
        if self.scheme not in ALLOWED_KEYS:
            raise ValueError(f"unknown scheme `{self.scheme}`; known are {', '.join(ALLOWED_KEYS)}")
        if isinstance(self.tolerance, str):
            msgspec.structs.force_setattr(self, "tolerance", parse_duration(self.tolerance))
        for field in msgspec.structs.fields(self):
            given = getattr(self, field.name) != field.default
            if given and field.name not in {"scheme", "other", *ALLOWED_KEYS[self.scheme]}:
                raise ValueError(f"`{field.name}` means nothing to {self.scheme}; remove it")
        for wrong, why in _REFUSED:
            if wrong(self):
                raise ValueError(why.format(**msgspec.structs.asdict(self)))

    def at(self, push: Push) -> "Verify":
        """The rule for a push: its header's older name where only that is there."""
        if not self.older or self.header.lower() in push.headers:
            return self
        found = next((name for name in self.older if name.lower() in push.headers), self.header)
        return _renamed(self, found)

    @property
    def alternatives(self) -> tuple["Verify", ...]:
        """All the ways to sign, of which the hook's owner chose one."""
        return _alternatives(self) if self.other else (self,)

    @property
    def secret_selects_scheme(self) -> bool:
        """Whether a secret says which way it is for: those of Standard Webhooks are marked."""
        return len({way.scheme == STANDARD for way in self.alternatives}) > 1

    def alternative_for(self, secret: str) -> "Verify":
        """The way that a secret is for; the first where it may be for any."""
        marked = secret.startswith(STANDARD_SECRETS)
        fit = [way for way in self.alternatives if (way.scheme == STANDARD) is marked]
        return fit[0] if self.secret_selects_scheme else self.alternatives[0]

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The placeholders in `signs`."""
        return signed_content.placeholders(self.signs)

    @property
    def pairs(self) -> re.Match[str] | None:
        """The names and what parts them, where `format` is of pairs."""
        return PAIRS.fullmatch(self.format)

    @property
    def describes(self) -> bool:
        """Whether it is this table that says what is signed."""
        return ALLOWED_KEYS[self.scheme] >= _SIGNED


@lru_cache(1024)  # making a rule checks all of it
def _alternatives(rule: Verify) -> tuple[Verify, ...]:
    first = msgspec.structs.replace(rule, other=None)
    return (first, rule.other) if rule.other else (first,)


@lru_cache(1024)
def _renamed(rule: Verify, header: str) -> Verify:
    return msgspec.structs.replace(rule, header=header, older=())


def _lower(rule: Verify) -> set[str]:
    """What `signs` covers; the case of a header's name does not matter."""
    return {placeholder.lower() for placeholder in rule.placeholders}


def _takes_no_secret(rule: Verify) -> bool:
    return rule.scheme in {"ed25519", "sns"}


_REFUSED: tuple[tuple[Callable[[Verify], object], str], ...] = (
    (
        lambda r: r.raw_secret not in {True, False, "base64"},
        '`raw_secret` is true where a secret is the key itself, or "base64"',
    ),
    (
        lambda r: r.other and r.other.other,
        "`or` is one other way to sign; a third is not known",
    ),
    (
        lambda r: r.other and any(map(_takes_no_secret, (r, r.other))),
        "`or` is for two ways that take a secret; ed25519 and sns take none",
    ),
    (
        lambda r: not all(_NAME.fullmatch(n) for n in (r.header, r.timestamp, *r.older)),
        "`header`, `older` and `timestamp` are names of headers: letters, digits and -",
    ),
    (
        lambda r: r.older and not (r.header and all(r.older)),
        "`older` are names that `header` had before; say its name of today, too",
    ),
    (
        lambda r: r.describes and not (r.header or r.field),
        "{scheme} needs `header` or `field`, where the signature is",
    ),
    (
        lambda r: r.scheme == "token" and not (r.header or r.field or r.query),
        "token needs `header`, `field` or `query`, where the token is",
    ),
    (lambda r: r.header and r.field, "the signature is in `header` or in `field`; remove one"),
    (
        lambda r: (
            r.scheme == "standard-webhooks"
            and r.header
            and not r.header.lower().endswith("-signature")
        ),
        "`header` is where the signatures are, such as svix-signature: `{header}` lacks -signature",
    ),
    (
        lambda r: r.scheme == "token" and r.format and not (r.header or r.field),
        "`format` is of the token in `header` or `field`; remove it",
    ),
    (
        lambda r: not (PREFIX.fullmatch(r.format) or r.pairs),
        '`{format}` is no format; write what stands before, "sha256=", or pairs, "t=,v1="',
    ),
    (
        lambda r: r.pairs and (r.scheme == "token" or r.pairs[1] == r.pairs[3]),
        "the pairs of `format` are a time and its signature, by two names; a token has none",
    ),
    (
        lambda r: r.encoding not in ENCODE,
        "unknown encoding `{encoding}`; write " + ", ".join(ENCODE),
    ),
    (
        lambda r: r.pairs and r.timestamp,
        "the time is in the pairs of `format`; remove `timestamp`",
    ),
    (
        lambda r: "timestamp" in r.placeholders and not (r.pairs or r.timestamp),
        "`signs` holds {{timestamp}}; say where it is: `timestamp`, or `format` with pairs",
    ),
    (
        lambda r: (
            (r.pairs or r.timestamp)
            and not {"timestamp", f"header:{r.timestamp}".lower()} & _lower(r)
        ),
        "the time is not signed: anybody could change it; put {{timestamp}} into `signs`, or drop it",
    ),
    (
        lambda r: r.tolerance != TOLERANCE and not (r.pairs or r.timestamp or r.scheme in _TIMED),
        "`tolerance` needs a time: `timestamp`, or `format` with pairs; else remove it",
    ),
    (lambda r: not 0 < float(r.tolerance) < float("inf"), "`tolerance` must be more than nothing"),
    (
        lambda r: r.scheme.startswith("hash-") and signed_content.SECRET not in r.placeholders,
        "{scheme} proves nothing without a secret; put {{secret}} into `signs`",
    ),
    (
        lambda r: r.scheme.startswith("hash-") and not r.signs.endswith("{secret}"),
        "`signs` must end with {{secret}}: before anything else, what follows could be lengthened",
    ),
    (
        lambda r: not r.scheme.startswith("hash-") and signed_content.SECRET in r.placeholders,
        "{scheme} does not sign its secret; take {{secret}} out of `signs`",
    ),
    (
        lambda r: (
            not any(h in {"body", "sha256"} or h.startswith("field:") for h in r.placeholders)
        ),
        "`signs` must hold {{body}}, {{sha256}} or {{field:NAME}}: else any body would do",
    ),
    (
        lambda r: (
            r.field and {"body", "sha256", f"field:{r.field}"} & {*r.placeholders} and r.describes
        ),
        "a signature in `field` cannot sign the body, which it is in; `signs` another {{field:NAME}}",
    ),
    (
        lambda r: f"header:{r.header}".lower() in _lower(r),
        "a signature cannot sign itself; take {{header:{header}}} out of `signs`",
    ),
    (
        lambda r: r.scheme == "ed25519" and not _HTTPS.fullmatch(r.keys),
        "ed25519 needs `keys`, the https:// URL of the provider's JWKS",
    ),
    (
        lambda r: r.sender and not _SENDER.fullmatch(r.sender),
        '`sender` is "header:NAME": the header that says who sent it',
    ),
    (
        lambda r: r.sender and r.sender.lower() not in _lower(r),
        "`sender` is not signed, so anybody could write it; put {{{sender}}} into `signs`",
    ),
)
"""What a table must not say, each with the remedy: what could never hold, and what anybody could
make hold, which is worse."""
