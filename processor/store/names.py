"""Reserves the names of jobs that do not exist yet, together with the pushes that create them.

A reservation fixes which of several names is the job's id, and the uid of its record. So the events
of the record have the same ids, whichever process commits it, and however often a commit is lost.
The uid follows from the push that makes the job: if Redis loses that one as well, after a worker
has called back about it, its repetition makes a job whose events have the same ids.
"""

import hashlib
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from processor.errors import WrongKeyType
from processor.model import Retention
from processor.store.connection import Connection
from processor.store.held import ALIASES_LAST
from processor.store.keys import Keys, shard_of
from processor.store.refusals import or_wrong_key
from processor.store.script_args import ScriptArgs
from processor.store.versions import HELD, RESERVED

SHOWS = 520  # bytes that show what a name is: `to ` and an id of up to 512
DELETED = b""  # instead of an id: one of the names belongs to a deleted job

Rows = dict[tuple[str, str], bytes | WrongKeyType]
"""The beginning of what is stored, by source and name; b"" where nothing is."""


class Naming(msgspec.Struct, frozen=True):
    """The names that an update gives its job, the id first; perhaps only those in one shard.

    `push` is the dedupe id of the push that gives them, if one does.
    """

    source: str
    id: str
    names: tuple[str, ...]
    push: str = ""

    def shards(self, count: int) -> set[int]:
        """The shards that the names live in."""
        return {shard_of(self.source, name, count) for name in self.names}

    def within(self, shard: int, count: int) -> "Naming":
        """The same with only the names in one shard."""
        here = [name for name in self.names if shard_of(self.source, name, count) == shard]
        return replace(self, names=tuple(here))

    def has_id_in(self, shard: int, count: int) -> bool:
        """Whether the id lives in a shard."""
        return shard_of(self.source, self.id, count) == shard


def naming(source: str, job: str, *aliases: str, push: str = "") -> Naming:
    """The names of a job; `push` is the dedupe id of the push that gives them."""
    return Naming(source, job, tuple(dict.fromkeys((job, *aliases))) if aliases else (job,), push)


class HeldNames(NamedTuple):
    """What names of a push that may be held are about."""

    id: str  # of the job; empty if it was deleted
    others: list[str]  # names of this job under which other pushes are held


