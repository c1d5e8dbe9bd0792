"""The inbox of ingest in Redis: accepts updates, each once, and reserves the names of their jobs."""

from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from processor.model import Retention, StatusUpdate
from processor.store import reserve
from processor.store.connection import Connection
from processor.store.held import HOLD, MOST_HELD, Accepted, accepted
from processor.store.keys import Keys, shard_of
from processor.store.names import Naming, add_naming, naming, reservation_ms, uid_of_push
from processor.store.script_args import ScriptArgs

_encode = msgspec.json.Encoder().encode


class Bounds(NamedTuple):
    """The memory for pushes: `ceiling` limits the sum of the prices of all pushes ever accepted."""

    ceiling: int | None
    fan_out: Callable[[str], int]  # how many subscriptions may get events of a source
    may_hold: bool = True


class Inbox:
    """The inboxes of all shards."""

    def __init__(
        self,
        connection: Connection,
        shards: Sequence[Keys],
        keep: Retention,
    ) -> None:
        """`connection` is for pushes alone."""
        self._connection = connection
        self._shards = shards
        self._keep = keep

    async def accept(
        self,
        keys: Keys,
        pushes: Sequence[tuple[str, StatusUpdate]],
        names: Sequence[Naming] | None = None,
        bounds: Bounds | None = None,
        hold: Container[int] = (),
    ) -> list[Accepted] | None:
        """Queue updates for ingest, each with its dedupe id; what became of each.

        `names`, all of this shard, are reserved in the same call: by default each update's id. The
        updates at the places `hold` are held if their job is not known.
        None: the pushes of all receivers would exceed `bounds`, and nothing was written. Without
        bounds the updates are accepted work, which may be written even if Redis is full.
        """
        if names is None:
            names = [naming(u.source, u.id, push=dedupe_id) for dedupe_id, u in pushes]
        args = ScriptArgs(keys, keys.waiting)
        args.add_list(_several_first(names), partial(add_naming, args, self._keep))
        for place, (dedupe_id, update) in enumerate(pushes):
            payload, ids = _encode(update), [update.id, *update.aliases]
            if (shards := len(self._shards)) > 1:  # those in this shard
                ids = [n for n in ids if shard_of(update.source, n, shards) == keys.shard]
            price, uid = 0, None
            if bounds:
                price = reserve.update_price(1, len(payload), bounds.fan_out(update.source))
            if place in hold:
                uid = uid_of_push(update.source, update.id, dedupe_id, self._keep)
                price += reserve.held_price(len(update.aliases))
            args.add_push(dedupe_id, update, payload, ids, price=price, uid=uid)
        packed = args.pack(
            keep=int(self._keep.seen * 1000),
            reserve=reservation_ms(self._keep),
            ceiling=bounds and bounds.ceiling,
            each=reserve.RECORD,
            pushes=len(pushes),
            hold=int(HOLD * 1000),
            most=bounds and (MOST_HELD // len(self._shards) if bounds.may_hold else 0),
        )
        done = await self._connection.run("accept", args.keys, packed, bounded=bounds is not None)
        return None if done is None else [accepted(row) for row in done]


def _several_first(names: Sequence[Naming]) -> list[Naming]:
    """Each once; those with several names first, since they may show which job a single name is."""
    return sorted(dict.fromkeys(names), key=lambda given: -len(given.names))
