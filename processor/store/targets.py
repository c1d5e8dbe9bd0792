"""Where events go: subscriptions, jobs' own callback targets, and what was delivered there."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from processor.filters import Router
from processor.model import Subscription
from processor.store.connection import Connection
from processor.store.keys import Keys

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Subscription).decode


class Targets:
    """Subscriptions, the same in every shard, and callback targets."""

    def __init__(
        self, connection: Connection, shards: Sequence[Keys], static: Mapping[str, Subscription]
    ) -> None:
        """Take the subscriptions of the configuration file, by id."""
        self._connection = connection
        self._shards = shards
        self._static = dict(static)
        self._routers: dict[int, Router] = {}

    async def router(self, keys: Keys, *, fresh: bool = False) -> Router:
        """Who wants what, as a shard has it; read anew when a refused commit is a reason to."""
        router = self._routers.get(keys.shard)
        if router is None or fresh:
            pipe = self._connection.redis.pipeline(transaction=True)
            pipe.get(keys.subs_version)
            pipe.hvals(keys.subs)
            version, docs = await self._connection.ask(pipe.execute())
            router = self._routers[keys.shard] = Router(int(version or 0), self._all(docs))
        return router

    def _all(self, docs: Iterable[bytes]) -> list[Subscription]:
        """Those of the API, and those of the file, which Redis only knows when disabled."""
        stored = {s.id: s for s in map(_decode, docs)}
        static = [_as_filed(s, stored.get(s.id)) for s in self._static.values()]
        return static + [s for s in stored.values() if not s.static]

    async def listed(self) -> list[Subscription]:
        """All subscriptions."""
        docs = await self._connection.ask(self._connection.redis.hvals(self._shards[0].subs))
        return sorted(self._all(docs), key=lambda s: (s.created_at, s.id))

    async def get(self, target: str) -> Subscription | None:
        """A subscription, read fresh."""
        keys = self._shards[0]
        return self._found(
            target, await self._connection.ask(self._connection.redis.hget(keys.subs, target))
        )

    async def read(
        self, keys: Keys, ids: Sequence[str], events: Sequence[str]
    ) -> tuple[dict[str, Subscription | None], list[bytes | None]]:
        """Targets by id (subscriptions `sub_…`, callback targets `cb_…`), and events' bodies."""
        callbacks = [i for i in ids if i.startswith("cb_")]
        subscriptions = [i for i in ids if not i.startswith("cb_")]
        ring = [keys.subs, *map(keys.callback, callbacks), *map(keys.event, events)]
        docs, bodies = await self._connection.run(
            "deliveries", ring, [len(callbacks), *subscriptions]
        )
        targets = [*callbacks, *subscriptions]
        return {t: self._found(t, doc) for t, doc in zip(targets, docs, strict=True)}, bodies

    def _found(self, target: str, doc: bytes | None) -> Subscription | None:
        static = self._static.get(target)
        stored = _decode(doc) if doc else None
        return stored if static is None else _as_filed(static, stored)

    async def save(self, subscription: Subscription) -> None:
        """Write a subscription to every shard; commits that matched without it are refused."""
        for keys in self._shards:
            pipe = self._connection.redis.pipeline(transaction=True)
            pipe.hset(keys.subs, subscription.id, _encode(subscription))
            pipe.incr(keys.subs_version)
            await self._connection.ask(pipe.execute())

    async def remove(self, target: str) -> bool:
        """Remove a subscription from every shard; False if there was none."""
        there = False
        for keys in self._shards:
            pipe = self._connection.redis.pipeline(transaction=True)
            pipe.hdel(keys.subs, target)
            pipe.incr(keys.subs_version)
            there = bool((await self._connection.ask(pipe.execute()))[0]) or there
        return there

    async def save_callback(self, keys: Keys, target: Subscription, ends: float) -> None:
        """Write a callback target, to live as long as the longest of its jobs."""
        key, at = keys.callback(target.id), int(ends * 1000)
        pipe = self._connection.redis.pipeline(transaction=True)
        pipe.set(key, _encode(target), nx=True, pxat=at)
        pipe.pexpireat(key, at, gt=True)
        await self._connection.ask(pipe.execute())

    async def disable(self, target: Subscription, why: str) -> None:
        """Disable a subscription, unless it was changed or removed since it was read."""
        new = msgspec.structs.replace(target, disabled=why)
        for keys in self._shards:
            ring = [keys.subs, keys.subs_version]
            args: list[str | bytes | float] = [
                target.id,
                _encode(target),
                _encode(new),
                int(target.static),
            ]
            await self._connection.run("disable", ring, args)

    async def delivered(self, target: str, limit: int) -> list[bytes]:
        """Ended deliveries of a target, the newest first."""
        found: list[bytes] = []
        for keys in self._shards:
            rows = await self._connection.ask(
                self._connection.redis.xrevrange(keys.delivered(target), count=limit)
            )
            found += [fields[b"delivery"] for _, fields in rows]
        return found

    async def pending(self, target: str, limit: int) -> list[bytes]:
        """Deliveries of a target that wait or are under way."""
        found: list[bytes] = []
        for keys in self._shards:
            redis = self._connection.redis
            pipe = redis.pipeline(transaction=False)
            pipe.zrange(keys.held("deliver", target), 0, limit - 1)
            pipe.zrange(keys.due("deliver", target), 0, limit - 1)
            items = [i for part in await self._connection.ask(pipe.execute()) for i in part]
            if items:
                docs = await self._connection.ask(redis.hmget(keys.items("deliver"), items))
                found += [doc for doc in docs if doc]
        return found[:limit]


def _as_filed(static: Subscription, stored: Subscription | None) -> Subscription:
    """A subscription of the file, disabled if Redis says so and its URL is still that one."""
    if stored is None or stored.url != static.url:
        return static
    return msgspec.structs.replace(static, disabled=stored.disabled)
