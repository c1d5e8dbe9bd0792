"""Whatever happens to other polls of its job, a poll that a caller asked for is made.

Workers poll one job: they answer, fail, put back what they hold, die, and come back too late, while
pushes and PUTs plan the next poll anew. An ask is answered by a poll that was claimed after it.
"""

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from processor.config import load
from processor.egress import Egress, Policy
from processor.model import Origin, State, StatusUpdate
from processor.service.jobs import watch, watch_request
from processor.service.jobs.advance import advance
from processor.service.jobs.decide import IncomingUpdate
from processor.service.jobs.failed_polls import FailedPoll, as_update
from processor.service.jobs.query import find
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import Metrics
from processor.store import Store
from processor.store.work_items import Claim, LaneLimits, Settlement

CONFIGURATION = """
[sources.s]
provider = "standard"
status_url = "http://127.0.0.1:9/{id}"
"""
ITEM = "s/1"

some = st.integers(0, 100)


class Held(NamedTuple):
    """A claim, and how many asks there were before it."""

    claim: Claim
    asks: int


class Polls(RuleBasedStateMachine):
    """The polls of one job."""

    def __init__(self, url: str, file: Path) -> None:
        """Connect, to an empty Redis."""
        super().__init__()
        self.loop = asyncio.Runner()
        self.asks = self.answered = self.pushes = 0  # how many; up to which ask all are answered
        self.held: list[Held] = []  # by workers that live
        self.dead: list[Held] = []
        self.context = Context(
            load(file, {"REDIS_URL": url, "RINGBACK_SHARDS": "1"}),
            Store(url, shards=1, lease=600.0),
            Egress(Policy()),
            Metrics(),
        )
        self.store = self.context.store
        self.keys = self.store.shards[0]
        self.redis = self.store.connection.redis
        self.do(self.redis.flushall())

    def do(self, work: Any) -> Any:
        """Run to the end."""

        async def run() -> Any:
            return await work

        return self.loop.run(run())

    # --- what callers and the provider do -----------------------------------------------------

    @initialize()
    def begin(self) -> None:
        """Watch the job."""
        self.put("1h")

    @rule()
    def ask(self) -> None:
        """A caller asks for a poll."""
        self.do(watch.poll_now(self.context, "s", "1"))
        self.asks += 1

    @rule()
    def push(self) -> None:
        """A push that counts plans the next poll anew."""
        self.pushes += 1
        at = self.do(self.store.now())
        word = f"step {self.pushes}"
        update = StatusUpdate("s", "1", word, State.RUNNING, at, Origin.PUSH)
        self.do(advance(self.context, self.keys, [IncomingUpdate(update)]))

    @rule(every=st.sampled_from(["1h", "2h"]))
    def put(self, every: str) -> None:
        """A PUT changes how often the job is polled."""
        request = watch_request.WatchRequest(poll=watch_request.PollSettings(every))
        self.do(watch.watch(self.context, "s", "1", request))

    # --- what workers do ----------------------------------------------------------------------

    @rule()
    def time_passes(self) -> None:
        """A planned poll falls due."""
        self.end(self.keys.due("poll", "s"))

    def end(self, waits: str) -> None:
        """Set the item's time in a set to a second ago, if it is in it and has a later one."""
        at = int(self.do(self.store.now()) * 1000) - 1000
        if self.do(self.redis.zadd(waits, {ITEM: at}, xx=True, lt=True, ch=True)):
            self.do(self.redis.zadd(self.keys.lanes["poll"], {"s": at}, lt=True))

    @rule()
    def claim(self) -> None:
        """A worker claims the poll, if it is due."""
        claims = self.do(self.store.backlogs.claim(self.keys, "poll", 10, lambda _: LaneLimits(64)))
        self.held += [Held(claim, self.asks) for claim in claims]

    @precondition(lambda self: self.held)
    @rule(which=some, fails=st.booleans())
    def answer(self, which: int, fails: bool) -> None:  # noqa: FBT001 -- drawn
        """A worker commits the outcome of its poll."""
        self.commit(self.held.pop(which % len(self.held)), fails=fails)

    @precondition(lambda self: self.dead)
    @rule(which=some, fails=st.booleans())
    def come_back(self, which: int, fails: bool) -> None:  # noqa: FBT001 -- drawn
        """A worker that seemed dead commits what it had polled."""
        self.commit(self.dead.pop(which % len(self.dead)), fails=fails)

    def commit(self, held: Held, *, fails: bool) -> None:
        now = self.do(self.store.now())
        if fails:
            job = self.do(find(self.context, "s", "1")).job
            failed = FailedPoll("HTTP 502", now + 3600, after_end=False)
            incoming = IncomingUpdate(as_update(job, "HTTP 502", now), held.claim, failed=failed)
        else:
            update = StatusUpdate(
                "s", "1", "running", State.RUNNING, now, Origin.POLL, poll_started_at=now
            )
            incoming = IncomingUpdate(update, held.claim)
        self.do(advance(self.context, self.keys, [incoming]))
        self.answered = max(self.answered, held.asks)

    @precondition(lambda self: self.held)
    @rule(which=some)
    def put_back(self, which: int) -> None:
        """A worker may not poll now: the budget is spent, or it stops."""
        claim = self.held.pop(which % len(self.held)).claim
        again = Settlement(claim, claim.due / 1000, claim.payload)
        self.do(self.store.backlogs.settle([again]))

    @precondition(lambda self: self.held)
    @rule(which=some)
    def die(self, which: int) -> None:
        """A worker dies, and its lease ends."""
        held = self.held.pop(which % len(self.held))
        claimed = self.keys.claimed("poll", "s")
        if self.do(self.redis.zscore(claimed, ITEM)) == held.claim.token:
            self.end(claimed)
        self.dead.append(held)

    # --- what always holds --------------------------------------------------------------------

    @invariant()
    def an_ask_is_answered_or_its_poll_is_being_made_or_is_due(self) -> None:
        """By a worker that lives, or for any worker to claim."""
        covered = max([self.answered, *(held.asks for held in self.held)])
        if covered >= self.asks:
            return
        sets = (self.keys.due("poll", "s"), self.keys.claimed("poll", "s"))
        times = [self.do(self.redis.zscore(key, ITEM)) for key in sets]
        soon = (self.do(self.store.now()) + 1.0) * 1000  # it is not exactly Redis' time
        assert any(at is not None and at <= soon for at in times), "the poll is lost, or put off"
        assert self.do(self.redis.hexists(self.keys.items["poll"], ITEM))

    def teardown(self) -> None:
        """Disconnect."""
        self.do(self.store.close())
        self.loop.close()


def test_a_poll_that_was_asked_for_is_made_whatever_happens_to_others(
    redis_url: str, tmp_path: Path
):
    file = tmp_path / "ringback.toml"
    file.write_text(CONFIGURATION)
    run_state_machine_as_test(
        lambda: Polls(redis_url, file),
        settings=settings(
            max_examples=max(30, settings.default.max_examples // 2), stateful_step_count=25
        ),
    )
