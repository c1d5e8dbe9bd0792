"""Standard Webhooks 1.0.0 signatures: those that we send and those that some providers send.

github.com/standard-webhooks/standard-webhooks, `v1` (HMAC-SHA256) and `v1a` (Ed25519).
"""

import hmac
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from processor.errors import BadSignature
from processor.model import Push
from processor.signing.keys import Key, hmac_of, pair, signing_key
from processor.signing.parse import fields, timestamp as parse_timestamp
from processor.signing.parse.encoding import ENTRIES, base64, decoded
from processor.signing.parsed_signature import ParsedSignature, Reader
from processor.signing.schemes.ed25519 import is_signed_by
from processor.signing.schemes.shared_secret import NO_MATCH, Checker
from processor.signing.verify_rule import Verify

V1, V1A = "v1,", "v1a,"
SIGNATURES = {"v1": "whsec_", "v1a": "whsk_"}
"""The signature versions that we send, each with the prefix of its secrets."""
PUBLIC = 4  # `v1a` entries that are checked: each takes 1 ms or more for a large body


class HeaderNames(NamedTuple):
    """The three headers."""

    id: str
    timestamp: str
    signature: str


@lru_cache
def header_names(header: str) -> HeaderNames:
    """Derive all three names from the signature header: `svix-signature` belongs to `svix-id`."""
    start = header.lower().removesuffix("signature") or "webhook-"
    return HeaderNames(f"{start}id", f"{start}timestamp", f"{start}signature")


def sign(keys: Sequence[bytes | Key], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one entry for each key, in order.

    A private key makes `v1a,…`; a secret (or its bytes) makes `v1,…`.
    """
    content = _signed_content(message_id, str(timestamp), body)
    return " ".join([_entry(key, content) for key in keys])


def signer(signature: str, secret: str) -> Key:
    """Return the key for `v1` or `v1a` signatures; ValueError with the remedy for a wrong secret."""
    key = signing_key(secret)
    if not secret.startswith(SIGNATURES[signature]):
        other = next(name for name in SIGNATURES if name != signature)
        raise ValueError(
            f"`{SIGNATURES[other]}` keys make {other} signatures, but signature is {signature}; "
            f'give a key that begins with `{SIGNATURES[signature]}`, or set signature to "{other}"'
        )
    return key


def reader(rule: Verify) -> Reader:
    """Compile the reader of the three headers; entries of unknown versions are ignored.

    With `raw_secret = true` (OpenAI) signatures without a version are accepted too.
    """
    message_id, timestamp, signature = header_names(rule.header)
    without_version = rule.raw_secret is True

    def read(push: Push) -> ParsedSignature:
        identity = fields.header(push, message_id)
        time = fields.header(push, timestamp)
        entries = fields.header(push, signature).split()
        if without_version:
            entries = [entry if "," in entry else V1 + entry for entry in entries]
        if len(entries) > ENTRIES:
            entries = [entry for entry in entries if entry.startswith((V1, V1A))][:ENTRIES]
        content = _signed_content(identity, time, push.body)
        return ParsedSignature(tuple(entries), (content,), parse_timestamp.seconds(time, timestamp))

    return read


def checker(rule: Verify) -> Checker:
    """Compile the check: BadSignature unless one of the keys made one of the entries."""
    message = NO_MATCH.format(header_names(rule.header).signature)

    def check(keys: Sequence[Key], parsed: ParsedSignature, _now: float, _document: bytes) -> None:
        same = False
        for key in keys:
            if key.public:
                same |= _signed(key.data, parsed)
                continue
            ours = _v1(key.data, parsed.content[0])
            for theirs in parsed.signatures:
                same |= hmac.compare_digest(ours, theirs)
        if not same:
            raise BadSignature(message)

    return check


def make(key: Key, parsed: ParsedSignature) -> Sequence[str]:
    """Make the `v1` entry of this secret; a public key makes none."""
    return () if key.public else (_v1(key.data, parsed.content[0]),)


def _signed(key: bytes, parsed: ParsedSignature) -> bool:
    entries = [entry.removeprefix(V1A) for entry in parsed.signatures if entry.startswith(V1A)][
        :PUBLIC
    ]
    return any(is_signed_by(key, decoded("base64", one), parsed.content[0]) for one in entries)


def _signed_content(message_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{message_id}.{timestamp}.".encode() + body


def _entry(key: bytes | Key, content: bytes) -> str:
    if isinstance(key, bytes):
        return _v1(key, content)
    if key.public:  # everybody has it, so a signature by it would prove nothing
        raise ValueError("a public key cannot sign; sign with the private key")
    return V1A + base64(pair(key.data).sign(content)) if key.private else _v1(key.data, content)


def _v1(key: bytes, content: bytes) -> str:
    return V1 + base64(hmac_of("sha256", key, content).digest())
