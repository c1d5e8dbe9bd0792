"""Ed25519 signatures by a key that the provider publishes as a JWKS."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from processor.errors import UnknownKey, Unreadable
from processor.json_input import BOM, read_json
from processor.signing.keys import PUBLIC_KEY, Key
from processor.signing.parse.encoding import decoded
from processor.signing.parsed_signature import ParsedSignature
from processor.signing.schemes.shared_secret import Checker
from processor.signing.verify_rule import Verify

KEYS = 32  # keys of one document that are tried
LENGTH = 64  # bytes of a signature


class _KeySet(msgspec.Struct):
    """A JWKS (RFC 7517) with keys of any type."""

    keys: list[Any]


def is_signed_by(key: bytes, signature: bytes, content: bytes) -> bool:
    """Whether the signature verifies with this public key."""
    try:
        _public(key).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def checker(rule: Verify) -> Checker:
    """Compile the check: UnknownKey unless a key of the document made one of the signatures."""

    def check(_keys: Sequence[Key], parsed: ParsedSignature, _now: float, document: bytes) -> None:
        given = [decoded(rule.encoding, text) for text in parsed.signatures]
        tries = [
            (key, one) for key in public_keys_of(document) for one in given if len(one) == LENGTH
        ]
        if not any(is_signed_by(key, signature, parsed.content[0]) for key, signature in tries):
            raise UnknownKey(f"none of the keys at {rule.keys} made the signature")

    return check


@lru_cache(64)
def public_keys_of(document: bytes) -> tuple[bytes, ...]:
    """Return the Ed25519 keys of a JWKS or a PEM; an empty tuple for anything else."""
    if document.removeprefix(BOM).lstrip().startswith(b"-----BEGIN"):
        return _from_pem(document)
    try:
        entries = msgspec.convert(read_json(document), _KeySet).keys
    except (Unreadable, ValueError):  # ValueError: msgspec's, or text that is not Unicode
        return ()
    return tuple(key for entry in entries for key in _from_jwk(entry))[:KEYS]


def _from_jwk(entry: object) -> Iterator[bytes]:
    """Yield the key if it is Ed25519; a JWKS may hold keys of other types."""
    match entry:
        case {"kty": "OKP", "crv": "Ed25519", "x": str(text)}:
            key = decoded("base64url", text.rstrip("="))
            if len(key) == PUBLIC_KEY:
                yield key
        case _:
            return


def _from_pem(document: bytes) -> tuple[bytes, ...]:
    try:
        key = load_pem_public_key(document)
    except (ValueError, UnsupportedAlgorithm):
        return ()
    return (key.public_bytes_raw(),) if isinstance(key, Ed25519PublicKey) else ()


@lru_cache(1024)
def _public(key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(key)
