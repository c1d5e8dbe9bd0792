"""Assembles the keys and arguments of one script call.

ARGV[1] is a msgpack table that names keys by their index in KEYS, and bytes by their index in ARGV.
The headers of the scripts in `scripts/` describe the tables. Bytes follow the table unpacked, since
Redis' msgpack has no type for them, and what is not packed need not be unpacked.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from processor.model import JobOrder, StatusUpdate
from processor.store.change import Change, NewEvent
from processor.store.keys import Keys
from processor.store.work_items import LaneLimits, Settlement, WorkItem

RECORDS, DEAD_RECORDS = 1000, 5000  # of ended deliveries of a target: few end undelivered

_json = msgspec.json.Encoder().encode
_msgpack = msgspec.msgpack.Encoder().encode


class ScriptArgs:
    """The keys of a script call, each named once, and its arguments."""

    def __init__(self, keys: Keys, *fixed: str) -> None:
        """Start with the keys that the script expects at fixed indexes."""
        self._names = keys
        self._indexes = {key: index for index, key in enumerate(fixed, 1)}
        self._blobs: list[bytes] = []
        self._lanes: list[dict[str, str | float | bool]] = []
        self._lane_indexes: dict[tuple[str, str], int] = {}
        self._targets: dict[tuple[str, bool], dict[str, int]] = {}

    @property
    def keys(self) -> list[str]:
        """KEYS."""
        return list(self._indexes)

    def pack(self, **table: Any) -> list[bytes]:
        """ARGV: the table with all lanes that it names, then all bytes."""
        return [_msgpack(table | {"lanes": self._lanes}), *self._blobs]

    def key(self, key: str) -> int:
        """The index of a key in KEYS; adds the key if it is new."""
        return self._indexes.setdefault(key, len(self._indexes) + 1)

    def jobs(self, source: str, names: Sequence[str]) -> list[dict[str, str | int]]:
        """Names of jobs, each with its key."""
        key, job_of = self.key, self._names.job_of
        return [{"key": key(job_of(source, name)), "name": name} for name in names]

    def blob(self, data: bytes) -> int:
        """The index of these bytes in ARGV."""
        self._blobs.append(data)
        return len(self._blobs) + 1

    def lane(self, backlog: str, lane: str) -> int:
        """The index of a lane in `lanes`; adds the lane if it is new."""
        index = self._lane_indexes.get((backlog, lane))
        if index is None:
            keys = {part: self.key(key) for part, key in self._names.lane(backlog, lane).items()}
            bounded = backlog == "deliver" and lane.startswith("sub_")
            self._lanes.append({"name": lane, "bounded": bounded, **keys})
            index = self._lane_indexes[backlog, lane] = len(self._lanes)
        return index

    def open_lanes(self, backlog: str, limits: Callable[[str], LaneLimits | None]) -> None:
        """Let the script claim from the lanes of a backlog that are named so far."""
        for (of, lane), index in self._lane_indexes.items():
            if of == backlog and (found := limits(lane)):
                capacity, gap, burst, share = found.args()
                own = {"capacity": capacity, "gap": gap, "burst": burst, "share": share}
                self._lanes[index - 1] |= own

    def push(
        self, dedupe_id: str, update: StatusUpdate, payload: bytes, ids: Sequence[str], price: int
    ) -> dict[str, Any]:
        """A push for accept.lua; `ids` are the names of its job in this shard."""
        source = update.source
        return {
            "seen": self.key(self._names.seen(source, dedupe_id)),
            "lane": self.lane("ingest", source),
            "item": f"{source}:{dedupe_id}",
            "payload": self.blob(payload),
            "names": [self.key(self._names.job_of(source, job)) for job in ids],
            "price": price,
        }

    def item(self, item: WorkItem) -> dict[str, Any]:
        """An ITEM."""
        packed = {
            "lane": self.lane(item.backlog, item.lane),
            "item": item.item,
            "at": int(item.at * 1000),
            "payload": self.blob(item.payload),
        }
        return packed | self._order(item.lane, item.order) if item.order else packed

    def _order(self, target: str, order: JobOrder) -> dict[str, int]:
        key = self._names.order(target, order.job)
        return {"order": self.key(key), "sequence": order.sequence}

    def event(self, event: NewEvent) -> dict[str, Any]:
        """An EVENT."""
        return {
            "key": self.key(self._names.event(event.id)) if event.deliveries else None,
            "id": event.id,
            "type": event.type,
            "body": self.blob(event.body),
            "logged": event.logged,
            "items": [self.item(item) for item in event.deliveries],
        }

    def change(self, change: Change, ends: float, record: bytes | None) -> dict[str, Any]:
        """What commit.lua writes of a job, whose keys expire at `ends` (seconds)."""
        name = f"{change.job.source}/{change.job.id}"
        keys = self._names.job_keys(name)
        dropped = [*change.dropped, *((c.backlog, c.lane, c.item) for c in change.done)]
        return {
            "key": self.key(keys.job),
            "name": name,
            "version": change.version,
            "ends": int(ends * 1000),
            "renew": change.renew,
            "callbacks": [self.key(self._names.callback(c.id)) for c in change.job.callbacks],
            "doc": self.blob(record) if record else None,
            "history": self.key(keys.history),
            "entries": [
                {
                    "at": int(at * 1000),
                    "text": self.blob(_json(entry)),
                    "ignored": entry.ignored is not None,
                }
                for at, entry in change.entries
            ],
            "answer": self.blob(change.answer) if change.answer else None,
            "answer_key": self.key(keys.answer) if change.answer else None,
            "events": [self.event(event) for event in change.events],
            "items": [self.item(item) for item in change.items],
            "drops": [{"lane": self.lane(b, lane), "item": item} for b, lane, item in dropped],
        }

    def settlement(self, s: Settlement, today: int) -> dict[str, Any]:
        """What settle.lua does with a claim; `today` is the day since 1970."""
        claim = s.claim
        packed: dict[str, Any] = {"lane": self.lane(claim.backlog, claim.lane), "item": claim.item}
        if s.requires_token or s.at is not None:
            packed["token"] = claim.token
        if s.order:
            packed |= self._order(claim.lane, s.order) | {"may_be_skipped": s.may_be_skipped}
        if s.at is not None:
            payload = self.blob(s.payload)
            return packed | {"at": int(s.at * 1000), "payload": payload, "failed": s.failed}
        return packed if s.event is None else packed | self._ended(s, s.event, today)

    def _ended(self, s: Settlement, event: str, today: int) -> dict[str, Any]:
        """The end of a delivery."""
        packed: dict[str, Any] = {"event": self.key(self._names.event(event))}
        if s.record is not None and s.target is not None:
            packed |= self._ended_of(s.target, today, delivered=s.delivered)
            packed |= {"record": self.blob(s.record), "id": event}
        return packed

    def _ended_of(self, target: str, today: int, *, delivered: bool) -> dict[str, int]:
        """Where the ends of a target's deliveries are recorded; the same for all of them."""
        found = self._targets.get((target, delivered))
        if found is None:
            keys = self._names.ended(target, today)
            log, length = (keys.delivered, RECORDS) if delivered else (keys.dead, DEAD_RECORDS)
            found = self._targets[target, delivered] = {"log": self.key(log), "length": length}
            if delivered and target.startswith("sub_"):
                found |= {"today": self.key(keys.today), "yesterday": self.key(keys.yesterday)}
        return found
