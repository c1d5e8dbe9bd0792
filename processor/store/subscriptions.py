"""Where events go: subscriptions, and jobs' own callback targets.

Their secrets are sealed on the way in and opened on the way out. What does not open is handed
out sealed, so that it is written back as it was: who signs must look (`vault.is_sealed`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import structlog
from msgspec.structs import replace

from processor import vault
from processor.errors import ConfigError, Contention, StoreUnavailable, WrongKeyType
from processor.event_filters import EventRouter
from processor.model import Retention, Subscription
from processor.store.change import NewEvent
from processor.store.connection import Connection
from processor.store.keys import Keys
from processor.store.refusals import wrong_key
from processor.store.reseal import bared, turned
from processor.store.script_args import ScriptArgs
from processor.store.versions import NONE, new_version
from processor.vault import Vault

TURNS = 30  # of a change, where any other subscription's is in the way

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
        """Take the file's subscriptions by id, what seals secrets, and how many deliveries may wait."""
        self._connection = connection
        self._keep = keep
        self._shards = shards
        self._static = dict(static)
        self._vault = safe
        self._unopened: set[str] = set()  # ids of keys that were missed, each told once
        self._routers: dict[int, EventRouter] = {}
        self._agreed: list[str] = []  # versions of the shards when all said the same
        self._were_apart: set[str] = set()  # at the last look

    def forget(self) -> None:
        """Forget who wants what: another Redis, or other data, is there now."""
        self._routers.clear()
        self._agreed, self._were_apart = [], set()

    async def router(self, keys: Keys, *, fresh: bool = False) -> EventRouter:
        """Who wants what, as a shard has it; read anew when a refused commit is a reason to."""
        router = self._routers.get(keys.shard)
        if router is None or fresh:
            pipe = self._connection.redis.pipeline(transaction=True)
            pipe.get(keys.subs_version)
            pipe.hvals(keys.subs)
            version, docs = await self._connection.ask(pipe.execute())
            router = self._routers[keys.shard] = EventRouter(_word(version), self._all(docs))
        return router

    async def current(self, keys: Keys) -> EventRouter:
        """The same, read anew if anything changed: for those who refuse no commit, and so hear of
        no change.
        """
        router = await self.router(keys)
        version = await self._connection.ask(self._connection.redis.get(keys.subs_version))
        same = _word(version) == router.version
        return router if same else await self.router(keys, fresh=True)

    def _all(self, docs: Iterable[bytes]) -> list[Subscription]:
        """Those of the API, and those of the file, which Redis only knows when disabled."""
        stored = {s.id: self._opened(s.id, s) for s in map(_decode, docs)}
        static = [_as_filed(s, stored.get(s.id)) for s in self._static.values()]
        return static + [s for s in stored.values() if not s.static]

    async def listed(self) -> list[Subscription]:
        """All subscriptions."""
        docs = await self._connection.ask(self._connection.redis.hvals(self._shards[0].subs))
        return sorted(self._all(docs), key=lambda s: (s.created_at, s.id))

    async def count(self) -> int:
        """How many subscriptions Redis holds."""
        redis = self._connection.redis
        return int(await self._connection.ask(redis.hlen(self._shards[0].subs)))

    async def get(self, target: str) -> Subscription | None:
        """A subscription, read fresh."""
        keys = self._shards[0]
        return self._found(
            target, await self._connection.ask(self._connection.redis.hget(keys.subs, target))
        )

    async def read(
        self, keys: Keys, ids: Sequence[str], events: Sequence[str]
    ) -> tuple[dict[str, Subscription | WrongKeyType | None], list[bytes | WrongKeyType | None]]:
        """Targets by id (subscriptions `sub_…`, callback targets `cb_…`), and events' bodies.

        What cannot be read because its key is of another type is that error.
        """
        callbacks = [i for i in ids if i.startswith("cb_")]
        subscriptions = [i for i in ids if not i.startswith("cb_")]
        ring = [keys.subs, *map(keys.callback, callbacks), *map(keys.event, events)]
        docs, bodies = await self._connection.run(
            "read_deliveries", ring, [len(callbacks), *subscriptions]
        )
        targets = [*callbacks, *subscriptions]
        found = {t: self._read(t, doc) for t, doc in zip(targets, docs, strict=True)}
        return found, [_wrong(body) if isinstance(body, list) else body for body in bodies]

    def _read(
        self, target: str, doc: bytes | list[bytes] | None
    ) -> Subscription | WrongKeyType | None:
        if isinstance(doc, list):
            return _wrong(doc)
        found = self._found(target, doc)
        return found and _signing(found)

    def _found(self, target: str, doc: bytes | None) -> Subscription | None:
        static = self._static.get(target)
        stored = self._opened(target, _decode(doc)) if doc else None
        if static is None:  # one that the file named once has no secrets left to sign with
            return None if stored and stored.static else stored
        return _as_filed(static, stored)

    def _opened(self, target: str, stored: Subscription) -> Subscription:
        """A target with its secrets open, but for those that do not open."""
        return turned(target, stored, self._open)

    def _open(self, target: str, kept: str) -> str:
        try:
            return self._vault.open(target, kept)
        except ConfigError as error:
            self._tell(target, vault.key_of(kept), str(error))
            return kept

    def _tell(self, target: str, key: str, reason: str) -> None:
        if key not in self._unopened:
            self._unopened.add(key)
            log.error("secret_decrypt_failed", target=target, key=key, reason=reason)

    def _stored(self, target: Subscription) -> bytes:
        """A target as Redis has it: no secret is plain, and none of the file's is there."""
        return _encode(turned(target.id, bared(target), self._vault.seal))

    async def save(self, subscription: Subscription) -> None:
        """Write a subscription to every shard; commits that matched without it are refused.

        The first shard, which says what there is, comes last: what was cut short is not there.
        """
        kept = self._stored(subscription)
        for keys in reversed(self._shards):
            await self._write(keys, subscription.id, kept)
        await self._spread(subscription.id)

    async def remove(self, target: str) -> bool:
        """Remove a subscription from every shard; False if no shard had it.

        A shard that is away keeps no other from being tried; StoreUnavailable then says to try again.
        The first shard is the first: a change under way copies what is there to the others.
        """
        there, away = False, None
        for keys in self._shards:
            try:
                there = await self._remove(keys, target) or there
            except StoreUnavailable as error:
                away = error
        if away:
            raise away
        return there

    async def _remove(self, keys: Keys, target: str) -> bool:
        names = [keys.parked["deliver"], keys.paced["deliver"], keys.overflow]
        names = [keys.subs, keys.subs_version, *names]
        return bool(await self._connection.run("unsubscribe", names, [target, new_version()]))

    async def save_callback(self, keys: Keys, target: Subscription, ends: float) -> None:
        """Write a callback target, to live as long as the longest of its jobs.

        Its id is made of its URL and secret: what is there already says the same, but for the
        key that it is sealed with.
        """
        args: list[bytes | float] = [self._stored(target), int(ends * 1000)]
        await self._connection.run("callback", [keys.callback(target.id)], args)

    async def change(
        self,
        target: str,
        edit: Callable[[Subscription], Subscription],
        tell: Callable[[Subscription, EventRouter], NewEvent | None] = lambda *_: None,
    ) -> Subscription | None:
        """Edit a subscription as it now is, and tell that with it; None if there is none.

        What anybody else changed meanwhile is read, and edited, again. `tell` gives the event
        of what the subscription has become, for those that there are.
        """
        keys = self._shards[0]
        for _ in range(TURNS):
            pipe = self._connection.redis.pipeline(transaction=True)
            pipe.get(keys.subs_version)
            pipe.hgetall(keys.subs)
            version, docs = await self._connection.ask(pipe.execute())
            was = self._found(target, docs.get(target.encode()))
            if was is None:
                return None
            if (new := edit(was)) == was:  # perhaps by a call that ended before all shards had it
                await self._spread(target)
                return was
            told = tell(new, EventRouter(_word(version), self._all(docs.values())))
            if await self._change(keys, _word(version), new, told):
                await self._spread(target)
                return new
        raise Contention("The subscriptions are being changed by many at once; try again")

    async def _change(
        self, keys: Keys, version: str, new: Subscription, event: NewEvent | None
    ) -> bool:
        args = ScriptArgs(keys, keys.subs, keys.subs_version, keys.log, keys.overflow)
        packed = args.pack(
            version=version,
            next=new_version(),
            id=new.id,
            doc=args.blob(self._stored(new)),
            most=self._keep.waiting,
            event=event and args.event(event),
        )
        return bool(await self._connection.run("update_subscription", args.keys, packed))

    async def _spread(self, target: str) -> None:
        """Make the other shards say what the first one says: who writes there last looks last."""
        first, *others = self._shards
        doc = await self._doc(first, target) if others else None
        while others:
            was = doc
            for keys in others:
                if await self._doc(keys, target) != doc:
                    await self._write(keys, target, doc)
            doc = await self._doc(first, target)
            if doc == was:
                return

    async def _doc(self, keys: Keys, target: str) -> bytes | None:
        found: bytes | None = await self._connection.ask(
            self._connection.redis.hget(keys.subs, target)
        )
        return found

    async def _write(self, keys: Keys, target: str, doc: bytes | None) -> None:
        """Write, or remove, a subscription in one shard."""
        if doc is None:
            await self._remove(keys, target)
            return
        names = [keys.subs, keys.subs_version]
        await self._connection.run("subscribe", names, [target, doc, new_version()])

    async def repair(self) -> list[str]:
        """Spread what another process left apart; the ids of it.

        What one look finds apart may be a change under way: it is spread if the next look, some
        seconds later, finds it apart still.
        """
        if len(self._shards) == 1:
            return []
        versions = await self._versions()
        if versions == self._agreed:
            return []
        apart = await self._apart()
        left = sorted(apart & self._were_apart)
        for target in left:
            await self._spread(target)
        self._were_apart = apart - set(left)
        self._agreed = [] if apart else versions
        return left

    async def _versions(self) -> list[str]:
        calls = [self._connection.redis.get(keys.subs_version) for keys in self._shards]
        return [_word(await self._connection.ask(call)) for call in calls]

    async def _apart(self) -> set[str]:
        """The ids of subscriptions that some shard has otherwise than the first one."""
        calls = [self._connection.redis.hgetall(keys.subs) for keys in self._shards]
        first, *others = [await self._connection.ask(call) for call in calls]
        rows = {row for docs in others for row in docs.items() ^ first.items()}
        return {target.decode() for target, _ in rows}


def _wrong(row: list[bytes]) -> WrongKeyType:
    return wrong_key(row[0].decode())


def _word(version: bytes | None) -> str:
    return version.decode() if version else NONE


def _as_filed(static: Subscription, stored: Subscription | None) -> Subscription:
    """A subscription of the file, disabled if Redis says so and its URL is still that one."""
    if stored is None or stored.url != static.url:
        return static
    return replace(static, disabled=stored.disabled)


def _signing(target: Subscription) -> Subscription:
    """A target without the old secrets that do not open: it is the newest that must sign."""
    first, rest = target.secrets[:1], target.secrets[1:]
    opened = tuple(s for s in rest if not vault.is_sealed(s))
    return target if opened == rest else replace(target, secrets=(*first, *opened))
