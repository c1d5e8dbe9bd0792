"""Jobs in Redis: look them up, and commit what was decided about them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from processor.keyed_locks import KeyedLocks
from processor.model import Job, Retention
from processor.payload import utc
from processor.store import expiry_list
from processor.store.change import Change, NewEvent
from processor.store.connection import Connection
from processor.store.expiry_list import Position
from processor.store.group_commit import GroupCommit
from processor.store.job_lookup import JobLookup, lookup
from processor.store.keys import Keys
from processor.store.read_size import PIECE, ReadSize
from processor.store.refusals import Outcome, outcome
from processor.store.script_args import ScriptArgs
from processor.store.versions import new_version
from processor.store.work_items import Claim, Room, WorkItem, claims_of

PAGE = 1000  # records read at once, at most
ANSWER_AT_MOST = 65_536  # bytes of an answer that is kept for the mirror

_encode = msgspec.json.Encoder().encode


class Committed(NamedTuple):
    """What a commit wrote: the outcome of each change. And what it claimed."""

    outcomes: list[Outcome]
    claims: list[Claim]
    older_bodies: frozenset[str]  # ids of events that were published before, with this body


class Jobs:
    """The jobs of all shards."""

    def __init__(
        self,
        connection: Connection,
        shards: Sequence[Keys],
        keep: Retention,
        lease: float,
    ) -> None:
        """`lease` is in seconds."""
        self._lease = int(lease * 1000)
        self._connection = connection
        self._reads: GroupCommit[tuple[Keys, str], JobLookup] = GroupCommit(self._read_all)
        self._shards = shards
        self._keep = keep
        self._read_size = ReadSize(PAGE)
        self.turns: KeyedLocks[str] = KeyedLocks()  # of this process's callers, by `source/id`

    def ends(self, job: Job) -> float:
        """When a job's keys expire, in seconds."""
        return kept_from(job) + self._keep.jobs

    async def read(
        self, keys: Keys, names: Sequence[str], may_be: Callable[[bytes], bool] | None = None
    ) -> list[JobLookup]:
        """What each `source/id` is. A record for which `may_be` is false is not decoded: of it only
        the size is returned.
        """
        found: list[JobLookup] = []
        while len(found) < len(names):
            batch = names[len(found) : len(found) + self._read_size.next(PIECE)]
            rows = await self._connection.command("MGET", *map(keys.job, batch))
            self._read_size.learn(len(row or b"") for row in rows)
            found += [
                lookup(row)
                if may_be is None or may_be(row or b"")
                else JobLookup(size=len(row or b""))
                for row in rows
            ]
        return found

    async def find(self, keys: Keys, name: str) -> JobLookup:
        """What one `source/id` is; thousands of calls at the same time share a few round trips."""
        return await self._reads.add((keys, name))

    async def _read_all(self, asked: list[tuple[Keys, str]]) -> list[JobLookup]:
        found: dict[tuple[int, str], JobLookup] = {}
        for shard in {keys.shard for keys, _ in asked}:
            names = sorted({name for keys, name in asked if keys.shard == shard})
            rows = await self.read(self._shards[shard], names)
            found |= {(shard, name): row for name, row in zip(names, rows, strict=True)}
        return [found[keys.shard, name] for keys, name in asked]

    async def commit(
        self,
        keys: Keys,
        version: str,
        changes: Sequence[Change],
        *,
        most: int | None = None,
        bounded: bool = False,
    ) -> list[Outcome] | None:
        """The outcomes of `commit_and_claim`, without a claim."""
        done = await self.commit_and_claim(keys, version, changes, None, most=most, bounded=bounded)
        return done and done.outcomes

    async def commit_and_claim(
        self,
        keys: Keys,
        version: str,
        changes: Sequence[Change],
        room: Room | None,
        *,
        most: int | None = None,
        bounded: bool = False,
    ) -> Committed | None:
        """Write changes, each completely or not at all: False if its job has changed since it was
        read, WrongKeyType if one of its keys has another type.

        None: nothing was written, since the subscriptions are not those of `version` any more.
        Claims what can start now in the lanes of their deliveries, as far as there is `room`; the
        rest is left to others. At most `most` deliveries of a subscription wait; further ones are
        overflow. Overloaded if this is `bounded` and Redis is out of memory. Should the answer of
        Redis be lost, what was claimed is due again when its lease ends.
        """
        fixed = [keys.subs_version, keys.log, keys.jobs]
        fixed += [keys.paused["deliver"], keys.rate_limit["deliver"], keys.overflow]
        args = ScriptArgs(keys, *fixed)
        for change in changes:
            args.add_change(change, self.ends(change.job), _record(change))
        if room:
            args.open_lanes("deliver", room.limits)
        packed = args.pack(
            version=version,
            room={
                "limit": room.limit if room else 0,
                "bytes": room.size if room else 0,
                "lease": self._lease,
            },
            most=self._keep.waiting if most is None else min(most, self._keep.waiting),
            jobs=len(changes),
        )
        done = await self._connection.run("commit", args.keys, packed, bounded=bounded)
        if done is None:
            return None
        results, claimed, older = done
        return Committed(
            [outcome(row) for row in results],
            claims_of(keys, "deliver", claimed),
            frozenset(event.decode() for event in older),
        )

    async def enqueue_deliveries(self, keys: Keys, event: NewEvent) -> None:
        """Enqueue the deliveries of an event that belongs to no job."""
        args = ScriptArgs(keys, keys.event(event.id))
        args.add_list(event.deliveries, args.add_item)
        packed = args.pack(body=args.blob(event.body))
        await self._connection.run("enqueue_deliveries", args.keys, packed, bounded=True)

    async def alias(
        self, keys: Keys, name: str, to: str, ends: float, *, through: str | None = None
    ) -> bool:
        """Make `source/alias` an alias of a job; False if the name is something else already.

        It may be an alias of `through`, which leads to the job. Updates that are held under it are
        due then.
        """
        args = ScriptArgs(keys, keys.job(name), keys.held(name))
        args.lane("ingest", name.partition("/")[0])
        packed = args.pack(to=to, ends=int(ends * 1000), through=through)
        return bool(await self._connection.run("alias", args.keys, packed))

    async def delete(
        self, keys: Keys, job: Job, version: str, items: Sequence[WorkItem] = ()
    ) -> bool:
        """Delete a job, enqueue items, wake who waits for it, and leave a tombstone for a while.

        False, and nothing is written, if the job has another version.
        """
        name = name_of(job)
        args = ScriptArgs(keys, *keys.job_keys(name), keys.jobs, keys.deletions)
        args.add_list(items, args.add_item)
        lasts = int(self._keep.seen * 1000)
        packed = args.pack(version=version, uid=job.uid, name=name, lasts=lasts)
        return bool(await self._connection.run("delete_job", args.keys, packed))

    async def unalias(self, keys: Keys, name: str, to: str) -> bool:
        """Let `source/alias` of a deleted job expire with the tombstone."""
        lasts = int(self._keep.seen * 1000)
        return bool(await self._connection.run("unalias", [keys.job(name)], [to, lasts]))

    async def history(self, keys: Keys, name: str) -> list[dict[str, Any]]:
        """A job's history, oldest first; each entry with its time, and how often it was seen."""
        redis = self._connection.redis
        lines = await self._connection.ask(redis.lrange(keys.history(name), 0, -1))
        return [_entry(line) for line in lines]

    async def answer(self, keys: Keys, name: str) -> bytes | None:
        """The provider's last answer to a poll of this job, as it was committed."""
        found: bytes | None = await self._connection.ask(
            self._connection.redis.get(keys.answer(name))
        )
        return found

    async def listed(self, after: Position, count: int) -> list[Position]:
        """The first `count` names after a position of the list; those that expire last come first."""
        keys = [keys.jobs for keys in self._shards]
        return await expiry_list.listed(self._connection, keys, after, count)

    async def sweep(self, now: float) -> None:
        """Remove the names of jobs whose keys have expired from the list."""
        for keys in self._shards:
            command = self._connection.redis.zremrangebyscore(keys.jobs, "-inf", int(now * 1000))
            await self._connection.ask(command)


def kept_from(job: Job) -> float:
    """From when a job is kept, in seconds: mostly known at the start, so expiries are set once."""
    return max(job.deadline_at, job.ended_at or 0.0)


def name_of(job: Job) -> str:
    """A job's name in keys: `source/id`."""
    return f"{job.source}/{job.id}"


def _record(change: Change) -> bytes | None:
    """The record after its version, which no other record of that name ever has; None if it stays.

    The number in the version is for readers; the random word makes it unique.
    """
    if not change.save:
        return None
    number = int(change.version.partition("-")[0]) if change.version[:1].isdigit() else 0
    return b"%d-%b %b" % (number + 1, new_version().encode(), _encode(change.job))


def _entry(line: bytes) -> dict[str, Any]:
    at, count, text = line.split(b" ", 2)
    entry: dict[str, Any] = msgspec.json.decode(text)
    return {"at": utc(int(at) / 1000), "count": int(count), **entry}
