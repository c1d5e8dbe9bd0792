"""Reserves the names of jobs that do not exist yet, together with the pushes that create them.

A reservation fixes which of several names is the job's id, and the uid of its record. So the events
of the record have the same ids, whichever process commits it, and however often a commit is lost.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from processor.errors import WrongKeyType
from processor.model import Retention
from processor.store.connection import Connection
from processor.store.keys import Keys, shard_of
from processor.store.refusals import or_wrong_key
from processor.store.script_args import ScriptArgs

SHOWS = 520  # bytes that show what a name is: `to ` and an id of up to 512
DELETED = b""  # instead of an id: one of the names belongs to a deleted job


class Naming(NamedTuple):
    """The names that an update gives its job, the id first; perhaps only those in one shard."""

    source: str
    id: str
    names: tuple[str, ...]

    def shards(self, count: int) -> set[int]:
        """The shards that the names live in."""
        return {shard_of(self.source, name, count) for name in self.names}

    def within(self, shard: int, count: int) -> "Naming":
        """The same with only the names in one shard."""
        here = (name for name in self.names if shard_of(self.source, name, count) == shard)
        return self._replace(names=tuple(here))


def naming(source: str, job: str, *aliases: str) -> Naming:
    """The names of a job."""
    return Naming(source, job, tuple(dict.fromkeys((job, *aliases))) if aliases else (job,))


class Names:
    """Reservations in all shards."""

    def __init__(self, connection: Connection, shards: Sequence[Keys], keep: Retention) -> None:
        self._connection = connection
        self._shards = shards
        self._keep = keep

    async def reserve(self, namings: Sequence[Naming]) -> None:
        """Reserve names in all shards; names that exist stay as they are.

        All processes visit the shards in the same order, and the first one there decides: so two
        pushes that give a job the same names in different orders agree which one is its id.
        """
        if not namings:
            return
        ids: dict[Naming, bytes | None] = dict.fromkeys(namings)
        await self._find(ids)
        for keys in self._shards:
            here = self._here(ids, keys)
            if not here:
                continue
            args = ScriptArgs(keys)
            args.add(len(here))
            for whole, part in here:
                add_naming(args, part, ids[whole])
            packed = args.pack(reserve=reservation_ms(self._keep))
            found = await self._connection.run("reserve_names", args.keys, packed)
            ids.update(zip((whole for whole, _ in here), found, strict=True))

    async def _find(self, ids: dict[Naming, bytes | None]) -> None:
        """Note the id where one of the names exists; drop namings all of whose names exist."""
        found_names: dict[tuple[str, str], bytes | WrongKeyType] = {}
        for keys in self._shards:
            names = sorted({(p.source, n) for _, p in self._here(ids, keys) for n in p.names})
            pipe = self._connection.redis.pipeline(transaction=False)
            for source, name in names:
                pipe.getrange(keys.job(f"{source}/{name}"), 0, SHOWS)
            rows = await self._connection.ask(pipe.execute(raise_on_error=False))
            found_names.update(zip(names, map(or_wrong_key, rows), strict=True))
        for naming in list(ids):
            found = [(name, found_names[naming.source, name]) for name in naming.names]
            texts = [(name, row) for name, row in found if not isinstance(row, WrongKeyType)]
            if len(texts) < len(found) or all(row for _, row in texts):
                del ids[naming]  # if a key has another type, the update fails in ingest
            else:
                ids[naming] = next((_id(name, row) for name, row in texts if row), None)

    def _here(self, ids: dict[Naming, bytes | None], keys: Keys) -> list[tuple[Naming, Naming]]:
        """Each naming, except of deleted jobs, with its part in a shard, if it has one there."""
        count = len(self._shards)
        parts = [(n, n.within(keys.shard, count)) for n, to in ids.items() if to != DELETED]
        return [(whole, part) for whole, part in parts if part.names]


def _id(name: str, row: bytes) -> bytes:
    """The id of the job that an existing name belongs to."""
    if row == b"gone":
        return DELETED
    return row.removeprefix(b"to ") if row.startswith(b"to ") else name.encode()


def add_naming(args: ScriptArgs, given: Naming, to: bytes | None = None) -> None:
    """Add a NAMING of the scripts; `to` is the id that names in another shard have shown."""
    args.add(new_uid(), given.id, to.decode() if to else None)
    args.add_names(given.source, given.names)


def reservation_ms(keep: Retention) -> int:
    """How long a reservation lasts: as long as pushes may wait for a worker."""
    return int(keep.jobs * 1000)


def new_uid() -> str:
    """A word that no other record of a job has."""
    return f"{random.getrandbits(64):016x}"
