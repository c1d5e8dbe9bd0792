"""Assembles the keys and arguments of one script call.

ARGV[1] is a msgpack table that names keys by their index in KEYS, and bytes by their index in ARGV.
Records, of which a call may have hundreds, are in its `fields`: a flat list, from which Lua reads
each record's fields in the order in which they were added here. That takes a worker less time to
assemble than tables in tables; Redis' time is about the same. The headers of the scripts in `scripts/` and of `shared/2-readers.lua`
describe them. Bytes follow the table unpacked, since Redis' msgpack has no type for them.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, TypeVar

import msgspec

from processor.model import StatusUpdate
from processor.store.change import Change, NewEvent
from processor.store.keys import Keys
from processor.store.versions import HELD
from processor.store.work_items import LaneLimits, Settlement, WorkItem

RECORDS, DEAD_RECORDS = 1000, 5000  # of ended deliveries of a target: few end undelivered

Row = TypeVar("Row")

_json = msgspec.json.Encoder().encode
_msgpack = msgspec.msgpack.Encoder().encode


class _Lanes(dict[tuple[str, str], int]):
    """The index in `tables` of each lane, by backlog and name. Asking for a lane adds it."""

    def __init__(self, names: Keys, indexes: dict[str, int]) -> None:
        self._names = names
        self._indexes = indexes
        self.tables: list[dict[str, str | float | bool]] = []

    def __missing__(self, asked: tuple[str, str]) -> int:
        backlog, lane = asked
        keys = {part: self._indexes[key] for part, key in self._names.lane(backlog, lane).items()}
        bounded = backlog == "deliver" and lane.startswith("sub_")
        self.tables.append({"name": lane, "bounded": bounded, **keys})
        self[asked] = len(self.tables)
        return len(self.tables)


class ScriptArgs:
    """The keys of a script call, each named once, and its arguments."""

    def __init__(self, keys: Keys, *fixed: str) -> None:
        """Start with the keys that the script expects at fixed indexes."""
        self._names = keys
        # Indexes in KEYS: asking for one adds the key.
        self._indexes: dict[str, int] = defaultdict(count(len(fixed) + 1).__next__)
        self._indexes |= {key: index for index, key in enumerate(fixed, 1)}
        self._blobs: list[bytes] = []
        self._fields: list[str | float | bool | None] = []
        self._lanes = _Lanes(keys, self._indexes)
        self.targets: list[dict[str, int]] = []  # of settle.lua
        self._targets: dict[tuple[str, bool], int] = {}

    @property
    def keys(self) -> list[str]:
        """KEYS."""
        return list(self._indexes)

    def pack(self, **table: Any) -> list[bytes]:
        """ARGV: the table with all lanes and records, then all bytes."""
        return [
            _msgpack(table | {"lanes": self._lanes.tables, "fields": self._fields}),
            *self._blobs,
        ]

    def key(self, key: str) -> int:
        """The index of a key in KEYS; adds the key if it is new."""
        return self._indexes[key]

    def add(self, *fields: str | float | None) -> None:
        """Add fields of a record."""
        self._fields += fields

    def add_list(self, rows: Sequence[Row], add: Callable[[Row], None]) -> None:
        """Add a list of records: how many, then each."""
        self._fields.append(len(rows))
        for row in rows:
            add(row)

    def blob(self, data: bytes) -> int:
        """The index of these bytes in ARGV."""
        self._blobs.append(data)
        return len(self._blobs) + 1

    def lane(self, backlog: str, lane: str) -> int:
        """The index of a lane in `lanes`; adds the lane if it is new."""
        return self._lanes[backlog, lane]

    def open_lanes(self, backlog: str, limits: Callable[[str], LaneLimits | None]) -> None:
        """Let the script claim from the lanes of a backlog that are named so far."""
        for (of, lane), index in self._lanes.items():
            if of == backlog and (found := limits(lane)):
                capacity, gap, burst, share = found.args()
                own = {"capacity": capacity, "gap": gap, "burst": burst, "share": share}
                self._lanes.tables[index - 1] |= own

    def add_push(
        self,
        dedupe_id: str,
        update: StatusUpdate,
        payload: bytes,
        ids: Sequence[str],
        *,
        price: int,
        uid: str | None,
    ) -> None:
        """Add a push for accept.lua; `ids` are the names of its job in this shard.

        With a `uid`, for the record, it is held if the job is not known.
        """
        source, names, indexes = update.source, self._names, self._indexes
        self._fields += (
            indexes[names.seen(source, dedupe_id)],
            self._lanes["ingest", source],
            f"{source}:{dedupe_id}",
            self.blob(payload),
            price,
            indexes[names.held(f"{source}/{update.id}")] if uid else None,
            uid,
            len(ids),
        )
        self._fields += [indexes[names.job_of(source, job)] for job in ids]

    def add_names(self, source: str, names: Sequence[str]) -> None:
        """Add names of jobs, each with its key."""
        self._fields.append(len(names))
        for name in names:
            self._fields += (self._indexes[self._names.job_of(source, name)], name)

    def add_item(self, item: WorkItem) -> None:
        """Add an ITEM."""
        order = item.order
        self._fields += (
            self._lanes[item.backlog, item.lane],
            item.item,
            int(item.at * 1000),
            self.blob(item.payload),
            self.key(self._names.order(item.lane, order.job)) if order else None,
            order.sequence if order else None,
        )

    def add_event(self, event: NewEvent) -> None:
        """Add an EVENT."""
        deliveries = event.deliveries
        self._fields += (
            self._indexes[self._names.event(event.id)] if deliveries else None,
            event.id,
            event.type,
            self.blob(event.body),
            event.logged,
            len(deliveries),
        )
        for item in deliveries:
            self.add_item(item)

    def add_change(self, change: Change, ends: float, record: bytes | None) -> None:
        """Add what commit.lua writes of a job, whose keys expire at `ends` (seconds)."""
        job, keys, indexes, lanes = change.job, self._names, self._indexes, self._lanes
        name, fields = f"{job.source}/{job.id}", self._fields
        held = change.save and change.version.startswith(HELD)
        fields += (
            indexes[keys.job(name)],
            name,
            change.version,
            int(ends * 1000),
            change.renew,
            self.blob(record) if record else None,
            indexes[keys.history(name)],
            self.blob(change.answer) if change.answer else None,
            indexes[keys.answer(name)] if change.answer else None,
            indexes[keys.held(name)] if held else None,
            lanes["ingest", job.source] if held else None,
            len(job.callbacks),
        )
        fields += [indexes[keys.callback(callback.id)] for callback in job.callbacks]
        fields.append(len(change.entries))
        for at, what in change.entries:
            line = b"%d 1 %b" % (at * 1000, _json(what))
            fields += (self.blob(line), what.ignored is not None)
        self.add_list(change.events, self.add_event)
        self.add_list(change.items, self.add_item)
        fields.append(len(change.dropped))
        for backlog, lane, item in change.dropped:
            fields += (lanes[backlog, lane], item)
        fields.append(len(change.done))
        for claim in change.done:
            token = claim.token if claim.backlog == "poll" else None
            fields += (lanes[claim.backlog, claim.lane], claim.item, token)

    def add_settlement(self, s: Settlement, today: int) -> None:
        """Add what settle.lua does with a claim; `today` is the day since 1970."""
        claim, order = s.claim, s.order
        self._fields += (
            self._lanes[claim.backlog, claim.lane],
            claim.item,
            claim.token if s.requires_token or s.at is not None else None,
            self.key(self._names.order(claim.lane, order.job)) if order else None,
        )
        if s.at is not None:
            sequence = order.sequence if order else None
            at, payload = round(s.at * 1000), self.blob(s.payload)
            self._fields += (at, payload, s.failed, sequence, s.may_be_skipped)
        elif s.event is None:
            self._fields += (None,) * 5
        else:
            target = record = None
            if s.target is not None and s.record is not None:
                target = self._target(s.target, today, delivered=s.delivered)
                record = self.blob(s.record)
            event = self._indexes[self._names.event(s.event)]
            self._fields += (None, event, target, record, s.event)

    def _target(self, target: str, today: int, *, delivered: bool) -> int:
        """The index in `targets` of where the ends of a target's deliveries are recorded."""
        found = self._targets.get((target, delivered))
        if found is None:
            keys = self._names.ended(target, today)
            log, length = (keys.delivered, RECORDS) if delivered else (keys.dead, DEAD_RECORDS)
            row = {"log": self.key(log), "length": length}
            if delivered and target.startswith("sub_"):
                row |= {"today": self.key(keys.today), "yesterday": self.key(keys.yesterday)}
            self.targets.append(row)
            found = self._targets[target, delivered] = len(self.targets)
        return found
