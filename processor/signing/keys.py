"""Secrets as configured, and the keys that they stand for."""

import binascii
import hmac
import re
from functools import lru_cache

import msgspec

from processor.signing.writing import base64

SHORTEST_KEY, LONGEST_KEY = 24, 64  # bytes, from the Standard Webhooks text
PUBLIC_KEY = 32  # bytes of an Ed25519 public key
_KEYS = 4096  # keys that are kept ready: preparing one costs four times what using it does

_PRINTABLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


class Key(msgspec.Struct, frozen=True):
    """What checks a signature: a secret, or with `public` an Ed25519 key to verify with."""

    data: bytes
    public: bool = False

    def __repr__(self) -> str:
        """Say nothing: keys end up in logs and failed assertions."""
        return "Key(…)"


@lru_cache(_KEYS)
def decode_secret(secret: str) -> bytes:
    """Return the key bytes of a `whsec_` secret, or raise ValueError with the remedy."""
    key = _decoded(secret, "whsec_")
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise ValueError(
            "a Standard Webhooks secret is `whsec_` and the base64 of 24 to 64 random bytes; "
            'make one with: echo "whsec_$(openssl rand -base64 32)"'
        )
    return key


def standard_key(secret: str, *, raw: bool = False) -> Key:
    """Take a `whsec_` secret or a `whpk_` public key; with `raw`, any other is the key itself."""
    if secret.startswith("whpk_"):
        key = _decoded(secret, "whpk_")
        if len(key) != PUBLIC_KEY:
            raise ValueError(
                "a Standard Webhooks public key is `whpk_` and the base64 of 32 bytes; "
                "copy it again from the provider"
            )
        return Key(key, public=True)
    if raw and not secret.startswith("whsec_"):
        return text_key(secret)
    return Key(decode_secret(secret))


def text_key(secret: str) -> Key:
    """Take the text itself as the key."""
    if not secret.strip():
        raise ValueError("an empty secret lets anybody sign; set the one that the provider has")
    try:
        return Key(secret.encode())
    except UnicodeEncodeError:
        raise ValueError("the secret is not UTF-8; copy it again as text") from None


def token_key(secret: str) -> Key:
    """Take a secret that is sent as it is, and so must fit into a header."""
    if secret.strip() and not _PRINTABLE.fullmatch(secret):
        raise ValueError(
            "this secret is sent in a header or a URL, and can hold only printable ASCII, "
            "without blanks around it; choose another one"
        )
    return text_key(secret)


def mac(algorithm: str, key: bytes, content: bytes) -> hmac.HMAC:
    """HMAC of the content, from a copy of one that already holds the key."""
    code = prepared(algorithm, key).copy()
    code.update(content)
    return code


@lru_cache(_KEYS)
def prepared(algorithm: str, key: bytes) -> hmac.HMAC:
    """Prepare an HMAC that holds the key, to be copied."""
    return hmac.new(key, digestmod=algorithm)


def _decoded(text: str, prefix: str) -> bytes:
    """Decode base64 behind a prefix; nothing at all for what is not strictly that."""
    encoded = text.removeprefix(prefix)
    try:
        data = binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError:  # neither ASCII nor base64
        return b""
    return data if text.startswith(prefix) and base64(data) == encoded else b""
