"""A group has one completion, never early and never missing, whatever happens to its jobs and Redis.

`lose` restores what Redis held after the newest call that was answered: what workers have written
since then is lost.
"""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
)

from processor.errors import Conflict, NotFound
from processor.event_types import GROUP_COMPLETED
from processor.group import Group, GroupState, end_of
from processor.model import FINAL, State
from processor.service.groups import close, create, members
from processor.service.groups.apply_together import ApplyTogether
from processor.service.groups.group_request import GroupRequest
from processor.service.jobs import watch, watch_request
from processor.service.jobs.ingest import ingest
from processor.service.jobs.query import locate
from processor.store.groups import LANE

from .losses import Losses, orders, search

JOBS = ("a", "b", "c")
ENDS = (State.SUCCEEDED, State.FAILED, State.CANCELED)


class Groups(Losses):
    """One group of up to three jobs, their workers, and a Redis that loses what they wrote."""

    def __init__(self, url: str, file: Path, shards: int) -> None:
        super().__init__(url, file, shards)
        self.uids: set[str] = set()  # of all records of the group
        self.may_have_ended: set[str] = set()  # jobs that a push or a deletion has ended, ever
        self.members: set[str] = set()  # of the newest record
        self.fail_fast = False
        self.there = False  # the group, as far as its callers know
        self.seen: dict[str, Any] = {}  # events of the group by id: the newest data

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
            self.do(members.add(self.context, "g", ("s", job), request, None))
        except Conflict:
            return
        self.members.add(job)
        self.answered()

    @precondition(lambda self: self.there)
    @rule()
    def close(self) -> None:
        """A close is answered."""
        self.do(close.close(self.context, "g"))
        self.answered()

    @precondition(lambda self: self.there)
    @rule()
    def forget(self) -> None:
        """A DELETE of the group is answered."""
        self.do(close.delete(self.context, "g"))
        self.there = False
        self.answered()

    @rule(job=st.sampled_from(JOBS), state=st.sampled_from([State.RUNNING, *ENDS]))
    def push(self, job: str, state: State) -> None:
        """A push of the first attempt is answered."""
        self.push_of(job, state, 1)

    @rule(job=st.sampled_from(JOBS), state=st.sampled_from([State.RUNNING, *ENDS]))
    def run_again(self, job: str, state: State) -> None:
        """A push of the second attempt is answered."""
        self.push_of(job, state, 2)

    def push_of(self, job: str, state: State, attempt: int) -> None:
        """A push of an attempt is answered."""
        self.accept(job, state, attempt)
        if state in FINAL:
            self.may_have_ended.add(job)

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

    @rule(limit=st.integers(1, 4), order=orders)
    def work(self, limit: int, order: Random) -> None:
        """A worker takes some work; it may die before it has settled it."""
        for claims in self.claimed(limit, order):
            for claim in claims[: order.randint(0, len(claims))]:
                self.do(self.apply([claim]))
        self.hear()

    async def apply(self, claims: list[Any]) -> None:
        """What a worker does with claims."""
        await ApplyTogether(self.context, interval=0.0).add([c for c in claims if c.lane == LANE])
        await ingest(self.context, [c for c in claims if c.lane != LANE])

    @precondition(lambda self: self.kept)
    @rule()
    def lose(self) -> None:
        """Redis is killed, and loses what workers wrote since the last answer."""
        self.lose_writes()

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
            self.work_off(self.apply)
            self.hear()
            self.a_record_of_the_group_has_one_event()
            self.no_group_ends_early()
            if self.there:
                self.none_is_missing(self.do(self.store.groups.read("g")).group)
        finally:
            self.disconnect()

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
    search(Groups, redis_url, tmp_path, shards, steps=25)
