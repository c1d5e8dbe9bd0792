"""Workers, and a Redis that loses what they wrote: all that it holds is read, and put back."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from processor.config import load
from processor.egress import Egress, Policy
from processor.model import Origin, State, StatusUpdate
from processor.service.jobs.inbox import QueuedUpdate, enqueue
from processor.service.jobs.ingest import LANE_LIMITS
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import Metrics
from processor.store import Store
from processor.store.work_items import Claim

CONFIGURATION = '[sources.s]\nprovider = "standard"\nstatus_url = "http://127.0.0.1:9/{id}"\n'

orders = st.integers(0, 2**32 - 1).map(random.Random)
"""Orders of work: how much there is depends on the time, so Hypothesis draws only their seed."""

Dump = dict[bytes, tuple[bytes, int]]
"""Value and time to live (ms; 0: for good) of each key."""


async def dump(redis: Any) -> Dump:
    """Everything that Redis holds now."""
    keys = await redis.keys("*")
    pipe = redis.pipeline(transaction=False)
    for key in keys:
        pipe.dump(key)
        pipe.pttl(key)
    rows = await pipe.execute()
    found = zip(keys, rows[::2], rows[1::2], strict=True)
    return {key: (value, max(0, ttl)) for key, value, ttl in found if value is not None}


async def restore(redis: Any, state: Dump) -> None:
    """Replace what Redis holds."""
    pipe = redis.pipeline(transaction=False)
    pipe.flushall()
    for key, (value, ttl) in state.items():
        pipe.restore(key, ttl, value)
    await pipe.execute()


class Losses(RuleBasedStateMachine):
    """What the machines share: a store, and its losses since the newest answer."""

    def __init__(self, url: str, file: Path, shards: int) -> None:
        """Connect, to an empty Redis."""
        super().__init__()
        self.loop = asyncio.Runner()
        found = load(file, {"REDIS_URL": url, "RINGBACK_SHARDS": str(shards)})
        self.store = Store(url, shards=shards, lease=0.001)
        self.context = Context(found, self.store, Egress(Policy()), Metrics())
        self.redis = self.store.connection.redis
        self.do(self.redis.flushall())
        self.kept: Dump = {}
        self.pushes = 0

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run to the end."""
        return self.loop.run(work)

    def accept(self, job: str, state: State, attempt: int, *aliases: str) -> None:
        """A push is answered."""
        self.pushes += 1
        at = 1_000.0 + self.pushes
        update = StatusUpdate(
            *("s", job, state.value, state, at, Origin.PUSH), aliases=aliases, attempt=attempt
        )
        queued = QueuedUpdate(self.store.shard("s", job), f"p{self.pushes}", update)
        assert self.do(enqueue(self.context, [queued])) == [True]
        self.answered()

    def answered(self) -> None:
        """Remember what Redis holds: no loss goes back further."""
        self.kept = self.do(dump(self.redis))

    def lose_writes(self) -> None:
        """Redis is killed, and loses what workers wrote since the last answer."""
        self.do(restore(self.redis, self.kept))

    def claimed(self, limit: int, order: random.Random) -> Iterator[list[Claim]]:
        """What a worker claims of each shard, in some order."""
        for keys in order.sample(self.store.shards, len(self.store.shards)):
            claim = self.store.backlogs.claim(keys, "ingest", limit, lambda _: LANE_LIMITS)
            claims: list[Claim] = self.do(claim)
            order.shuffle(claims)
            yield claims

    def work_off(self, apply: Callable[[list[Claim]], Coroutine[Any, Any, None]]) -> None:
        """Do all work that is left."""
        for _ in range(8):
            for keys in self.store.shards:
                claim = self.store.backlogs.claim
                if claims := self.do(claim(keys, "ingest", 200, lambda _: LANE_LIMITS)):
                    self.do(apply(claims))

    def disconnect(self) -> None:
        """Close the store."""
        self.do(self.store.close())
        self.loop.close()


def search(
    machine: Callable[[str, Path, int], Losses],
    url: str,
    folder: Path,
    shards: int,
    *,
    steps: int,
) -> None:
    """Search for a counterexample."""
    file = folder / "ringback.toml"
    file.write_text(CONFIGURATION)
    run_state_machine_as_test(
        lambda: machine(url, file, shards),
        settings=settings(
            max_examples=max(25, settings.default.max_examples // 5), stateful_step_count=steps
        ),
    )
