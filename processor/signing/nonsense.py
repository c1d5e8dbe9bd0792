"""What may not stand together in `[push.verify]`, each with its remedy.

Some of it could never hold; some of it anybody could make hold, which is worse.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from processor.signing.parse.encoding import ENCODE, PREFIX
from processor.signing.parse.signed_content import SECRET
from processor.signing.parse.timestamp import TOLERANCE

if TYPE_CHECKING:
    from processor.signing.verify_rule import Verify

_TIMED = frozenset({"standard-webhooks", "sns"})  # they say themselves where the time is
_NAME = re.compile(r"[A-Za-z0-9_-]*")
_SENDER = re.compile(r"header:[A-Za-z0-9_-]+")
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]+)?/[!\"$-~]*")

Wrong = Callable[["Verify"], object]


def _lower(rule: "Verify") -> set[str]:
    """What `signs` covers; the case of a header's name does not matter."""
    return {hole.lower() for hole in rule.holes}


def _takes_no_secret(rule: "Verify") -> bool:
    return rule.scheme in {"ed25519", "sns"}


NONSENSE: tuple[tuple[Wrong, str], ...] = (
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
        lambda r: "timestamp" in r.holes and not (r.pairs or r.timestamp),
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
        lambda r: r.scheme.startswith("hash-") and SECRET not in r.holes,
        "{scheme} proves nothing without a secret; put {{secret}} into `signs`",
    ),
    (
        lambda r: r.scheme.startswith("hash-") and not r.signs.endswith("{secret}"),
        "`signs` must end with {{secret}}: before anything else, what follows could be lengthened",
    ),
    (
        lambda r: not r.scheme.startswith("hash-") and SECRET in r.holes,
        "{scheme} does not sign its secret; take {{secret}} out of `signs`",
    ),
    (
        lambda r: not any(h in {"body", "sha256"} or h.startswith("field:") for h in r.holes),
        "`signs` must hold {{body}}, {{sha256}} or {{field:NAME}}: else any body would do",
    ),
    (
        lambda r: r.field and {"body", "sha256", f"field:{r.field}"} & {*r.holes} and r.describes,
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
