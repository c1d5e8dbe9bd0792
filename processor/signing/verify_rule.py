"""The `[push.verify]` table of a profile: the signature scheme, and where the signature is."""

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
)  # the keys that describe a provider's own signature format

STANDARD = "standard-webhooks"
STANDARD_SECRETS = ("whsec_", "whpk_")  # prefixes of its secrets and public keys

# The keys that each scheme allows; any other key of the table is refused.
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


_TIMED = frozenset({"standard-webhooks", "sns"})  # these schemes always carry a timestamp
_NAME = re.compile(r"[A-Za-z0-9_-]*")
_SENDER = re.compile(r"header:[A-Za-z0-9_-]+")
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]+)?/[!\"$-~]*")


class Verify(msgspec.Struct, frozen=True, forbid_unknown_fields=True, cache_hash=True):
    """How a provider's pushes are verified; docs/profiles.md explains each key."""

    scheme: str
    header: str = ""
    older: tuple[str, ...] = ()  # former names of the header
    field: str = ""
    query: str = ""
    format: str = ""
    encoding: str = "hex"
    signs: str = signed_content.WHOLE
    timestamp: str = ""
    tolerance: float | str = float(TOLERANCE)  # written as a duration; stored in seconds
    keys: str = ""
    sender: str = ""
    raw_secret: bool | str = False  # or "base64"
    other: "Verify | None" = msgspec.field(name="or", default=None)

    def __post_init__(self) -> None:
        """Refuse rules that can never match, and rules that anybody could satisfy."""
        if self.scheme not in ALLOWED_KEYS:
            raise ValueError(f"unknown scheme `{self.scheme}`; known are {', '.join(ALLOWED_KEYS)}")
        if isinstance(self.tolerance, str):
            msgspec.structs.force_setattr(self, "tolerance", parse_duration(self.tolerance))
        for field in msgspec.structs.fields(self):
            given = getattr(self, field.name) != field.default
            if given and field.name not in {"scheme", "other", *ALLOWED_KEYS[self.scheme]}:
                raise ValueError(f"{self.scheme} does not use `{field.name}`; remove it")
        for wrong, why in _REFUSED:
            if wrong(self):
                raise ValueError(why.format(**msgspec.structs.asdict(self)))

    def for_push(self, push: Push) -> "Verify":
        """The rule for this push: with a former name of the header if only that is there."""
        if not self.older or self.header.lower() in push.headers:
            return self
        found = next((name for name in self.older if name.lower() in push.headers), self.header)
        return _renamed(self, found)

    @property
    def alternatives(self) -> tuple["Verify", ...]:
        """The rule and its `or`, of which the owner of the webhook chose one."""
        return _alternatives(self) if self.other else (self,)

    @property
    def secret_selects_scheme(self) -> bool:
        """Whether a secret shows which alternative it is for: Standard Webhooks has a prefix."""
        return len({way.scheme == STANDARD for way in self.alternatives}) > 1

    def alternative_for(self, secret: str) -> "Verify":
        """The alternative that a secret is for; the first if it may be for any."""
        marked = secret.startswith(STANDARD_SECRETS)
        fit = [way for way in self.alternatives if (way.scheme == STANDARD) is marked]
        return fit[0] if self.secret_selects_scheme else self.alternatives[0]

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The placeholders in `signs`."""
        return signed_content.placeholders(self.signs)

    @property
    def signs_only_fields(self) -> bool:
        """Whether the signature covers fields of a form, and nothing else in the body."""
        return self.is_custom and not {"body", "sha256"} & {*self.placeholders}

    @property
    def pairs(self) -> re.Match[str] | None:
        """The names and the separator, if `format` describes pairs."""
        return PAIRS.fullmatch(self.format)

    @property
    def is_custom(self) -> bool:
        """Whether the table describes the signature itself, instead of naming a standard."""
        return ALLOWED_KEYS[self.scheme] >= _SIGNED


@lru_cache(1024)  # creating a rule validates it, which takes time
def _alternatives(rule: Verify) -> tuple[Verify, ...]:
    first = msgspec.structs.replace(rule, other=None)
    return (first, rule.other) if rule.other else (first,)


@lru_cache(1024)
def _renamed(rule: Verify, header: str) -> Verify:
    return msgspec.structs.replace(rule, header=header, older=())


def _lower(rule: Verify) -> set[str]:
    """The placeholders of `signs` in lower case, since header names ignore case."""
    return {placeholder.lower() for placeholder in rule.placeholders}


def _has_published_keys(rule: Verify) -> bool:
    return rule.scheme in {"ed25519", "sns"}


_REFUSED: tuple[tuple[Callable[[Verify], object], str], ...] = (
    (
        lambda r: r.raw_secret not in {True, False, "base64"},
        '`raw_secret` is true (the secret itself is the key) or "base64"',
    ),
    (
        lambda r: r.other and r.other.other,
        "`or` is one other way to sign; remove the `or` inside it",
    ),
    (
        lambda r: r.other and any(map(_has_published_keys, (r, r.other))),
        "`or` joins two schemes that use a secret; ed25519 and sns use none",
    ),
    (
        lambda r: not all(_NAME.fullmatch(n) for n in (r.header, r.timestamp, *r.older)),
        "`header`, `older` and `timestamp` are header names: letters, digits and -",
    ),
    (
        lambda r: r.older and not (r.header and all(r.older)),
        "`older` lists former names of `header`; set `header` to its present name too",
    ),
    (
        lambda r: r.is_custom and not (r.header or r.field),
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
        "`header` names the signature header, such as svix-signature; `{header}` lacks -signature",
    ),
    (
        lambda r: r.scheme == "token" and r.format and not (r.header or r.field),
        "`format` describes a token in `header` or `field`; remove it",
    ),
    (
        lambda r: not (PREFIX.fullmatch(r.format) or r.pairs),
        '`{format}` is not a format; write a prefix, "sha256=", or pairs, "t=,v1="',
    ),
    (
        lambda r: r.pairs and (r.scheme == "token" or r.pairs[1] == r.pairs[3]),
        "the pairs of `format` are a time and a signature with two names; a token has no pairs",
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
        "`signs` holds {{timestamp}}; name its header in `timestamp`, or use pairs in `format`",
    ),
    (
        lambda r: (
            (r.pairs or r.timestamp)
            and not {"timestamp", f"header:{r.timestamp}".lower()} & _lower(r)
        ),
        "the time is not signed, so anybody could change it; put {{timestamp}} into `signs`, or remove it",
    ),
    (
        lambda r: r.tolerance != TOLERANCE and not (r.pairs or r.timestamp or r.scheme in _TIMED),
        "`tolerance` needs a time: set `timestamp`, use pairs in `format`, or remove it",
    ),
    (lambda r: not 0 < float(r.tolerance) < float("inf"), "`tolerance` must be more than 0"),
    (
        lambda r: r.scheme.startswith("hash-") and signed_content.SECRET not in r.placeholders,
        "{scheme} proves nothing without a secret; put {{secret}} into `signs`",
    ),
    (
        lambda r: r.scheme.startswith("hash-") and not r.signs.endswith("{secret}"),
        "`signs` must end with {{secret}}: elsewhere a length extension attack could forge it",
    ),
    (
        lambda r: not r.scheme.startswith("hash-") and signed_content.SECRET in r.placeholders,
        "{scheme} does not sign its secret; remove {{secret}} from `signs`",
    ),
    (
        lambda r: (
            not any(h in {"body", "sha256"} or h.startswith("field:") for h in r.placeholders)
        ),
        "`signs` must hold {{body}}, {{sha256}} or {{field:NAME}}: else any body would be accepted",
    ),
    (
        lambda r: (
            r.field and {"body", "sha256", f"field:{r.field}"} & {*r.placeholders} and r.is_custom
        ),
        "a signature in `field` cannot sign the body that contains it; sign another {{field:NAME}}",
    ),
    (
        lambda r: f"header:{r.header}".lower() in _lower(r),
        "a signature cannot sign itself; remove {{header:{header}}} from `signs`",
    ),
    (
        lambda r: r.scheme == "ed25519" and not _HTTPS.fullmatch(r.keys),
        "ed25519 needs `keys`, the https:// URL of the provider's JWKS",
    ),
    (
        lambda r: r.sender and not _SENDER.fullmatch(r.sender),
        '`sender` is "header:NAME": the header that names the sender',
    ),
    (
        lambda r: r.sender and r.sender.lower() not in _lower(r),
        "`sender` is not signed, so anybody could change it; put {{{sender}}} into `signs`",
    ),
)
"""Rules that are refused, each with its remedy: those that can never match, and those that anybody
could satisfy, which is worse."""
