"""Groups in Redis: their records, the rows of their members, and commits of both."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from processor.group import Group, GroupState, Member, MemberEnd
from processor.keyed_locks import KeyedLocks
from processor.model import Retention
from processor.store import expiry_list
from processor.store.change import NewEvent
from processor.store.connection import Connection
from processor.store.expiry_list import Position
from processor.store.keys import Keys, shard_of
from processor.store.script_args import ScriptArgs
from processor.store.versions import new_version
from processor.store.work_items import NOW, Claim, WorkItem

LANE = "?groups"
"""The lane of ingest for ends of members, and for deadlines of groups; no source has this name."""

NAMES_KEPT = 8  # lists of names, of at most a megabyte each
PIECE = 1000  # rows of members that are read or written at once: Redis does nothing else meanwhile


class GroupDeadline(msgspec.Struct, frozen=True):
    """The deadline of a group, as the payload of its timer."""

    group: str


DEADLINE_GRACE = 10.0  # seconds in which members that expire with their group still count
_DEADLINE = "deadline:"  # before the name of a timer: what waits under it is not accepted work

_encode = msgspec.json.Encoder().encode
_decode_deadline = msgspec.json.Decoder(GroupDeadline).decode
_decode_end = msgspec.json.Decoder(MemberEnd).decode
_decode_group = msgspec.json.Decoder(Group).decode
_decode_member = msgspec.json.Decoder(Member).decode


class GroupLookup(NamedTuple):
    """A group's record with its version, or neither; and the rows of some of its members."""

    version: str = ""
    group: Group | None = None
    members: Mapping[str, Member] = {}


class GroupChange(NamedTuple):
    """Everything that is written of one group at once."""

    group: Group
    version: str
    rows: Mapping[str, Member] = {}
    events: Sequence[NewEvent] = ()
    items: Sequence[WorkItem] = ()
    dropped: Sequence[tuple[str, str, str]] = ()  # (backlog, lane, item)


def end_item(end: MemberEnd) -> WorkItem:
    """What a job tells a group, on its way to the group's shard."""
    name = f"{end.membership.uid}:{end.membership.member}"
    created_at, attempt, sequence = end.version
    item = f"{name}:{created_at:.6f}.{attempt}.{sequence}"
    return WorkItem("ingest", LANE, item, NOW, _encode(end))


def deadline_item(group: Group) -> WorkItem:
    """The timer of a group's deadline."""
    at = group.deadline_at + (0.0 if group.own_deadline else DEADLINE_GRACE)
    return WorkItem("ingest", LANE, deadline_name(group.id), at, _encode(GroupDeadline(group.id)))


def deadline_name(group: str) -> str:
    """The name of that timer."""
    return f"{_DEADLINE}{LANE}/{group}"


def read_item(claim: Claim) -> MemberEnd | GroupDeadline:
    """What a claim of the groups' lane is about."""
    decode = _decode_deadline if claim.item.startswith(_DEADLINE) else _decode_end
    return decode(claim.payload)


