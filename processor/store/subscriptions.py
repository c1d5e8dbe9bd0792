"""Subscriptions, and the callback targets of jobs.

Their secrets are encrypted when they are written, and decrypted when they are read. One that cannot
be decrypted is returned encrypted, so that it is written back as it was: check `vault.is_sealed`
before signing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import structlog
from msgspec.structs import replace

from processor import vault
from processor.errors import ConfigError, Contention, WrongKeyType
from processor.event_filters import EventRouter
from processor.model import Retention, Subscription
from processor.store.change import NewEvent
from processor.store.connection import Connection
from processor.store.keys import Keys
from processor.store.refusals import wrong_key
from processor.store.reseal import map_secrets, without_file_secrets
from processor.store.script_args import ScriptArgs
from processor.store.subscription_copies import SubscriptionCopies, subs_version
from processor.store.versions import new_version
from processor.vault import Vault

MAX_TRIES = 30  # of a change, if subscriptions are changed at the same time

log = structlog.get_logger()
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Subscription).decode


class Subscriptions:
    """Subscriptions, the same in every shard, and callback targets."""

    def __init__(
        self,
        connection: Connection,
        shards: Sequence[Keys],
        static: Mapping[str, Subscription],
        safe: Vault,
        keep: Retention,
    ) -> None:
        """`static` are the subscriptions of the configuration file, by id."""
        self._connection = connection
        self._keep = keep
        self._shards = shards
        self._static = dict(static)
        self._vault = safe
        self._unopened: set[str] = set()  # ids of master keys that were missing, each logged once
        self._routers: dict[int, EventRouter] = {}
        self._copies = SubscriptionCopies(connection, shards)

    def forget(self) -> None:
        """Forget the routers: Redis or its data was replaced."""
        self._routers.clear()
        self._copies.forget()

    async def router(self, keys: Keys, *, fresh: bool = False) -> EventRouter:
        """The subscriptions of a shard by event; read again if `fresh`, after a refused commit."""
        router = self._routers.get(keys.shard)
        if router is None or fresh:
            pipe = self._connection.redis.pipeline(transaction=True)
            pipe.get(keys.subs_version)
            pipe.hvals(keys.subs)
            version, docs = await self._connection.ask(pipe.execute())
            usable = map(_with_usable_secrets, self._all(docs))
            router = self._routers[keys.shard] = EventRouter(subs_version(version), usable)
        return router

    async def current(self, keys: Keys) -> EventRouter:
        """The same, read again if anything changed: for callers that commit nothing, and so do not
        learn of changes.
        """
        router = await self.router(keys)
        version = await self._connection.ask(self._connection.redis.get(keys.subs_version))
        same = subs_version(version) == router.version
        return router if same else await self.router(keys, fresh=True)

    def _all(self, docs: Iterable[bytes]) -> list[Subscription]:
        """The stored ones, and those of the file, which are stored only if disabled."""
        stored = {s.id: self._opened(s.id, s) for s in map(_decode, docs)}
        static = [_from_file(s, stored.get(s.id)) for s in self._static.values()]
        return static + [s for s in stored.values() if not s.static]

    async def listed(self) -> list[Subscription]:
        """All subscriptions."""
        docs = await self._connection.ask(self._connection.redis.hvals(self._shards[0].subs))
        return sorted(self._all(docs), key=lambda s: (s.created_at, s.id))

    async def count(self) -> int:
        """How many subscriptions are stored."""
        redis = self._connection.redis
        return int(await self._connection.ask(redis.hlen(self._shards[0].subs)))

    async def get(self, target: str) -> Subscription | None:
        """A subscription, as it is now."""
        keys = self._shards[0]
        return self._found(
            target, await self._connection.ask(self._connection.redis.hget(keys.subs, target))
        )

    async def read(
        self, keys: Keys, ids: Sequence[str], events: Sequence[str]
    ) -> tuple[dict[str, Subscription | WrongKeyType | None], list[bytes | WrongKeyType | None]]:
        """Targets by id (subscriptions `sub_…`, callback targets `cb_…`), and events' bodies.

        A WrongKeyType replaces what cannot be read, since its key has another type.
        """
        callbacks = [i for i in ids if i.startswith("cb_")]
        subscriptions = [i for i in ids if not i.startswith("cb_")]
        names = [keys.subs, *map(keys.callback, callbacks), *map(keys.event, events)]
        args: list[str | float] = [len(callbacks), *subscriptions]
        docs, bodies = await self._connection.run("read_deliveries", names, args)
        targets = [*callbacks, *subscriptions]
        found = {t: self._read(t, doc) for t, doc in zip(targets, docs, strict=True)}
        return found, [_wrong(body) if isinstance(body, list) else body for body in bodies]

    def _read(
        self, target: str, doc: bytes | list[bytes] | None
    ) -> Subscription | WrongKeyType | None:
        if isinstance(doc, list):
            return _wrong(doc)
        found = self._found(target, doc)
        return found and _with_usable_secrets(found)

    def _found(self, target: str, doc: bytes | None) -> Subscription | None:
        static = self._static.get(target)
        stored = self._opened(target, _decode(doc)) if doc else None
        if static is None:  # the file does not have it any more, so it has no secrets
            return None if stored and stored.static else stored
        return _from_file(static, stored)

    def _opened(self, target: str, stored: Subscription) -> Subscription:
        """A target with its secrets decrypted, except those that cannot be."""
        return map_secrets(target, stored, self._open)

    def _open(self, target: str, stored: str) -> str:
        try:
            return self._vault.open(target, stored)
        except ConfigError as error:
            self._log_missing_key(target, vault.key_of(stored), str(error))
            return stored

    def _log_missing_key(self, target: str, key: str, reason: str) -> None:
        if key not in self._unopened:
            self._unopened.add(key)
            log.error("secret_decrypt_failed", target=target, key=key, reason=reason)

    def _stored(self, target: Subscription) -> bytes:
        """A target as it is stored: secrets encrypted, and those of the file left out."""
        return _encode(map_secrets(target.id, without_file_secrets(target), self._vault.seal))

    async def save(self, subscription: Subscription) -> None:
        """Write a subscription; commits that matched without it are refused."""
        await self._copies.write(subscription.id, self._stored(subscription))

    async def remove(self, target: str) -> bool:
        """Remove a subscription; False if there was none."""
        return await self._copies.remove(target)

    async def repair(self) -> list[str]:
        """Copy subscriptions that differ between shards; returns their ids."""
        return await self._copies.repair()

    async def save_callback(self, keys: Keys, target: Subscription, ends: float) -> None:
        """Write a callback target, which lives as long as the longest of its jobs.

        Its id is a hash of its URL and secret, so an existing target differs only in the master key
        that encrypts it.
        """
        args: list[bytes | float] = [self._stored(target), int(ends * 1000)]
        await self._connection.run("callback", [keys.callback(target.id)], args)

    async def change(
        self,
        target: str,
        edit: Callable[[Subscription], Subscription],
        publish: Callable[[Subscription, EventRouter], NewEvent | None] = lambda *_: None,
    ) -> Subscription | None:
        """Edit a subscription and publish an event about that, at once; None if there is none.

        If any subscription is changed at the same time, it is read and edited again. `publish`
        returns the event about the changed subscription, given all subscriptions.
        """
        keys = self._shards[0]
        for _ in range(MAX_TRIES):
            pipe = self._connection.redis.pipeline(transaction=True)
            pipe.get(keys.subs_version)
            pipe.hgetall(keys.subs)
            version, docs = await self._connection.ask(pipe.execute())
            was = self._found(target, docs.get(target.encode()))
            if was is None:
                return None
            new = edit(was)
            if new == was:  # perhaps an earlier call was cut short before all shards had it
                await self._copies.copy(target)
                return was
            event = publish(new, EventRouter(subs_version(version), self._all(docs.values())))
            if await self._change(keys, subs_version(version), new, event):
                await self._copies.copy(target)
                return new
        raise Contention("Too many subscriptions are being changed at the same time; try again")

    async def _change(
        self, keys: Keys, version: str, new: Subscription, event: NewEvent | None
    ) -> bool:
        args = ScriptArgs(keys, keys.subs, keys.subs_version, keys.log, keys.overflow)
        args.add_list([event] if event else [], args.add_event)
        packed = args.pack(
            version=version,
            next=new_version(),
            id=new.id,
            doc=args.blob(self._stored(new)),
            most=self._keep.waiting,
        )
        return bool(await self._connection.run("update_subscription", args.keys, packed))


def _wrong(row: list[bytes]) -> WrongKeyType:
    return wrong_key(row[0].decode())


def _from_file(static: Subscription, stored: Subscription | None) -> Subscription:
    """A subscription of the file; disabled if the stored one is, and has the same URL."""
    if stored is None or stored.url != static.url:
        return static
    return replace(static, disabled=stored.disabled)


def _with_usable_secrets(target: Subscription) -> Subscription:
    """A target without old secrets that cannot be decrypted; only the newest one must sign."""
    first, rest = target.secrets[:1], target.secrets[1:]
    opened = tuple(s for s in rest if not vault.is_sealed(s))
    return target if opened == rest else replace(target, secrets=(*first, *opened))
