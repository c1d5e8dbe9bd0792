"""Backlogs: durable work by due time, in lanes, claimed under a lease.

One mechanism for `ingest`, `poll` and `deliver`. A claim that is neither settled nor renewed falls
due again when its lease ends, so a dead worker loses nothing.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from redis.exceptions import ResponseError

from processor.model import Retention
from processor.store.connection import Connection, Words
from processor.store.keys import BACKLOGS, Keys, day_of
from processor.store.read_size import PIECE
from processor.store.refusals import Outcome, outcome, wrong_key
from processor.store.script_args import ScriptArgs
from processor.store.work_items import (
    Busy,
    Claim,
    LaneLimits,
    Settlement,
    WorkItem,
    claims_of,
)

LANES_AT_ONCE = 64  # lanes that one call of the script checks, the most overdue first
CALLS = 20  # of the script in one claim, while the lanes that it checks have nothing to start
BUSY = 250  # ms that a worker counts as awake after it claimed something
REPORT_EVERY = 60.0  # seconds between log lines about one key
HELP = 50  # ms that work waits for a worker that is awake before another one is nudged

log = structlog.get_logger()


class Backlogs:
    """The three backlogs of all shards."""

    def __init__(
        self, connection: Connection, shards: Sequence[Keys], lease: float, keep: Retention
    ) -> None:
        """`lease` is in seconds."""
        self._keep = keep
        self._connection = connection
        self._shards = shards
        self._lease = int(lease * 1000)
        self.name = secrets.token_hex(4)
        self._renewing = asyncio.Lock()
        self._silent_until: dict[str, float] = {}
        self._recent_lanes: dict[tuple[int, str], list[str]] = {}

    def forget(self) -> None:
        """Forget which lanes were due."""
        self._recent_lanes.clear()

    async def claim(
        self,
        keys: Keys,
        backlog: str,
        limit: int,
        limits: Callable[[str], LaneLimits],
        size: int = PIECE,
    ) -> list[Claim]:
        """Claim about `limit` items that can start now, a fair share of each lane, until their
        payloads have `size` bytes.

        A script gets all of its keys, but only Redis knows which lanes are due: it is called with
        the lanes that were due recently. If nothing can start in these, it is called again with
        others that are due.
        """
        rows: list[Any] = []
        skip = 0
        for _ in range(CALLS):
            names, args = self._claim_call(keys, backlog, limit, limits, size=size, skip=skip)
            asked_at = time.monotonic()
            answer = await self._connection.run("claim", names, args)
            rows, skip_next = self._read_claim(keys, backlog, answer)
            if rows:  # the lease was counted from Redis' time
                self._connection.note_time((rows[3] - self._lease) / 1000, asked_at)
            if rows or skip_next is None:
                break
            skip = skip_next
        return claims_of(keys, backlog, rows)

    def claim_command(
        self,
        keys: Keys,
        backlog: str,
        limit: int,
        limits: Callable[[str], LaneLimits],
        *,
        size: int,
        ends: float,
    ) -> Words:
        """What `claim` would send first, for somebody who sends it; `claimed` reads the answer.

        Nothing is claimed after `ends` (seconds, of Redis' clock).
        """
        names, args = self._claim_call(keys, backlog, limit, limits, size=size, ends=ends)
        return ("EVALSHA", self._connection.scripts["claim"].sha, len(names), *names, *args)

    def claimed(self, keys: Keys, backlog: str, answer: Any) -> list[Claim]:
        """What the command claimed; nothing if it failed: `claim` then fails too, and says why."""
        if isinstance(answer, ResponseError):
            return []
        claims = claims_of(keys, backlog, self._read_claim(keys, backlog, answer)[0])
        if len(claims) == 1:
            claims[0].record = answer[-1]
        return claims

    def _claim_call(
        self,
        keys: Keys,
        backlog: str,
        limit: int,
        limits: Callable[[str], LaneLimits],
        *,
        size: int,
        skip: int = 0,
        ends: float = 0.0,
    ) -> tuple[list[str], list[Any]]:
        """The keys and arguments of the script, with the lanes that were due recently."""
        names = [keys.lanes[backlog], keys.items[backlog], keys.paused[backlog]]
        names += [keys.rate_limit[backlog], keys.busy[backlog]]
        args: list[Any] = [limit, self._lease, LANES_AT_ONCE, self.name, BUSY, size, skip]
        args.append(int(ends * 1000))
        for lane in self._recent_lanes.get((keys.shard, backlog), ()):
            own = keys.lane(backlog, lane)
            names += [own["due"], own["retries"], own["claimed"]]
            args += [lane, *limits(lane).args()]
        return names, args

    def _read_claim(self, keys: Keys, backlog: str, answer: Any) -> tuple[list[Any], int | None]:
        """What the script claimed, and how many due lanes to skip in a next call."""
        unlisted, claimed, wrong, skip_next, _ = answer
        lanes = self._recent_lanes.setdefault((keys.shard, backlog), [])
        lanes[:] = [name.decode() for name in unlisted] + lanes[: LANES_AT_ONCE - len(unlisted)]
        for text in wrong:
            self._report(text.decode())
        return claimed, skip_next

    def _report(self, wrong: str) -> None:
        """Log once a minute why a lane is skipped."""
        now = time.monotonic()
        if now >= self._silent_until.get(wrong, 0.0):
            self._silent_until[wrong] = now + REPORT_EVERY
            log.error("wrong_key_type", reason=str(wrong_key(wrong)))

    async def admit(
        self, keys: Keys, backlog: str, claim: tuple[str, str], capacity: int
    ) -> Claim | Busy:
        """Claim work that never waited in its lane: (lane, name). It must be settled.

        It counts in the lane's capacity as a claimed item does. The name must not be the name of an
        item.
        """
        lane, item = claim
        names = [keys.lanes[backlog], keys.paused[backlog]]
        names += [keys.due(backlog, lane), keys.retries(backlog, lane), keys.claimed(backlog, lane)]
        args: list[Any] = [lane, item, self._lease, capacity]
        token, reason = await self._connection.run("admit", names, args)
        if not token:
            return Busy(reason.decode())
        return Claim(keys.shard, backlog, lane, item, b"", token)

    async def settle(
        self, settled: Sequence[Settlement], paused: Sequence[tuple[Claim, float]] = ()
    ) -> list[Outcome]:
        """Settle claims of one shard and backlog; pause the lanes of `paused` until a time.

        Returns for each True, False if the lease was lost, or which of its keys has a wrong type.
        """
        claims = [s.claim for s in settled] + [c for c, _ in paused]
        if not claims:
            return []
        tokens = [s.claim.token for s in settled]
        done = await self._settle(self._shards[claims[0].shard], settled, paused)
        if all(done):
            return done
        async with self._renewing:  # a renewal may have been faster: its token counts now
            late = [
                i
                for i, s in enumerate(settled)
                if not done[i]
                and s.claim.token != tokens[i]
                and (s.requires_token or s.at is not None)
            ]
        if late:
            again = await self.settle([settled[i] for i in late])
            for index, outcome_now in zip(late, again, strict=True):
                done[index] = outcome_now
        return done

    async def _settle(
        self,
        keys: Keys,
        settled: Sequence[Settlement],
        paused: Sequence[tuple[Claim, float]],
    ) -> list[Outcome]:
        first = settled[0].claim if settled else paused[0][0]
        today = day_of(await self._connection.now())
        args = ScriptArgs(keys, keys.paused[first.backlog])
        for s in settled:
            args.add_settlement(s, today)
        packed = args.pack(
            settled=len(settled),
            targets=args.targets,
            paused=[
                {"lane": args.lane(c.backlog, c.lane), "at": int(at * 1000)} for c, at in paused
            ],
            keep=int(self._keep.deliveries),
            most=self._keep.arrived,
        )
        done = await self._connection.run("settle", args.keys, packed)
        return [outcome(row) for row in done]

    async def paused(self, backlog: str, lane: str) -> bool:
        """Whether a lane is paused in the first shard, or was until a moment ago."""
        command = self._connection.redis.hexists(self._shards[0].paused[backlog], lane)
        return bool(await self._connection.ask(command))

    async def paused_until(self, backlog: str, lane: str) -> float:
        """Until when a lane is paused in the first shard (seconds); 0 or a past time if it is not."""
        command = self._connection.redis.hget(self._shards[0].paused[backlog], lane)
        return float(await self._connection.ask(command) or 0) / 1000

    async def paused_lanes(self, backlog: str) -> set[str]:
        """The lanes that are paused in the first shard."""
        now = await self._connection.now()
        rows = await self._connection.ask(
            self._connection.redis.hgetall(self._shards[0].paused[backlog])
        )
        return {lane.decode() for lane, until in rows.items() if float(until) > now * 1000}

    async def occupied_lanes(self, backlog: str, lanes: list[str]) -> set[str]:
        """Those of these lanes in which items wait or are claimed."""
        if not lanes:
            return set()
        pipe = self._connection.redis.pipeline(transaction=False)
        for keys in self._shards:
            pipe.zmscore(keys.lanes[backlog], lanes)
        rows = await self._connection.ask(pipe.execute())
        return {lane for row in rows for lane, at in zip(lanes, row, strict=True) if at is not None}

    async def pause(self, backlog: str, lane: str, until: float) -> None:
        """Pause a lane in every shard until a time, or for as long as it is paused already."""
        for keys in self._shards:
            await self._settle(keys, [], [(Claim(keys.shard, backlog, lane, "", b"", 0), until)])

    async def recheck(
        self,
        backlog: str,
        lane: str,
        *,
        end_pause: bool = False,
        unlimited: bool = False,
        charge: float = 0.0,
    ) -> None:
        """Have a lane checked now in every shard, since its limits or its target have changed.

        `end_pause` ends its pause; `unlimited` forgets what was started under a rate limit; `charge`
        counts an item that was started without one, in seconds per item.
        """
        for keys in self._shards:
            own = keys.lane(backlog, lane)
            names = [own["lanes"], keys.paused[backlog], keys.rate_limit[backlog]]
            names += [own[part] for part in ("due", "retries", "claimed", "nudge", "busy")]
            await self._connection.run(
                "recheck_lane", names, [lane, int(end_pause), int(unlimited), charge * 1000]
            )

    async def renew(self, claims: Sequence[Claim]) -> None:
        """Renew the leases of claims of one shard and backlog; lost claims keep their old token."""
        async with self._renewing:
            await self._renew(claims)

    async def _renew(self, claims: Sequence[Claim]) -> None:
        names = [self._shards[c.shard].claimed(c.backlog, c.lane) for c in claims]
        args: list[Any] = [self._lease]
        for c in claims:
            args += [c.item, c.token]
        for c, token in zip(claims, await self._connection.run("renew", names, args), strict=True):
            c.token = token or c.token

    async def nudge_due(self) -> float | None:
        """Nudge backlogs with due work; returns the seconds until the next work, if any."""
        waits: list[float] = []
        for keys in self._shards:
            names = [k for b in BACKLOGS for k in (keys.lanes[b], keys.nudge[b], keys.busy[b])]
            wait = await self._connection.run("nudge_due", names, [HELP])
            waits += [wait / 1000] if wait >= 0 else []
        return min(waits, default=None)

    async def depth(self, backlog: str) -> tuple[int, float]:
        """How many items wait or are claimed, and by how many seconds the oldest is overdue."""
        items, overdue = 0, 0.0
        for keys in self._shards:
            pipe = self._connection.redis.pipeline(transaction=False)
            pipe.time()
            pipe.hlen(keys.items[backlog])
            pipe.zrange(keys.lanes[backlog], 0, 0, withscores=True)
            (seconds, _), count, first = await self._connection.ask(pipe.execute())
            items += count
            overdue = max([overdue, *(seconds - at / 1000 for _, at in first)])
        return items, overdue

    async def due_until(
        self, keys: Keys, backlog: str, lane: str, until: float, most: int
    ) -> list[str]:
        """The items of a lane that wait and are due by then, the most overdue first."""
        command = self._connection.redis.zrange(
            keys.due(backlog, lane), "-inf", int(until * 1000), byscore=True, offset=0, num=most
        )
        return [item.decode() for item in await self._connection.ask(command)]

    async def enqueue_new(self, keys: Keys, items: Sequence[WorkItem]) -> int:
        """Enqueue items that belong to no job, unless they are there already; how many are new."""
        if not items:
            return 0
        args = ScriptArgs(keys)
        args.add_list(items, args.add_item)
        return int(await self._connection.run("enqueue_new", args.keys, args.pack()))
