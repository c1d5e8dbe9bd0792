"""A poll that somebody asks for while an older one of its job is being made is made as well."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from processor.model import State
from processor.service.jobs.watch import commit_change, poll_now, with_item
from processor.service.jobs.watch_request import PollSettings
from processor.service.polling.run import run
from processor.store.planned_poll import FOR_MIRROR
from processor.store.work_items import NOW, Claim, Settlement, WorkItem

SLOW = PollSettings("1h")

Finish = Callable[[], Awaitable[None]]


class InFlight:
    """An older poll of a job, whose answer comes later."""

    def __init__(self, bench: Any, provider: Any, wait_until: Any) -> None:
        self.bench, self.provider, self.wait_until = bench, provider, wait_until

    async def claim(self, source: str) -> Claim:
        """Ask for a poll of job `1` of a source, and claim it."""
        await poll_now(self.bench.context, source, "1")
        (claim,) = await self.bench.claim(self.bench.store.shards[0], "poll")
        return claim  # type: ignore[no-any-return]

    async def start(self, source: str, code: int = 200, /, **body: Any) -> Finish:
        """Begin such a poll; what is returned lets the provider answer it, and ends it."""
        may_answer, asked = asyncio.Event(), len(self.provider.asked)
        self.provider.hold("1", may_answer, code, **body)
        task = asyncio.create_task(run(self.bench.context, await self.claim(source)))
        await self.wait_until(lambda: len(self.provider.asked) > asked)

        async def finish() -> None:
            may_answer.set()
            await task

        return finish


@pytest.fixture
def older(bench: Any, provider: Any, wait_until: Any) -> InFlight:
    return InFlight(bench, provider, wait_until)


@pytest.mark.parametrize("code", [200, 502])
async def test_an_older_poll_does_not_end_the_one_that_confirms_a_push(
    bench: Any, provider: Any, older: InFlight, code: int
):
    await bench.watch("1", "hints", poll=SLOW)
    finish = await older.start("hints", code, status="running")
    await bench.push("hints", id="1", status="succeeded")
    await finish()
    provider.says("1", status="succeeded")
    assert await bench.poll() == ["hints/1"]
    assert (await bench.job("1", "hints")).state is State.SUCCEEDED
    assert await bench.due("poll", "hints/1", "hints") is None


async def test_a_push_that_comes_late_does_not_put_off_a_confirmation(bench: Any, provider: Any):
    provider.says("1", status="succeeded")
    await bench.watch("1", "hints", poll=SLOW)
    await bench.push("hints", id="1", status="succeeded")
    await bench.push("hints", id="1", status="running")
    assert await bench.poll() == ["hints/1"]
    assert (await bench.job("1", "hints")).state is State.SUCCEEDED


async def test_an_older_poll_of_a_finished_job_does_not_hide_that_it_runs_again(
    bench: Any, provider: Any, older: InFlight
):
    await bench.push("cautious", id="1", status="succeeded", event="a")
    finish = await older.start("cautious", status="succeeded")
    await bench.push("cautious", id="1", status="running", event="b")
    await finish()
    provider.says("1", status="running")
    assert await bench.poll() == ["cautious/1"]
    job = await bench.job("1", "cautious")
    assert (job.state, job.attempt) == (State.RUNNING, 2)


async def test_an_older_poll_that_ends_an_attempt_does_not_hide_the_next(
    bench: Any, provider: Any, older: InFlight
):
    await bench.watch("1", "numbered", poll=SLOW)
    finish = await older.start("numbered", status="succeeded", attempt=1)
    await bench.push("numbered", id="1", status="failed", attempt=2)
    await finish()
    assert (await bench.job("1", "numbered")).attempt == 1
    provider.says("1", status="failed", attempt=2)
    assert await bench.poll() == ["numbered/1"]
    job = await bench.job("1", "numbered")
    assert (job.state, job.attempt) == (State.FAILED, 2)
    kinds = [kind for _, kind in await bench.events()]
    assert kinds == ["job.succeeded", "job.failed"]


@pytest.mark.parametrize("code", [200, 401, 502])
async def test_a_poll_that_a_caller_asks_for_while_another_is_made_is_due(
    bench: Any, older: InFlight, code: int
):
    await bench.watch("1", poll=SLOW)
    finish = await older.start("lab", code, status="running")
    await poll_now(bench.context, "lab", "1")
    await finish()
    assert await bench.due("poll", "lab/1") <= await bench.store.now()


async def test_a_caller_who_turns_polls_off_does_not_end_one_that_was_asked_for(
    bench: Any, provider: Any
):
    provider.says("1", status="running")
    await bench.watch("1", poll=SLOW)
    await poll_now(bench.context, "lab", "1")
    await bench.watch("1", poll=False)
    assert await bench.poll() == ["lab/1"]
    assert await bench.due("poll", "lab/1") is None


async def test_a_planned_poll_ends_with_its_job_or_where_a_caller_turns_polls_off(bench: Any):
    for job in ("1", "2"):
        await bench.watch(job, poll=SLOW)
    await bench.push(id="1", status="succeeded")
    await bench.watch("2", poll=False)
    assert [await bench.due("poll", f"lab/{job}") for job in ("1", "2")] == [None, None]


async def test_a_poll_that_a_push_asked_for_waits_until_the_provider_allows_it(
    bench: Any, older: InFlight
):
    """The older poll's answer came after the push, and has a `Retry-After`."""
    await bench.watch("1", "hints", poll=SLOW)
    finish = await older.start("hints", status="running", headers={"Retry-After": "600"})
    await bench.push("hints", id="1", status="succeeded")
    await finish()
    wait = await bench.due("poll", "hints/1", "hints") - await bench.store.now()
    assert wait == pytest.approx(600, abs=5)


