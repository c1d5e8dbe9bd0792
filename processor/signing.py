"""Signatures: the Standard Webhooks one that we send, and the providers' that we check.

A profile names its scheme; none is guessed from a header, because look-alikes exist
(Cloudflare Stream also sends `Webhook-Signature`, with other contents). Everything works
on the raw bytes as received, and whatever a stranger may put into a header ends as
BadSignature, never as another exception.
"""

import binascii
import hmac
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from processor.errors import BadSignature

TOLERANCE = 300  # seconds, both ways: what the Standard Webhooks libraries allow
SHORTEST_KEY, LONGEST_KEY = 24, 64  # bytes, from the Standard Webhooks text
LONGEST_TIMESTAMP = 12  # digits: some 30,000 years; longer is noise
_KEYS = 4096  # keys that are kept ready: preparing one costs four times what using it does


class Verify(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[push.verify]` table of a profile: which scheme, and where the signature is."""

    scheme: str
    header: str = ""  # for schemes without header names of their own; any case

    def __post_init__(self) -> None:
        """Refuse what would otherwise fail at the first push."""
        scheme = SCHEMES.get(self.scheme)
        if scheme is None:
            raise ValueError(f"unknown scheme `{self.scheme}`; known are {', '.join(SCHEMES)}")
        if scheme.takes_header and not self.header:
            raise ValueError(f"{self.scheme} needs `header`, the name of the signature's header")
        if self.header and not scheme.takes_header:
            raise ValueError(f"{self.scheme} has header names of its own; remove `header`")


class Scheme(NamedTuple):
    """One way to sign: how a secret becomes a key, and how a push is checked.

    `check(rule, keys, headers, body, now)` raises BadSignature with the reason.
    """

    key: Callable[[str], bytes]
    check: Callable[[Verify, Sequence[bytes], Mapping[str, str], bytes, float], None]
    takes_header: bool  # whether the profile says which header holds the signature


@lru_cache(_KEYS)
def decode_secret(secret: str) -> bytes:
    """Return the key bytes of a `whsec_` secret, or raise ValueError with the remedy."""
    encoded = secret.removeprefix("whsec_")
    try:
        key = binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError:  # neither ASCII nor base64
        key = b""
    strict = secret.startswith("whsec_") and _base64(key) == encoded
    if not (strict and SHORTEST_KEY <= len(key) <= LONGEST_KEY):
        raise ValueError(
            "a Standard Webhooks secret is `whsec_` and the base64 of 24 to 64 random bytes; "
            'make one with: echo "whsec_$(openssl rand -base64 32)"'
        )
    return key


def secret_key(rule: Verify, secret: str) -> bytes:
    """Turn a configured secret into the scheme's key, or raise ValueError with the remedy."""
    return SCHEMES[rule.scheme].key(secret)


def sign(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the `webhook-signature` header: one `v1,…` entry for each key, in order."""
    content = _content(message_id, str(timestamp), body)
    return " ".join(_v1(key, content) for key in keys)


def verify(
    rule: Verify, keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: float
) -> None:
    """Raise BadSignature, with the reason, unless one of the keys signed this push.

    Header names are in lower case. Every key is tried, so that the time taken does not
    tell which one was right.
    """
    if not keys:
        raise BadSignature("this source has no secret to check the signature with")
    SCHEMES[rule.scheme].check(rule, keys, headers, body, now)


def _text_key(secret: str) -> bytes:
    if not secret.strip():
        raise ValueError("an empty secret lets anybody sign; set the one that the provider has")
    try:
        return secret.encode()
    except UnicodeEncodeError:
        raise ValueError("the secret is not UTF-8; copy it again as text") from None


def _check_standard(
    _rule: Verify, keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: float
) -> None:
    message_id = _header(headers, "webhook-id")
    timestamp = _header(headers, "webhook-timestamp")
    given = _header(headers, "webhook-signature").split(" ")
    _check_age(timestamp, now)
    content = _content(message_id, timestamp, body)
    # Compared as text: bad base64 is never decoded, it is simply no match.
    if not _match([_v1(key, content) for key in keys], given):
        raise BadSignature("webhook-signature was made with none of this source's secrets")


def _check_hmac_sha256(
    rule: Verify, keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, _now: float
) -> None:
    given = _header(headers, rule.header).lower()
    if not _match([_hmac_sha256(key, body).hex() for key in keys], [given]):
        raise BadSignature(f"{rule.header} was made with none of this source's secrets")


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name.lower(), "")
    if not value:
        raise BadSignature(f"there is no {name} header")
    if not value.isascii():
        raise BadSignature(f"{name} is not ASCII")
    return value


def _check_age(timestamp: str, now: float) -> None:
    if len(timestamp) > LONGEST_TIMESTAMP or not timestamp.isdigit():
        raise BadSignature("webhook-timestamp is not whole seconds since 1970")
    age = now - int(timestamp)
    if abs(age) > TOLERANCE:
        raise BadSignature(
            f"webhook-timestamp is {abs(age):.0f} s {'old' if age > 0 else 'ahead'}, more than "
            f"{TOLERANCE}: an old message sent again, or a wrong clock"
        )


def _match(expected: Sequence[str], given: Sequence[str]) -> bool:
    same = False
    for ours in expected:
        for theirs in given:
            same |= hmac.compare_digest(ours, theirs)
    return same


def _content(message_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{message_id}.{timestamp}.".encode() + body


def _v1(key: bytes, content: bytes) -> str:
    return "v1," + _base64(_hmac_sha256(key, content))


def _hmac_sha256(key: bytes, content: bytes) -> bytes:
    mac = _prepared(key).copy()
    mac.update(content)
    return mac.digest()


@lru_cache(_KEYS)
def _prepared(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


SCHEMES: dict[str, Scheme] = {
    # Hex of HMAC-SHA256 over the body alone. It holds no time, so only the event's id
    # stops an old push from being sent again.
    "hmac-sha256": Scheme(_text_key, _check_hmac_sha256, takes_header=True),
    # github.com/standard-webhooks/standard-webhooks, version 1.0.0, its `v1` entries
    "standard-webhooks": Scheme(decode_secret, _check_standard, takes_header=False),
}
