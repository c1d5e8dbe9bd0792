"""A job has one id, whichever commits Redis loses, and in whichever order pushes give its names.

`lose` restores what Redis held after the newest push, PUT or DELETE, which were answered: what
workers have written since then is lost.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from processor.config import load
from processor.egress import Egress, Policy
from processor.model import Origin, State, StatusUpdate
from processor.service.jobs import watch, watch_request
from processor.service.jobs.inbox import QueuedUpdate, enqueue
from processor.service.jobs.ingest import LANE_LIMITS, ingest
from processor.service.jobs.query import locate
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import Metrics
from processor.store import Store

from .redis_state import dump, restore

CONFIGURATION = '[sources.s]\nprovider = "standard"\nstatus_url = "http://127.0.0.1:9/{id}"\n'
NAMES = ("a", "x", "ax", "xa")  # the names in a push or a PUT, the id first


class Losses(RuleBasedStateMachine):
    """One job under two names, its workers, and a Redis that loses what they wrote."""

    def __init__(self, url: str, file: Path, shards: int) -> None:
        """Connect, to an empty Redis."""
        super().__init__()
        self.loop = asyncio.Runner()
        found = load(file, {"REDIS_URL": url, "RINGBACK_SHARDS": str(shards)})
        self.store = Store(url, shards=shards, lease=0.001)
        self.context = Context(found, self.store, Egress(Policy()), Metrics())
        self.redis = self.store.connection.redis
        self.do(self.redis.flushall())
        self.kept: dict[bytes, tuple[bytes, int]] = {}
        self.life = self.pushes = 0  # deletions so far; pushes so far
        self.deleted = False  # and not watched again
        self.known: set[str] = set()  # names that are known to belong to the job so far
        self.published: defaultdict[tuple[int, int], set[str]] = defaultdict(set)

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run to the end."""
        return self.loop.run(work)

    def may_name(self, names: str) -> bool:
        """Whether these names belong to one job as far as anybody knows."""
        return not self.known or bool(self.known & set(names))

    def name(self, names: str) -> None:
        """Note known names; late pushes of a deleted job add none."""
        if not self.deleted:
            self.known |= set(names)

    # --- what happens -----------------------------------------------------------------

    @rule(
        names=st.sampled_from(NAMES),
        state=st.sampled_from([State.RUNNING, State.SUCCEEDED]),
        attempt=st.integers(1, 2),
    )
    def push(self, names: str, state: State, attempt: int) -> None:
        """A push is answered."""
        if not self.may_name(names):
            return
        self.name(names)
        self.pushes += 1
        update = StatusUpdate(
            "s",
            names[0],
            state.value,
            state,
            1_000.0 + self.pushes,
            Origin.PUSH,
            aliases=tuple(names[1:]),
            attempt=attempt,
        )
        place = self.store.shard("s", names[0])
        assert self.do(enqueue(self.context, [QueuedUpdate(place, f"p{self.pushes}", update)])) == [
            True
        ]
        self.keep()

    @rule(names=st.sampled_from(NAMES))
    def put(self, names: str) -> None:
        """A PUT is answered: for a known job, under a known name."""
        if self.known and names[0] not in self.known:
            return
        self.deleted = False
        self.name(names)
        request = watch_request.WatchRequest(aliases=list(names[1:]))
        self.do(watch.watch(self.context, "s", names[0], request))
        self.keep()

    @precondition(lambda self: self.known)
    @rule()
    def delete(self) -> None:
        """A DELETE is answered, if the job exists."""
        name = min(self.known)
        if self.do(locate(self.context, "s", name)).lookup.job is None:
            return
        self.do(watch.unwatch(self.context, "s", name))
        self.life, self.deleted = self.life + 1, True
        self.keep()

    @rule(limit=st.integers(1, 4), order=st.randoms(use_true_random=False))
    def work_and_lose(self, limit: int, order: Any) -> None:
        """Redis is killed right after a worker has written, and loses that."""
        self.work(limit, order)
        self.lose()

    @rule(limit=st.integers(1, 4), order=st.randoms(use_true_random=False))
    def work(self, limit: int, order: Any) -> None:
        """A worker ingests some updates of the job."""
        for keys in order.sample(self.store.shards, len(self.store.shards)):
            claims = self.do(
                self.store.backlogs.claim(keys, "ingest", limit, lambda _: LANE_LIMITS)
            )
            order.shuffle(claims)
            half = order.randint(0, len(claims))
            for some in filter(None, (claims[:half], claims[half:])):
                self.do(ingest(self.context, some))
        self.hear()

    def lose(self) -> None:
        """Redis is killed, and loses what workers wrote since the last answer."""
        self.do(restore(self.redis, self.kept))

    # --- what always holds ------------------------------------------------------------

    @invariant()
    def an_attempt_in_a_life_of_the_job_has_one_completion(self) -> None:
        """And no other life of the job has the same id."""
        assert all(len(ids) == 1 for ids in self.published.values())
        ids = [event for some in self.published.values() for event in some]
        assert len(ids) == len(set(ids))

    @invariant()
    def there_is_one_job(self) -> None:
        """Under whichever name a push came."""
        rows = [self.do(self.store.jobs.page(k, "+inf", 0, 10)) for k in self.store.shards]
        assert sum(map(len, rows)) <= 1

    # --- how --------------------------------------------------------------------------

    def hear(self) -> None:
        """Note new completions in the log."""
        before = {event for ids in self.published.values() for event in ids}
        for event in self.do(self.store.events.page(self.store.events.start(), 10_000)):
            if event.type == "job.succeeded" and event.id not in before:
                attempt = json.loads(event.body)["data"]["attempt"]
                self.published[self.life, attempt].add(event.id)

    def keep(self) -> None:
        """Remember what Redis holds."""
        self.kept = self.do(dump(self.redis))

    def teardown(self) -> None:
        """Ingest everything that is left."""
        try:
            for _ in range(8):
                for keys in self.store.shards:
                    claim = self.store.backlogs.claim
                    if claims := self.do(claim(keys, "ingest", 200, lambda _: LANE_LIMITS)):
                        self.do(ingest(self.context, claims))
            self.hear()
            self.an_attempt_in_a_life_of_the_job_has_one_completion()
            self.there_is_one_job()
        finally:
            self.do(self.store.close())
            self.loop.close()


@pytest.mark.parametrize("shards", [1, 4])
def test_a_job_has_one_completion_per_attempt_whatever_redis_loses(
    redis_url: str, tmp_path: Path, shards: int
):
    file = tmp_path / "ringback.toml"
    file.write_text(CONFIGURATION)
    run_state_machine_as_test(
        lambda: Losses(redis_url, file, shards),
        settings=settings(
            max_examples=max(25, settings.default.max_examples // 5), stateful_step_count=20
        ),
    )
