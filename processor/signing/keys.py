"""Parses configured secrets (`whsec_…`, `whsk_…`, `whpk_…`, plain text) into keys."""

import binascii
import hmac
import re
from functools import lru_cache

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from processor.signing.parse.encoding import base64
from processor.signing.weak_keys import is_weak

SHORTEST_KEY, LONGEST_KEY = 24, 64  # bytes, from the Standard Webhooks specification
LONGEST_SENDERS_KEY = 75  # bytes; Svix' API takes secrets of up to 100 characters of base64
PUBLIC_KEY = 32  # bytes of an Ed25519 public key
SEED = 32  # bytes of an Ed25519 private key
_KEYS = 4096  # prepared keys in the cache: preparing a key takes four times as long as using it

_NOT_STANDARD = "a Standard Webhooks secret is `whsec_` and the base64 of 24 to {} random bytes; "
_MAKE_ONE = 'make one with: echo "whsec_$(openssl rand -base64 32)"'
_PRINTABLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


class Key(msgspec.Struct, frozen=True):
    """A key that checks or makes signatures: a secret, or one half of an Ed25519 key pair.

    With `public` it verifies, with `private` (the data is the seed) it signs. If a rule allows two
    schemes, `scheme` is the one that the key is for; "" is any.
    """

    data: bytes
    public: bool = False
    private: bool = False
    scheme: str = ""

    def __repr__(self) -> str:
        """Redacted: keys end up in logs and failed assertions."""
        return "Key(…)"


@lru_cache(_KEYS)
def decode_secret(secret: str) -> bytes:
    """Return the key bytes of a `whsec_` secret that we sign with; ValueError with the remedy."""
    key = _decoded(secret, "whsec_")
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise ValueError(_NOT_STANDARD.format(LONGEST_KEY) + _MAKE_ONE)
    return key


def standard_key(secret: str, *, raw: bool | str = False) -> Key:
    """Parse a sender's `whsec_` secret or `whpk_` public key; ValueError with the remedy.

    With `raw`, any other text is the key itself; with `raw = "base64"` it is a `whsec_` secret
    without its prefix, which the libraries of Standard Webhooks accept too.
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
                "this public key is weak (a point of small order): anybody can sign for it; "
                "copy the key again from the provider"
            )
        return Key(key, public=True)
    if raw and not secret.startswith("whsec_"):
        return _senders_key(f"whsec_{secret}") if raw == "base64" else text_key(secret)
    return _senders_key(secret)


def _senders_key(secret: str) -> Key:
    """Parse a `whsec_` secret as senders show it: Svix' may be longer than the specification
    allows, and Standard Webhooks' libraries take one without padding.
    """
    encoded = secret.removeprefix("whsec_")
    key = _decoded(secret + "=" * (-len(encoded) % 4), "whsec_")
    if not SHORTEST_KEY <= len(key) <= LONGEST_SENDERS_KEY:
        bad = _NOT_STANDARD.format(LONGEST_SENDERS_KEY)
        raise ValueError(f"{bad}copy it again from the sender, or {_MAKE_ONE}")
    return Key(key)


@lru_cache(_KEYS)
def signing_key(secret: str) -> Key:
    """Parse a key that we sign with: a `whsec_` secret or a `whsk_` private key; else ValueError.

    The specification of Standard Webhooks says only "base64". We write the seed followed by the
    public key, as Svix' server reads it (inferred from its source), and accept the seed alone too.
    """
    if not secret.startswith("whsk_"):
        return Key(decode_secret(secret))
    data = _decoded(secret, "whsk_")
    seed, public = data[:SEED], data[SEED:]
    if len(seed) != SEED or public not in (b"", public_half(seed)):
        raise ValueError(
            "a Standard Webhooks private key is `whsk_` and the base64 of an Ed25519 seed "
            "(32 bytes), optionally followed by its public key; make one with: "
            'echo "whsk_$(openssl rand -base64 32)"'
        )
    return Key(seed, private=True)


def private_text(seed: bytes) -> str:
    """Format a private key as `whsk_…`."""
    return f"whsk_{base64(seed + public_half(seed))}"


def public_text(key: Key) -> str:
    """Format the public half of a private key as `whpk_…`."""
    return f"whpk_{base64(public_half(key.data))}"


def public_half(seed: bytes) -> bytes:
    """Derive the public key."""
    return pair(seed).public_key().public_bytes_raw()


@lru_cache(_KEYS)
def pair(seed: bytes) -> Ed25519PrivateKey:
    """The private key of a seed, ready for use."""
    return Ed25519PrivateKey.from_private_bytes(seed)


def text_key(secret: str) -> Key:
    """Use the text itself as the key; ValueError if it is empty or not UTF-8."""
    if not secret.strip():
        raise ValueError("with an empty secret anybody can sign; set the provider's secret")
    try:
        return Key(secret.encode())
    except UnicodeEncodeError:
        raise ValueError("the secret is not UTF-8; copy it again as text") from None


def token_key(secret: str) -> Key:
    """Use a secret that is sent as it is, and so must fit into a header or a URL."""
    if secret.strip() and not _PRINTABLE.fullmatch(secret):
        raise ValueError(
            "this secret is sent in a header or a URL, so it must be printable ASCII without "
            "leading or trailing spaces; choose another secret"
        )
    return text_key(secret)


def hmac_of(algorithm: str, key: bytes, content: bytes) -> hmac.HMAC:
    """HMAC of the content, made from a cached HMAC that already holds the key."""
    code = keyed_hmac(algorithm, key).copy()
    code.update(content)
    return code


@lru_cache(_KEYS)
def keyed_hmac(algorithm: str, key: bytes) -> hmac.HMAC:
    """An HMAC that holds the key and no content yet; copy it before use."""
    return hmac.new(key, digestmod=algorithm)


def _decoded(text: str, prefix: str) -> bytes:
    """Decode prefix and strict base64; b"" for anything else."""
    encoded = text.removeprefix(prefix)
    try:
        data = binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError:  # not ASCII, or not base64
        return b""
    return data if text.startswith(prefix) and base64(data) == encoded else b""
