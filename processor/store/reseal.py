"""Seals again, with the newest master key, what Redis holds: so that an older one can go.

Secrets of a target are what signs, and the values of its own headers.
"""

from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec.structs import replace

from processor.errors import ConfigError
from processor.model import Subscription
from processor.store.connection import Connection
from processor.store.key_scan import pages
from processor.store.keys import Keys
from processor.vault import Vault, is_sealed

CALLBACKS = "{rb:*}:callback:*"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Subscription).decode

Read = Callable[[], Awaitable[bytes | None]]
Swap = Callable[[bytes, bytes], Awaitable[bool]]


class Sealed(msgspec.Struct):
    """Which targets were sealed, which were so already, and why some could not be."""

    sealed: set[str] = msgspec.field(default_factory=set)
    already: set[str] = msgspec.field(default_factory=set)
    unopened: dict[str, str] = msgspec.field(default_factory=dict)


class Sealing:
    """Goes through all subscriptions and callback targets; safe beside whoever changes them."""

    def __init__(self, connection: Connection, shards: Sequence[Keys], safe: Vault) -> None:
        """Take the vault whose newest key is to seal."""
        self._connection = connection
        self._shards = shards
        self._vault = safe

    async def run(self) -> Sealed:
        """Seal everything; what does not open is left as it is, and told."""
        told, redis = Sealed(), self._connection.redis
        now = await self._connection.now()
        for keys in self._shards:
            for name in await self._connection.ask(redis.hkeys(keys.subs)):
                await self._subscription(told, now, keys, name.decode())
        async for found in pages(self._connection, CALLBACKS):
            for key in found:
                await self._callback(told, now, key)
        told.already -= {*told.sealed, *told.unopened}  # it may be in several shards
        return told

    async def _subscription(self, told: Sealed, now: float, keys: Keys, target: str) -> None:
        async def read() -> bytes | None:
            return await self._ask(self._connection.redis.hget(keys.subs, target))

        async def swap(was: bytes, new: bytes) -> bool:
            return bool(
                await self._connection.run("swap_subscription", [keys.subs], [target, was, new])
            )

        await self._renew(told, now, target, read, swap)

    async def _callback(self, told: Sealed, now: float, key: str) -> None:
        async def read() -> bytes | None:
            return await self._ask(self._connection.redis.get(key))

        async def swap(was: bytes, new: bytes) -> bool:
            return bool(await self._connection.run("swap_callback", [key], [was, new]))

        await self._renew(told, now, key.rpartition(":")[2], read, swap)

    async def _ask(self, call: object) -> bytes | None:
        found: bytes | None = await self._connection.ask(call)
        return found

    async def _renew(self, told: Sealed, now: float, target: str, read: Read, swap: Swap) -> None:
        """Until it is as it should be, or gone: who is in the way has changed it, and is done."""
        while doc := await read():
            new = self._renewed(told, now, target, _decode(doc))
            if new is None:
                told.already.add(target)
                return
            if await swap(doc, new):
                told.sealed.add(target)
                return

    def _renewed(self, told: Sealed, now: float, target: str, stored: Subscription) -> bytes | None:
        """The target with its secrets sealed anew; None where there is nothing to do.

        Secrets that do not sign any more are dropped: nobody needs the key that opens them.
        """

        def renew(place: str, kept: str) -> str:
            try:
                return self._vault.renew(place, kept)
            except ConfigError as error:
                told.unopened[target] = str(error)
                return kept

        over = now >= stored.old_secret_until
        signing = replace(stored, secrets=stored.secrets[:1]) if over else stored
        new = turned(target, bared(signing), renew)
        return None if new == stored else _encode(new)


def turned(name: str, target: Subscription, turn: Callable[[str, str], str]) -> Subscription:
    """A target with each of its secrets turned into another text.

    `turn` is given the place too: what is sealed as a header cannot be moved among the secrets.
    """
    secrets = tuple(turn(name, secret) for secret in target.secrets)
    headers = {header: turn(f"{name} {header}", v) for header, v in target.headers.items()}
    return replace(target, secrets=secrets, headers=headers)


def bared(target: Subscription) -> Subscription:
    """A target without the secrets that the configuration file has."""
    return replace(target, secrets=(), headers={}) if target.static else target


def unopened(target: Subscription) -> bool:
    """Whether a secret of a target that was read did not open: nothing can be sent there now."""
    return any(map(is_sealed, (*target.secrets, *target.headers.values())))