async def test_a_poll_that_is_being_made_is_not_lost_as_an_older_one_ends(
    bench: Any, older: InFlight
):
    """Both were claimed: the newer one is put back, as a worker does when it stops, or has no budget."""
    await bench.push("cautious", id="1", status="succeeded")
    finish = await older.start("cautious", status="succeeded")
    newer = await older.claim("cautious")
    await finish()
    assert await bench.store.backlogs.settle([Settlement(newer, NOW, newer.payload)]) == [True]
    assert await bench.due("poll", "cautious/1", "cautious") is not None


async def test_an_older_poll_that_a_finished_job_no_longer_needs_does_not_end_a_newer_one(
    bench: Any,
):
    await bench.watch("1", poll=SLOW)
    await bench.make_due("poll", "lab/1")
    (older,) = await bench.claim(bench.store.shards[0], "poll")
    await bench.push(id="1", status="succeeded")
    item = WorkItem("poll", "lab", "lab/1", NOW, FOR_MIRROR)
    await commit_change(bench.context, "lab", "1", lambda found: with_item(found, item))
    (newer,) = await bench.claim(bench.store.shards[0], "poll")
    await run(bench.context, older)
    assert await bench.store.backlogs.settle([Settlement(newer, NOW, newer.payload)]) == [True]
    (again,) = await bench.claim(bench.store.shards[0], "poll")
    assert again.payload == FOR_MIRROR


async def test_a_confirmation_that_waits_for_the_provider_outlives_the_end_of_an_older_attempt(
    bench: Any, provider: Any, older: InFlight
):
    """A poll between was answered with `Retry-After`, so the push's own poll is due later."""
    await bench.watch("1", "numbered", poll=SLOW)
    finish = await older.start("numbered", status="succeeded", attempt=1)
    provider.says("1", status="running", attempt=1, headers={"Retry-After": "60"})
    await poll_now(bench.context, "numbered", "1")
    await bench.poll()
    await bench.push("numbered", id="1", status="failed", attempt=2)
    await finish()
    assert (await bench.job("1", "numbered")).state is State.SUCCEEDED
    provider.says("1", status="failed", attempt=2)
    await bench.make_due("poll", "numbered/1", "numbered")
    await bench.poll()
    assert [kind for _, kind in await bench.events()][-2:] == ["job.succeeded", "job.failed"]


async def test_polls_that_are_turned_off_leave_one_that_waits_for_the_provider(
    bench: Any, provider: Any
):
    provider.says("1", status="running", headers={"Retry-After": "60"})
    await bench.watch("1", "cautious", poll=SLOW)
    await poll_now(bench.context, "cautious", "1")
    await bench.poll()
    await bench.push("cautious", id="1", status="succeeded", event="a")
    await bench.push("cautious", id="1", status="running", event="b")
    await bench.watch("1", "cautious", poll=False)
    assert await bench.due("poll", "cautious/1", "cautious") is not None
