"""Whatever workers do to each other, a job ends as the pure machine says, with each event once.

Leases last a millisecond here, so that another worker may have any claim a moment later: workers
crash, settle late, repeat work, do the same at the same time, and match events with subscriptions
that have changed since.
"""

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from processor import event_filters, event_types, state_machine
from processor.config import Settings, load
from processor.egress import Egress, Policy
from processor.model import FINAL, Job, Origin, State, StatusUpdate, Subscription
from processor.service.jobs import watch as jobs_watch, watch_request
from processor.service.jobs.inbox import QueuedUpdate, enqueue
from processor.service.jobs.ingest import LANE_LIMITS, ingest
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import Metrics
from processor.store import Store
from processor.store.work_items import Claim

CONFIGURATION = """
[sources.s]
provider = "standard"
status_url = "http://127.0.0.1:9/{id}"
"""

JOBS = ("0", "1", "2")
ATTEMPTS = (1, 2)
WANTED = (("job.completed",), ("job.started",), ("job.progressed", "job.failed"))

names = st.sampled_from(JOBS)
attempts = st.sampled_from(ATTEMPTS)
many = st.integers(1, 10)


class Workers(RuleBasedStateMachine):
    """Two workers and a receiver on one Redis, against the pure machine."""

    def __init__(self, url: str, file: Path, shards: int, leaks: Callable[[], list[str]]) -> None:
        """Connect, to an empty Redis."""
        super().__init__()
        self.loop = asyncio.Runner()
        self.leaks = leaks
        self.accepted: dict[str, list[StatusUpdate]] = {job: [] for job in JOBS}
        self.finals: dict[tuple[str, int], State] = {}
        self.pushes: list[QueuedUpdate] = []
        self.lost: list[list[Claim]] = []
        self.subscriptions: dict[str, Subscription] = {}
        self.read: dict[str, dict[str, Any]] = {}  # events, as the log has them
        self.expected: set[str] = set()  # deliveries
        settings = load(file, {"REDIS_URL": url, "RINGBACK_SHARDS": str(shards)})
        self.workers = [self.worker(settings) for _ in range(2)]
        self.store = self.workers[0].store
        self.do(self.store.connection.redis.flushall())

    @staticmethod
    def worker(settings: Settings) -> Context:
        """One worker's context; nothing is sent, so its egress stays closed."""
        store = Store(settings.redis_url, shards=settings.shards, lease=0.001)
        return Context(settings, store, Egress(Policy()), Metrics())

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run to the end."""
        return self.loop.run(work)

    # --- what happens -----------------------------------------------------------------

    @initialize()
    def watch(self) -> None:
        """Watch every job, under two names."""
        for job in JOBS:
            request = watch_request.WatchRequest(aliases=[f"k{job}"])
            self.do(jobs_watch.watch(self.workers[0], "s", job, request))

    @rule(
        job=names,
        attempt=attempts,
        state=st.sampled_from([State.QUEUED, State.RUNNING, None]),
        word=st.sampled_from("ab"),
        progress=st.none() | st.floats(0, 1),
        other=st.booleans(),
    )
    def push(self, job: str, other: bool, word: str, **fields: Any) -> None:  # noqa: FBT001 -- drawn
        """Accept a push about a job that is running, under one of its names."""
        self.accept(job, other, word, **fields)

    @rule(job=names, attempt=attempts, state=st.sampled_from(sorted(FINAL)), other=st.booleans())
    def end(self, job: str, attempt: int, state: State, other: bool) -> None:  # noqa: FBT001 -- drawn
        """Accept a push that ends an attempt: always with the same word."""
        state = self.finals.setdefault((job, attempt), state)
        self.accept(job, other, state, attempt=attempt, state=state)

    def accept(self, job: str, other: bool, word: str, **fields: Any) -> None:  # noqa: FBT001 -- drawn
        name = f"k{job}" if other else job
        at = 1_000.0 + len(self.pushes)
        update = StatusUpdate("s", name, status=word, at=at, origin=Origin.PUSH, **fields)
        self.accepted[job].append(replace(update, id=job))
        push = QueuedUpdate(self.store.shard("s", name), f"p{len(self.pushes)}", update)
        self.pushes.append(push)
        assert self.do(enqueue(self.workers[0], [push])) == [True]

    @rule(which=st.integers(0, 1000))
    def push_again(self, which: int) -> None:
        """The provider sends a push a second time."""
        if self.pushes:
            push = self.pushes[which % len(self.pushes)]
            assert self.do(enqueue(self.workers[0], [push])) == [False]

    @rule(job=names)
    def deadline(self, job: str) -> None:
        """A job reaches its deadline at once."""
        (known,) = self.do(self.known(job))
        if known.job.state not in FINAL:
            request = watch_request.WatchRequest(deadline="1ms")
            self.do(jobs_watch.watch(self.workers[1], "s", job, request))

    @rule(events=st.sampled_from(WANTED))
    def subscribe(self, events: tuple[str, ...]) -> None:
        """A subscription is made; the first worker does not know yet."""
        name = f"sub_{len(self.subscriptions)}"
        made = Subscription(id=name, url="https://a.example", secrets=("whsec_a",), events=events)
        self.subscriptions[name] = made
        self.do(self.workers[1].store.subscriptions.save(made))

    @rule(limit=many)
    def work(self, limit: int) -> None:
        """The first worker claims some updates, and ingests them."""
        for claims in self.claims(limit):
            self.do(ingest(self.workers[0], claims))

    @rule(limit=many)
    def crash(self, limit: int) -> None:
        """A worker claims, and stops for a while."""
        self.lost += self.claims(limit)

    @rule(which=st.integers(0, 1000))
    def come_back(self, which: int) -> None:
        """A worker that seemed dead continues where it was."""
        if self.lost:
            claims = self.lost.pop(which % len(self.lost))
            self.do(ingest(self.workers[1], claims))

    @rule(limit=many)
    def work_twice(self, limit: int) -> None:
        """The answer to a commit is lost, and the commit is repeated."""
        for claims in self.claims(limit):
            for _ in range(2):
                self.do(ingest(self.workers[1], claims))

    @rule(limit=many)
    def work_together(self, limit: int) -> None:
        """Two workers have the same claims at the same time."""

        async def both(claims: list[Claim]) -> None:
            await asyncio.gather(*(ingest(worker, claims) for worker in self.workers))

        for claims in self.claims(limit):
            self.do(both(claims))

    def claims(self, limit: int) -> list[list[Claim]]:
        """Some of what is due, by shard."""
        claim = self.store.backlogs.claim
        found = [
            self.do(claim(k, "ingest", limit, lambda _: LANE_LIMITS)) for k in self.store.shards
        ]
        return [claims for claims in found if claims]

    # --- what always holds ------------------------------------------------------------

    @invariant()
    def every_event_is_published_once_and_delivered_to_each_match(self) -> None:
        """New events are in the log once; each has exactly its deliveries."""
        events = self.do(self.store.events.page(self.store.events.start(), 10_000))
        assert len({event.id for event in events}) == len(events)
        for event in events:
            if event.id not in self.read:
                self.read[event.id] = json.loads(event.body)
                self.expected |= {
                    f"{event.id}.{name}"
                    for name, one in self.subscriptions.items()
                    if event.type in event_filters.expand_names(one.events)
                }
        assert self.do(self.deliveries()) == self.expected

    @invariant()
    def an_attempt_has_at_most_one_completion_of_each_sort(self) -> None:
        """One provisional and one final event, whichever worker computed it."""
        ends = [
            (body["data"]["id"], body["data"]["attempt"], body["data"]["origin"] == "deadline")
            for body in self.read.values()
            if body["type"] in event_types.COMPLETED
        ]
        assert len(ends) == len(set(ends))

    async def deliveries(self) -> set[str]:
        """The names of all deliveries that wait."""
        redis = self.store.connection.redis
        rows = [await redis.hkeys(keys.items["deliver"]) for keys in self.store.shards]
        return {name.decode() for row in rows for name in row}

    async def known(self, *jobs: str) -> list[Any]:
        """What these jobs' names are."""
        return [
            (await self.store.jobs.read(self.store.shard("s", job), [f"s/{job}"]))[0]
            for job in jobs
        ]

    # --- the end ----------------------------------------------------------------------

    def teardown(self) -> None:
        """End every job; drain; compare with the pure machine."""
        try:
            if any(self.accepted.values()):
                self.finish()
        finally:
            for worker in self.workers:
                self.do(worker.store.close())
            self.loop.close()

    def finish(self) -> None:
        """What must be true at the end of a run."""
        for job, updates in self.accepted.items():
            last = max((u.attempt or 1 for u in updates), default=1)
            self.end(job, last, State.SUCCEEDED, other=False)
        self.do(self.drain())
        self.every_event_is_published_once_and_delivered_to_each_match()
        self.an_attempt_has_at_most_one_completion_of_each_sort()
        for job, known in zip(JOBS, self.do(self.known(*JOBS)), strict=True):
            self.compare(known.job, self.accepted[job])
        for backlog in ("ingest", "poll"):
            assert self.do(self.store.backlogs.depth(backlog))[0] == 0, f"{backlog} has work left"
        assert self.leaks() == []

    async def drain(self) -> None:
        """Work until nothing is due, lost claims included."""
        ends = asyncio.get_running_loop().time() + 10
        while (await self.store.backlogs.depth("ingest"))[0]:
            assert asyncio.get_running_loop().time() < ends, "ingest does not come to an end"
            for keys in self.store.shards:
                claim = self.store.backlogs.claim
                if claims := await claim(keys, "ingest", 200, lambda _: LANE_LIMITS):
                    await ingest(self.workers[0], claims)

    def compare(self, job: Job, updates: list[StatusUpdate]) -> None:
        """The job is what the machine makes of its updates, in any order."""
        fresh = Job("s", "standard", job.id, job.uid, 0.0, 1e12, 1e12)
        model = functools.reduce(lambda j, u: state_machine.advance(j, u, 0.0).job, updates, fresh)
        assert (job.state, job.attempt, job.provisional) == (model.state, model.attempt, False)
        assert job.completion == model.completion
        assert job.completion in self.read


@pytest.mark.parametrize("shards", [1, 3])
def test_workers_that_crash_repeat_and_race_reach_the_same_state(
    redis_url: str, tmp_path: Path, leaks: Callable[[], list[str]], shards: int
):
    file = tmp_path / "ringback.toml"
    file.write_text(CONFIGURATION)
    run_state_machine_as_test(
        lambda: Workers(redis_url, file, shards, leaks),
        settings=settings(
            max_examples=max(15, settings.default.max_examples // 5), stateful_step_count=25
        ),
    )