class Groups:
    """The groups of all shards."""

    def __init__(self, connection: Connection, shards: Sequence[Keys], keep: Retention) -> None:
        self._connection = connection
        self._shards = shards
        self._keep = keep
        self.turns: KeyedLocks[str] = KeyedLocks()  # of callers of this process
        self._names = OrderedDict[str, Sequence[str]]()  # of the groups that were listed last

    def shard(self, group: str) -> Keys:
        """The keys of the shard of a group."""
        return self._shards[shard_of(LANE, group, len(self._shards))]

    def ends(self, group: Group) -> float:
        """When a group's keys expire, in seconds."""
        return max(group.deadline_at, group.finished_at or 0.0) + self._keep.jobs

    async def read(self, group: str, members: Sequence[str] = ()) -> GroupLookup:
        """A group, and the rows of these members, as far as it has them."""
        keys = self.shard(group)
        pipe = self._connection.redis.pipeline(transaction=True)
        pipe.get(keys.group(group))
        if members:
            pipe.hmget(keys.members(group), list(members))
        record, *rows = await self._connection.ask(pipe.execute())
        if record is None:
            return GroupLookup()
        version, _, text = record.partition(b" ")
        found = zip(members, rows[0], strict=True) if rows else ()
        known = {name: _decode_member(row) for name, row in found if row is not None}
        return GroupLookup(version.decode(), _decode_group(text), known)

    async def names(self, group: Group) -> Sequence[str]:
        """The names of a group's members, in the order of its list.

        Those of a group that takes no more are kept: else each page of its list would read all.
        """
        kept = self._names.get(group.uid)
        if kept is None:
            kept = tuple(await self.members(group.id))
            if group.filled and not group.open and len(kept) == group.total:
                self._names[group.uid] = kept
        if len(self._names) > NAMES_KEPT:
            self._names.popitem(last=False)
        return kept

    async def members(self, group: str) -> dict[str, Member]:
        """All members of a group, by `source/id`, in the order of its list."""
        redis, key = self._connection.redis, self.shard(group).members(group)
        found: dict[str, Member] = {}
        cursor = 0
        while True:
            cursor, rows = await self._connection.ask(redis.hscan(key, cursor, count=PIECE))
            found |= {name.decode(): _decode_member(row) for name, row in rows.items()}
            if not cursor:
                return dict(sorted(found.items(), key=lambda row: row[1].place))

    async def commit(
        self, version: str, change: GroupChange, *, bounded: bool = False
    ) -> bool | None:
        """Write a change completely or not at all: False if the group is not as it was read.

        None: nothing was written, since the subscriptions are not those of `version` any more.
        Overloaded if this is `bounded` and Redis is out of memory.
        """
        group = change.group
        keys = self.shard(group.id)
        fixed = [keys.subs_version, keys.log, keys.overflow, keys.groups]
        args = ScriptArgs(keys, *fixed, keys.group(group.id), keys.members(group.id))
        args.add_list(
            list(change.rows.items()), lambda row: args.add(row[0], _encode(row[1]).decode())
        )
        callbacks = [group.callback] if group.callback else []
        args.add_list(callbacks, lambda c: args.add(args.key(keys.callback(c.id))))
        args.add_list(change.events, args.add_event)
        args.add_list(change.dropped, lambda d: args.add(args.lane(d[0], d[1]), d[2]))
        args.add_list(change.items, args.add_item)
        record = b"%b %b" % (new_version().encode(), _encode(group))
        packed = args.pack(
            version=version,
            before=change.version,
            id=group.id,
            ends=int(self.ends(group) * 1000),
            doc=args.blob(record),
            most=self._keep.waiting,
        )
        done = await self._connection.run("commit_group", args.keys, packed, bounded=bounded)
        return None if done is None else bool(done)

    async def delete(self, group: str) -> bool:
        """Forget a group; False if there was none."""
        keys = self.shard(group)
        fixed = [keys.groups, keys.group(group), keys.members(group), keys.deletions]
        args = ScriptArgs(keys, *fixed)
        args.add_list([deadline_name(group)], lambda i: args.add(args.lane("ingest", LANE), i))
        packed = args.pack(id=group)
        return bool(await self._connection.run("delete_group", args.keys, packed))

    async def listed(self, after: Position, count: int) -> list[Position]:
        """The first `count` ids after a position of the list; those that expire last come first."""
        keys = [keys.groups for keys in self._shards]
        return await expiry_list.listed(self._connection, keys, after, count)

    async def running(self, keys: Keys) -> AsyncIterator[Group]:
        """The groups of a shard that have not ended, page by page."""
        redis, cursor = self._connection.redis, 0
        while True:
            cursor, rows = await self._connection.ask(redis.zscan(keys.groups, cursor, count=PIECE))
            names = [keys.group(name.decode()) for name, _ in rows]
            records = await self._connection.command("MGET", *names) if names else []
            for record in records:
                group = _decode_group(record.partition(b" ")[2]) if record else None
                if group and group.state is GroupState.RUNNING:
                    yield group
            if not cursor:
                return

    async def sweep(self, now: float) -> None:
        """Remove the ids of groups whose keys have expired from the list."""
        for keys in self._shards:
            command = self._connection.redis.zremrangebyscore(keys.groups, "-inf", int(now * 1000))
            await self._connection.ask(command)
