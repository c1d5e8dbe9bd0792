"""Secrets as configured, and the keys that they stand for."""

import binascii
import hmac
import re
from functools import lru_cache

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from processor.signing.parse.encoding import base64
from processor.signing.weak_keys import is_weak

SHORTEST_KEY, LONGEST_KEY = 24, 64  # bytes, from the Standard Webhooks text
PUBLIC_KEY = 32  # bytes of an Ed25519 public key
SEED = 32  # bytes of an Ed25519 private key
_KEYS = 4096  # keys that are kept ready: preparing one costs four times what using it does

_PRINTABLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


class Key(msgspec.Struct, frozen=True):
    """What checks or makes a signature: a secret, or one half of an Ed25519 key pair.

    With `public` it verifies, with `private` (the data is the seed) it signs. Where a rule
    knows two ways to sign, `scheme` is the one that the key is for; empty: any.
    """

    data: bytes
    public: bool = False
    private: bool = False
    scheme: str = ""

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


def standard_key(secret: str, *, raw: bool | str = False) -> Key:
    """Take a `whsec_` secret or a `whpk_` public key.

    With `raw`, any other is the key itself, or with "base64" what stands behind a `whsec_`, as
    the libraries of Standard Webhooks take it.
    """
    if secret.startswith("whpk_"):
        key = _decoded(secret, "whpk_")
        if len(key) != PUBLIC_KEY:
            raise ValueError(
                "a Standard Webhooks public key is `whpk_` and the base64 of 32 bytes; "
                "copy it again from the provider"
            )
        if is_weak(key):
            raise ValueError(
                "this public key is a point of small order, for which anybody can sign; "
                "copy the key again from the provider"
            )
        return Key(key, public=True)
    if raw and not secret.startswith("whsec_"):
        return Key(decode_secret(f"whsec_{secret}")) if raw == "base64" else text_key(secret)
    return Key(decode_secret(secret))


@lru_cache(_KEYS)
def signing_key(secret: str) -> Key:
    """Take what we sign with, a `whsec_` secret or a `whsk_` private key; ValueError for others.

    The text of Standard Webhooks says only "base64": we write the seed and the public key behind
    it, as Svix' server reads it (inferred from its source), and take the seed alone as well.
    """
    if not secret.startswith("whsk_"):
        return Key(decode_secret(secret))
    data = _decoded(secret, "whsk_")
    seed, public = data[:SEED], data[SEED:]
    if len(seed) != SEED or public not in (b"", public_half(seed)):
        raise ValueError(
            "a Standard Webhooks private key is `whsk_` and the base64 of an Ed25519 seed "
            "(32 bytes), with the public key that belongs to it behind it or not; make one with: "
            'echo "whsk_$(openssl rand -base64 32)"'
        )
    return Key(seed, private=True)


def private_text(seed: bytes) -> str:
    """Write a private key as `whsk_…`."""
    return f"whsk_{base64(seed + public_half(seed))}"


def public_text(key: Key) -> str:
    """Write the public half of a private key as `whpk_…`."""
    return f"whpk_{base64(public_half(key.data))}"


def public_half(seed: bytes) -> bytes:
    """Work out the public key."""
    return pair(seed).public_key().public_bytes_raw()


@lru_cache(_KEYS)
def pair(seed: bytes) -> Ed25519PrivateKey:
    """Prepare a private key for use."""
    return Ed25519PrivateKey.from_private_bytes(seed)


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


def hmac_of(algorithm: str, key: bytes, content: bytes) -> hmac.HMAC:
    """HMAC of the content, from a copy of one that already holds the key."""
    code = keyed_hmac(algorithm, key).copy()
    code.update(content)
    return code


@lru_cache(_KEYS)
def keyed_hmac(algorithm: str, key: bytes) -> hmac.HMAC:
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