class Names:
    """Reservations in all shards."""

    def __init__(self, connection: Connection, shards: Sequence[Keys], keep: Retention) -> None:
        self._connection = connection
        self._shards = shards
        self._keep = keep

    async def reserve(self, namings: Sequence[Naming]) -> None:
        """Reserve names in all shards; names that exist stay as they are.

        An id is reserved after its aliases in other shards: until then it gives way to a job that
        one of them shows. So what is accepted under an alias meanwhile is about the same job.
        """
        if namings:
            rows = await self._read(namings)
            await self._reserve(namings, rows, RESERVED, reservation_ms(self._keep))

    async def hold(self, namings: Sequence[Naming]) -> list[HeldNames]:
        """The same for pushes that may be held: for less time, and what each naming is about."""
        lasts = int(ALIASES_LAST * 1000)
        await self._reserve(namings, await self._read(namings), HELD, lasts)
        rows = await self._read(namings)  # some may have become jobs meanwhile
        found = {n: _decided(n, rows) for n in namings}
        ids = {n: n.id.encode() if to is None else to for n, to in found.items()}
        await self._prolong([n for n in namings if not _is_known(n, ids[n], rows)], lasts)
        return [HeldNames(ids[n].decode(), _others(n, ids[n], rows)) for n in namings]

    async def _reserve(self, namings: Sequence[Naming], rows: Rows, word: str, lasts: int) -> None:
        """Reserve names that are free, where the job was not deleted."""
        agreed = _agreed(namings)
        shown = {n: _decided(n, rows) for n in agreed if _has_free(n, rows)}
        for has_id in (False, True):
            for keys in self._shards:
                if here := self._here(shown, keys, has_id=has_id):
                    await self._reserve_here(keys, here, shown, word, lasts)
        led = [n for n, to in shown.items() if to not in {None, DELETED, n.id.encode()}]
        if doubtful := led + [n for n in agreed if _circle(n, rows)]:
            await self._break_circles(doubtful, word, lasts)

    async def _reserve_here(
        self,
        keys: Keys,
        here: list[tuple[Naming, Naming]],
        shown: dict[Naming, bytes | None],
        word: str,
        lasts: int,
    ) -> None:
        """Reserve names in one shard, and note in `shown` the ids that they have shown."""
        args = ScriptArgs(keys)
        args.add(len(here))
        for whole, part in here:
            add_naming(args, self._keep, part, shown[whole])
        packed = args.pack(reserve=lasts, word=word)
        found = await self._connection.run("reserve_names", args.keys, packed)
        shown.update(zip((whole for whole, _ in here), found, strict=True))

    async def _break_circles(self, namings: Sequence[Naming], word: str, lasts: int) -> None:
        """Make one of aliases that lead to each other the id: the same one, whoever does it.

        Pushes that name each other's id as an alias, at the same time, make such a circle.
        """
        rows = await self._read(namings)
        while onward := _unread(rows):
            rows |= await self._read(onward)
        for n in namings:
            if circle := _circle(n, rows):
                first = min(circle)
                keys = self._shards[shard_of(n.source, first, len(self._shards))]
                was = f"to {_alias_of(rows[n.source, first])}"
                args = (was, f"{word}{_uid(n, self._keep)}", lasts)
                await self._connection.run("break_circle", [keys.job_of(n.source, first)], args)

    async def _read(self, namings: Iterable[Naming]) -> Rows:
        """The beginning of what is stored under each name; WrongKeyType where that is not ours."""
        rows: Rows = {}
        for keys, here in self._by_shard(namings):
            names = sorted(here)
            pipe = self._connection.redis.pipeline(transaction=False)
            for source, name in names:
                pipe.getrange(keys.job_of(source, name), 0, SHOWS)
            found = await self._connection.ask(pipe.execute(raise_on_error=False))
            rows.update(zip(names, map(or_wrong_key, found), strict=True))
        return rows

    async def _prolong(self, namings: Sequence[Naming], lasts: int) -> None:
        """Let the names of held pushes last until their jobs may be registered."""
        for keys, here in self._by_shard(namings):
            pipe = self._connection.redis.pipeline(transaction=False)
            for source, name in here:
                pipe.pexpire(keys.job_of(source, name), lasts, gt=True)
            await self._connection.ask(pipe.execute())

    def _by_shard(self, namings: Iterable[Naming]) -> Iterator[tuple[Keys, set[tuple[str, str]]]]:
        """All names (source, name) of each shard that has some."""
        count = len(self._shards)
        names = {(n.source, name) for n in namings for name in n.names}
        for keys in self._shards:
            here = {(s, name) for s, name in names if shard_of(s, name, count) == keys.shard}
            if here:
                yield keys, here

    def _here(
        self, shown: dict[Naming, bytes | None], keys: Keys, *, has_id: bool
    ) -> list[tuple[Naming, Naming]]:
        """Each naming, except of deleted jobs, with its part in a shard, if it has one there.

        Those that have their id in the shard, or the others.
        """
        count, shard = len(self._shards), keys.shard
        chosen = [n for n in shown if shown[n] != DELETED and n.has_id_in(shard, count) == has_id]
        parts = [(n, n.within(shard, count)) for n in chosen]
        return [(whole, part) for whole, part in parts if part.names]


