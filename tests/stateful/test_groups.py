"""A group has one completion, never early and never missing, whatever happens to its jobs and Redis.

`lose` restores what Redis held after the newest call that was answered: what workers have written
since then is lost.
"""

import asyncio
import json
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
from processor.errors import Conflict, NotFound
from processor.event_types import GROUP_COMPLETED
from processor.group import Group, GroupState, end_of
from processor.model import FINAL, Origin, State, StatusUpdate
from processor.service.groups import create, member_ends
from processor.service.groups.group_request import GroupRequest
from processor.service.jobs import watch, watch_request
from processor.service.jobs.inbox import QueuedUpdate, enqueue
from processor.service.jobs.ingest import LANE_LIMITS, ingest
from processor.service.jobs.query import locate
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import Metrics
from processor.store import Store
from processor.store.groups import LANE

from .redis_state import dump, restore

CONFIGURATION = '[sources.s]\nprovider = "standard"\nstatus_url = "http://127.0.0.1:9/{id}"\n'
JOBS = ("a", "b", "c")
ENDS = (State.SUCCEEDED, State.FAILED, State.CANCELED)


class Groups(RuleBasedStateMachine):
    """One group of up to three jobs, their workers, and a Redis that loses what they wrote."""

    def __init__(self, url: str, file: Path, shards: int) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        found = load(file, {"REDIS_URL": url, "RINGBACK_SHARDS": str(shards)})
        self.store = Store(url, shards=shards, lease=0.001)
        self.context = Context(found, self.store, Egress(Policy()), Metrics())
        self.redis = self.store.connection.redis
        self.do(self.redis.flushall())
        self.kept: dict[bytes, tuple[bytes, int]] = {}
        self.pushes = 0
        self.uids: set[str] = set()  # of all records of the group
        self.may_have_ended: set[str] = set()  # jobs that a push or a deletion has ended, ever
        self.members: set[str] = set()  # of the newest record
        self.fail_fast = False
        self.there = False  # the group, as far as its callers know
        self.seen: dict[str, Any] = {}  # events of the group by id: the newest data

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run to the end."""
        return self.loop.run(work)

    def answered(self) -> None:
        """Remember what Redis holds: no loss goes back further."""
        self.kept = self.do(dump(self.redis))

    # --- what callers and the provider do -----------------------------------------------------

    @rule(
        members=st.sets(st.sampled_from(JOBS)),
        fail_fast=st.booleans(),
        open_=st.booleans(),
    )
    def post(self, *, members: set[str], fail_fast: bool, open_: bool) -> None:
        """A POST is answered; an equal one again, too."""
        body = GroupRequest(
            id="g",
            jobs=[f"s/{job}" for job in sorted(members)],
            policy="fail_fast" if fail_fast else "all",  # type: ignore[arg-type]
            open=open_ or not members,
        )
        try:
            group, new = self.do(create.create(self.context, body, None))
        except Conflict:
            assert self.there
            return
        assert new == (not self.there)
        if new:
            self.uids.add(group.uid)
            self.members, self.fail_fast, self.there = set(members), fail_fast, True
        self.answered()

    @precondition(lambda self: self.there)
    @rule(job=st.sampled_from(JOBS))
    def put(self, job: str) -> None:
        """A PUT of a member is answered."""
        request = watch_request.WatchRequest()
        try:
            self.do(create.add(self.context, "g", ("s", job), request, None))
        except Conflict:
            return
        self.members.add(job)
        self.answered()

    @precondition(lambda self: self.there)
    @rule()
    def close(self) -> None:
        """A close is answered."""
        self.do(create.close(self.context, "g"))
        self.answered()

    @precondition(lambda self: self.there)
    @rule()
    def forget(self) -> None:
        """A DELETE of the group is answered."""
        self.do(create.delete(self.context, "g"))
        self.there = False
        self.answered()

    @rule(job=st.sampled_from(JOBS), state=st.sampled_from([State.RUNNING, *ENDS]))
    def push(self, job: str, state: State) -> None:
        """A push of the first attempt is answered."""
        self.accept(job, state, 1)

    @rule(job=st.sampled_from(JOBS), state=st.sampled_from([State.RUNNING, *ENDS]))
    def run_again(self, job: str, state: State) -> None:
        """A push of the second attempt is answered."""
        self.accept(job, state, 2)

    def accept(self, job: str, state: State, attempt: int) -> None:
        """Accept a push."""
        self.pushes += 1
        update = StatusUpdate(
            *("s", job, state.value, state, 1_000.0 + self.pushes, Origin.PUSH), attempt=attempt
        )
        place = self.store.shard("s", job)
        assert self.do(enqueue(self.context, [QueuedUpdate(place, f"p{self.pushes}", update)]))
        if state in FINAL:
            self.may_have_ended.add(job)
        self.answered()

    @rule(job=st.sampled_from(JOBS))
    def delete(self, job: str) -> None:
        """A DELETE of a job is answered, if it is watched."""
        try:
            self.do(watch.unwatch(self.context, "s", job))
        except NotFound:
            return
        self.may_have_ended.add(job)
        self.answered()

    # --- what workers and Redis do ------------------------------------------------------------

    @rule(limit=st.integers(1, 4), order=st.randoms(use_true_random=False))
    def work(self, limit: int, order: Any) -> None:
        """A worker takes some work; it may die before it has settled it."""
        for keys in order.sample(self.store.shards, len(self.store.shards)):
            claims = self.do(
                self.store.backlogs.claim(keys, "ingest", limit, lambda _: LANE_LIMITS)
            )
            order.shuffle(claims)
            for claim in claims[: order.randint(0, len(claims))]:
                self.do(self.apply([claim]))
        self.hear()

    async def apply(self, claims: list[Any]) -> None:
        """What a worker does with claims."""
        await member_ends.apply_claims(self.context, [c for c in claims if c.lane == LANE])
        await ingest(self.context, [c for c in claims if c.lane != LANE])

    @precondition(lambda self: self.kept)
    @rule()
    def lose(self) -> None:
        """Redis is killed, and loses what workers wrote since the last answer."""
        self.do(restore(self.redis, self.kept))

    # --- what always holds --------------------------------------------------------------------

    def hear(self) -> None:
        """Note events of the group in the log."""
        for event in self.do(self.store.events.page(self.store.events.start(), 10_000)):
            if event.type == GROUP_COMPLETED:
                self.seen[event.id] = json.loads(event.body)["data"]

    @invariant()
    def a_record_of_the_group_has_one_event(self) -> None:
        """Its id is that of the record."""
        assert set(self.seen) <= {f"evt_g{uid}_final" for uid in self.uids}

    @invariant()
    def no_group_ends_early(self) -> None:
        """Its members have all ended; or one has not succeeded, and that is enough."""
        for data in self.seen.values():
            ended = {job["id"] for job in data["jobs"] if job["state"] != "pending"}
            assert ended <= self.may_have_ended
            if data["policy"] == "all" or data["state"] != "failed":
                assert data["counts"]["pending"] == 0
            assert data["counts"]["total"] == len(data["jobs"])

    def teardown(self) -> None:
        """Do all work that is left; no completion is missing then."""
        try:
            for _ in range(8):
                for keys in self.store.shards:
                    claim = self.store.backlogs.claim
                    if claims := self.do(claim(keys, "ingest", 200, lambda _: LANE_LIMITS)):
                        self.do(self.apply(claims))
            self.hear()
            self.a_record_of_the_group_has_one_event()
            self.no_group_ends_early()
            if self.there:
                self.none_is_missing(self.do(self.store.groups.read("g")).group)
        finally:
            self.do(self.store.close())
            self.loop.close()

    def none_is_missing(self, group: Group) -> None:
        """A group that runs has a reason; one that has ended has its event."""
        rows = self.do(self.store.groups.members("g"))
        assert {name.removeprefix("s/") for name in rows} == self.members
        jobs = {job: self.do(locate(self.context, "s", job)).lookup.job for job in self.members}
        ends = {job: end_of(record) for job, record in jobs.items() if record}
        if group.state is not GroupState.RUNNING:
            assert f"evt_g{group.uid}_final" in self.seen
            return
        failed = any(row.end not in (None, State.SUCCEEDED) for row in rows.values())
        assert group.open or (None in ends.values() and not (failed and self.fail_fast))
        for name, row in rows.items():
            assert row.end == ends.get(name.removeprefix("s/"), State.CANCELED)


@pytest.mark.parametrize("shards", [1, 4])
def test_a_group_has_one_completion_whatever_redis_loses(
    redis_url: str, tmp_path: Path, shards: int
):
    file = tmp_path / "ringback.toml"
    file.write_text(CONFIGURATION)
    run_state_machine_as_test(
        lambda: Groups(redis_url, file, shards),
        settings=settings(
            max_examples=max(25, settings.default.max_examples // 5), stateful_step_count=25
        ),
    )
