"""Encrypts all stored secrets again with the newest master key, so that older keys can be removed.

The secrets of a target are its signing secrets, and the values of its own headers.
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


class ResealReport(msgspec.Struct):
    """Which targets were encrypted again, which had the newest key already, and why some failed."""

    sealed: set[str] = msgspec.field(default_factory=set)
    already: set[str] = msgspec.field(default_factory=set)
    unopened: dict[str, str] = msgspec.field(default_factory=dict)


class Resealer:
    """Visits all subscriptions and callback targets; safe while they are changed."""

    def __init__(self, connection: Connection, shards: Sequence[Keys], safe: Vault) -> None:
        self._connection = connection
        self._shards = shards
        self._vault = safe

    async def run(self) -> ResealReport:
        """Encrypt everything again; what cannot be decrypted stays as it is, and is reported."""
        report, redis = ResealReport(), self._connection.redis
        now = await self._connection.now()
        for keys in self._shards:
            for name in await self._connection.ask(redis.hkeys(keys.subs)):
                await self._subscription(report, now, keys, name.decode())
        async for found in pages(self._connection, CALLBACKS):
            for key in found:
                await self._callback(report, now, key)
        report.already -= {*report.sealed, *report.unopened}  # it may be in several shards
        return report

    async def find_unopened(self, report: ResealReport) -> None:
        """Report what cannot be decrypted, and change nothing."""
        redis = self._connection.redis
        now = await self._connection.now()
        docs = await self._connection.ask(redis.hgetall(self._shards[0].subs))
        for name, doc in docs.items():
            self._renewed(report, now, name.decode(), _decode(doc))
        async for found in pages(self._connection, CALLBACKS):
            docs = await self._connection.ask(redis.mget(found)) if found else []
            for key, doc in zip(found, docs, strict=True):
                if doc:
                    self._renewed(report, now, _target(key), _decode(doc))

    async def _subscription(
        self, report: ResealReport, now: float, keys: Keys, target: str
    ) -> None:
        async def read() -> bytes | None:
            return await self._ask(self._connection.redis.hget(keys.subs, target))

        async def swap(was: bytes, new: bytes) -> bool:
            return bool(
                await self._connection.run("swap_subscription", [keys.subs], [target, was, new])
            )

        await self._renew(report, now, target, read, swap)

    async def _callback(self, report: ResealReport, now: float, key: str) -> None:
        async def read() -> bytes | None:
            return await self._ask(self._connection.redis.get(key))

        async def swap(was: bytes, new: bytes) -> bool:
            return bool(await self._connection.run("swap_callback", [key], [was, new]))

        await self._renew(report, now, _target(key), read, swap)

    async def _ask(self, command: object) -> bytes | None:
        found: bytes | None = await self._connection.ask(command)
        return found

    async def _renew(
        self, report: ResealReport, now: float, target: str, read: Read, swap: Swap
    ) -> None:
        """Repeat until the target has the newest key, or is gone: others may change it."""
        while doc := await read():
            new = self._renewed(report, now, target, _decode(doc))
            if new is None:
                report.already.add(target)
                return
            if await swap(doc, new):
                report.sealed.add(target)
                return

    def _renewed(
        self, report: ResealReport, now: float, target: str, stored: Subscription
    ) -> bytes | None:
        """The target with its secrets encrypted again; None if there is nothing to do.

        Secrets that have expired are dropped, so that their key is not needed.
        """

        def renew(context: str, secret: str) -> str:
            try:
                return self._vault.renew(context, secret)
            except ConfigError as error:
                report.unopened[target] = str(error)
                return secret

        over = now >= stored.old_secret_until
        signing = replace(stored, secrets=stored.secrets[:1]) if over else stored
        new = map_secrets(target, without_file_secrets(signing), renew)
        return None if new == stored else _encode(new)


def _target(key: str) -> str:
    """The id of the target that a callback key is about."""
    return key.rpartition(":")[2]


def map_secrets(name: str, target: Subscription, change: Callable[[str, str], str]) -> Subscription:
    """A target with each of its secrets replaced by what `change` returns for it.

    `change` gets the context too: a header's encrypted value cannot be used as a secret.
    """
    secrets = tuple(change(name, secret) for secret in target.secrets)
    headers = {header: change(f"{name} {header}", v) for header, v in target.headers.items()}
    return replace(target, secrets=secrets, headers=headers)


def without_file_secrets(target: Subscription) -> Subscription:
    """A target without its secrets, if the configuration file has them."""
    return replace(target, secrets=(), headers={}) if target.static else target


def has_sealed_secrets(target: Subscription) -> bool:
    """Whether a secret of a target could not be decrypted: nothing can be sent there now."""
    return any(map(is_sealed, (*target.secrets, *target.headers.values())))