def _agreed(namings: Sequence[Naming]) -> list[Naming]:
    """The same, each with the id of the first one that it shares a name with."""
    ids: dict[tuple[str, str], str] = {}
    agreed = []
    for n in namings:
        names = [(n.source, name) for name in n.names]
        first = next((ids[name] for name in names if name in ids), n.id)
        agreed.append(n if first == n.id else naming(n.source, first, *n.names, push=n.push))
        for name in names:
            ids.setdefault(name, first)
    return agreed


def _decided(naming: Naming, rows: Rows) -> bytes | None:
    """The id of the job that existing names belong to, the first of them that is not only held.

    An alias of the naming's id shows nothing: a reservation that was cut off may have left it.
    """
    found = [(name, rows[naming.source, name]) for name in naming.names]
    known = [(name, row) for name, row in found if row and not isinstance(row, WrongKeyType)]
    known = [(name, row) for name, row in known if _alias_of(row) != naming.id]
    first = min(known, key=lambda pair: _is_held(pair[1]), default=None)
    return _id(*first) if first else None


def _has_free(naming: Naming, rows: Rows) -> bool:
    """Whether a name does not exist. If a key has another type, the update fails in ingest."""
    found = [rows[naming.source, name] for name in naming.names]
    return not all(found) and not any(isinstance(row, WrongKeyType) for row in found)


def _is_known(naming: Naming, job: bytes, rows: Rows) -> bool:
    """Whether an id is that of a job, as far as its names show, or of one that was deleted."""
    row = rows.get((naming.source, job.decode()), b"")
    return job == DELETED or (isinstance(row, bytes) and row[:1].isdigit())


def _others(naming: Naming, job: bytes, rows: Rows) -> list[str]:
    """The names other than the id under which pushes are held."""
    others = [name for name in naming.names if name.encode() != job]
    return [name for name in others if _is_held(rows[naming.source, name])]


def _is_held(row: bytes | WrongKeyType) -> bool:
    return isinstance(row, bytes) and row.startswith(HELD.encode())


def _alias_of(row: bytes | WrongKeyType) -> str | None:
    if isinstance(row, WrongKeyType) or not row.startswith(b"to "):
        return None
    return row.removeprefix(b"to ").decode()


def _unread(rows: Rows) -> list[Naming]:
    """The ids that aliases lead to and that were not read."""
    led = {(source, to) for (source, _), row in rows.items() if (to := _alias_of(row))}
    return [naming(source, to) for source, to in led - rows.keys()]


def _circle(given: Naming, rows: Rows) -> list[str]:
    """The aliases that lead to each other and that the id leads to, as far as these rows show."""
    passed: list[str] = []
    name: str | None = given.id
    while name is not None and name not in passed:
        passed.append(name)
        name = _alias_of(rows.get((given.source, name), b""))
    return [] if name is None else passed[passed.index(name) :]


def _id(name: str, row: bytes) -> bytes:
    """The id of the job that an existing name belongs to."""
    if row == b"gone":
        return DELETED
    return row.removeprefix(b"to ") if row.startswith(b"to ") else name.encode()


def add_naming(args: ScriptArgs, keep: Retention, given: Naming, to: bytes | None = None) -> None:
    """Add a NAMING of the scripts; `to` is the id that names in another shard have shown."""
    args.add(_uid(given, keep), given.id, to.decode() if to else None)
    args.add_names(given.source, given.names)


def _uid(given: Naming, keep: Retention) -> str:
    return uid_of_push(given.source, given.id, given.push, keep) if given.push else new_uid()


def reservation_ms(keep: Retention) -> int:
    """How long a reservation lasts: as long as pushes may wait for a worker."""
    return int(keep.jobs * 1000)


def uid_of_push(source: str, job: str, push: str, keep: Retention) -> str:
    """The word of the record of a job that this push makes: the same for its repetitions.

    The same bytes about another run, after the push is forgotten, are in another period.
    """
    text = f"{int(time.time() // keep.seen)}\n{source}\n{job}\n{push}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def new_uid() -> str:
    """A word that no other record of a job has."""
    return f"{random.getrandbits(64):016x}"
