"""Encryption of secrets at rest with a master key, so that a copy of Redis does not reveal them.

    sealed:KEYID:BASE64(nonce ‖ ciphertext)        AES-256-GCM, a nonce of 12 random bytes

The id of the target that a secret belongs to is the associated data: a sealed secret that is moved
to another target does not open. A vault without keys stores secrets unencrypted.
"""

import base64
import re
import secrets
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from processor.errors import ConfigError

NAME = "RINGBACK_MASTER_KEYS"
REMEDY = 'make one with: echo "k1:$(openssl rand -base64 32)"'
PREFIX = "sealed:"
NONCE = 12  # bytes
KEY = 32  # bytes
OPENED = 16_384  # decrypted secrets in the cache
_ID = re.compile(r"[a-z0-9_-]{1,32}")
_SEALED = re.compile(r"sealed:[a-z0-9_-]{1,32}:[A-Za-z0-9+/]+=*")


class MasterKey(NamedTuple):
    """One master key, and the id that its sealed secrets name."""

    id: str
    key: bytes

    def __repr__(self) -> str:
        """Only the id; the key is redacted."""
        return f"MasterKey({self.id!r})"


def master_keys(text: str) -> tuple[MasterKey, ...]:
    """Parse `ID:BASE64[,ID:BASE64…]`; the ValueError has the remedy and quotes no key."""
    found = [_master_key(n, one) for n, one in enumerate(re.split(r"[,\s]+", text.strip()), 1)]
    ids = [one.id for one in found]
    for one in ids:
        if ids.count(one) > 1:
            raise ValueError(f"there are two keys {one!r}; give each an id of its own")
    return tuple(found)


def _master_key(place: int, text: str) -> MasterKey:
    name, colon, encoded = text.partition(":")
    if not colon or not _ID.fullmatch(name):
        raise ValueError(
            f"entry {place} is not ID:BASE64 with an id of 1 to 32 of a-z 0-9 _ -; {REMEDY}"
        )
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY:
        raise ValueError(f"key {name!r} is not the base64 of {KEY} bytes; {REMEDY}")
    return MasterKey(name, key)


def is_sealed(text: str) -> bool:
    """Whether the text is a sealed secret."""
    return _SEALED.fullmatch(text) is not None


def key_of(text: str) -> str:
    """The id of the key that sealed the text."""
    return text.removeprefix(PREFIX).partition(":")[0]


class Vault:
    """Encrypts with its first key, decrypts with any of its keys."""

    def __init__(self, keys: Sequence[MasterKey] = ()) -> None:
        """`keys` has the newest key first; without keys nothing is sealed."""
        self._keys = {one.id: AESGCM(one.key) for one in keys}
        self.newest = keys[0].id if keys else None
        self._unsealed = lru_cache(OPENED)(self._unseal)

    def seal(self, target: str, secret: str) -> str:
        """The secret as it is stored; one that is sealed already stays unchanged."""
        if self.newest is None or is_sealed(secret):
            return secret
        nonce = secrets.token_bytes(NONCE)
        sealed = nonce + self._keys[self.newest].encrypt(nonce, secret.encode(), target.encode())
        return f"{PREFIX}{self.newest}:{base64.b64encode(sealed).decode()}"

    def open(self, target: str, stored: str) -> str:
        """The plain secret of a stored one; ConfigError if none of our keys opens it."""
        return self._unsealed(target, stored) if is_sealed(stored) else stored

    def renew(self, target: str, stored: str) -> str:
        """The stored secret, sealed with the newest key; ConfigError as `open`."""
        return stored if self.current(stored) else self.seal(target, self.open(target, stored))

    def current(self, stored: str) -> bool:
        """Whether a stored secret is sealed with the newest key."""
        return (key_of(stored) if is_sealed(stored) else None) == self.newest

    def _unseal(self, target: str, stored: str) -> str:
        name = key_of(stored)
        if name not in self._keys:
            raise ConfigError(
                f"{target}: its secret is sealed with master key {name!r}, which {NAME} does not "
                "hold: add that key, or rotate the secret"
            )
        try:
            raw = base64.b64decode(stored.split(":", 2)[2], validate=True)
            secret = self._keys[name].decrypt(raw[:NONCE], raw[NONCE:], target.encode())
        except (InvalidTag, ValueError):
            raise ConfigError(
                f"{target}: its secret does not open with master key {name!r}: {NAME} holds "
                "another key under that id, or Redis was tampered with; correct the key, or "
                "rotate the secret"
            ) from None
        return secret.decode()
