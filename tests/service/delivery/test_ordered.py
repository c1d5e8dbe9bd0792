"""`ordered`: a job's events one after the other; after an outage only the newest state."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from processor import schedule, state_machine
from processor.errors import Conflict
from processor.model import Delivery, JobOrder, Subscription
from processor.service.delivery import history
from processor.service.delivery.deliver import Deliverer
from processor.service.events import ordering
from processor.service.replay import retry
from processor.service.subscriptions import manage, update
from processor.service.subscriptions.update import UpdateSubscription
from processor.store.work_items import Claim, LaneLimits

from ..desk import Desk, Subscriber

ALL = ("job.started", "job.progressed", "job.completed")
ONE = LaneLimits(1000)


class Gated(Subscriber):
    """A subscriber that answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        """Accept a request, and answer later."""
        answer = await super().answer(request)
        await self.open.wait()
        return answer


@pytest.fixture
def subscriber_is() -> type[Subscriber]:
    return Gated


@pytest.fixture
def progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every word of a running job is an event."""
    monkeypatch.setattr(state_machine, "PROGRESS_EVENTS_APART", 0.0)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again at once, and only once."""
    monkeypatch.setattr(schedule, "RETRY_DELAYS", (0, 0.001))


async def push_updates(desk: Desk, job: str, *words: str, **more: Any) -> None:
    """Pushes about a job, each committed by itself."""
    for word in words:
        await desk.bench.push(id=job, status=word, **more)


def came(desk: Desk, job: str) -> list[tuple[int, str]]:
    """What came of a job, by sequence and type, in the order in which it came."""
    found = [b for b in desk.subscriber.bodies if b["data"]["id"] == job]
    return [(body["data"]["sequence"], body["type"]) for body in found]


async def claim(desk: Desk) -> list[Claim]:
    """All that is due in the one shard."""
    keys = desk.store.shards[0]
    return list(await desk.store.backlogs.claim(keys, "deliver", 200, lambda _: ONE))


async def ended(desk: Desk, target: Subscription) -> dict[str, str]:
    """The state of each delivery, by its event's type and the job's attempt."""
    rows = await history.list_deliveries(desk.context, target.id, None, 1000)
    return {row["event_id"].split("_", 2)[2]: row["state"] for row in rows}


# --- pure ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kinds", "failed", "old"),
    [
        (["job.started"], 0, []),
        (["job.succeeded"], 0, []),
        (["job.started", "job.succeeded"], 0, [0]),
        (["job.started", "job.progressed", "job.progressed"], 0, [1, 0]),
        (["job.started", "job.progressed", "job.progressed"], 1, [1]),  # the first was asked for
        (["job.expired", "job.succeeded"], 0, []),
        (["job.failed", "job.started", "job.progressed", "job.succeeded"], 0, [2, 1]),
    ],
)
def test_a_later_event_supersedes_all_but_completions(
    kinds: list[str], failed: int, old: list[int]
) -> None:
    waiting = [
        Delivery(str(n), "e", kind, "sub_a", 0.0, order=JobOrder("u", n))
        for n, kind in enumerate(kinds)
    ]
    assert [int(one.id) for one in ordering.superseded(waiting, waiting[failed])] == old


# --- one after the other ------------------------------------------------------------------


async def test_the_next_event_of_a_job_waits_for_the_one_before(desk: Desk, wait_until: Any):
    made = await desk.subscribe(events=ALL, ordered=True)
    await push_updates(desk, "a", "running", "succeeded")
    await push_updates(desk, "b", "running")
    under_way = asyncio.create_task(desk.round())
    await wait_until(lambda: len(desk.subscriber.got) == 2)
    assert await claim(desk) == []
    assert (came(desk, "a"), came(desk, "b")) == ([(1, "job.started")], [(1, "job.started")])
    rows = await history.list_deliveries(desk.context, made.id, "pending", 10)
    assert len(rows) == 3
    desk.subscriber.open.set()
    await under_way
    await desk.deliver()
    assert came(desk, "a") == [(1, "job.started"), (2, "job.succeeded")]


async def test_ordered_events_of_one_commit_are_sent_one_by_one(desk: Desk):
    desk.subscriber.open.set()
    await desk.subscribe(events=ALL, ordered=True)
    for word in ("running", "succeeded"):
        await desk.bench.accept(id="a", status=word)
    await desk.bench.ingest()
    for sequence in (1, 2):
        await desk.round()
        assert [n for n, _ in came(desk, "a")] == list(range(1, sequence + 1))
    assert await desk.waiting() == 0


async def test_an_unordered_subscription_gets_events_of_a_job_together(desk: Desk):
    await desk.subscribe(events=ALL)
    await push_updates(desk, "a", "running", "succeeded")
    assert len(await claim(desk)) == 2


async def test_nothing_is_sent_after_the_lease_ended(desk: Desk):
    """Others may be at later events by now."""
    desk.subscriber.open.set()
    await desk.subscribe(events=ALL, ordered=True)
    await push_updates(desk, "a", "running")
    deliverer = Deliverer(desk.context)
    (post,) = await deliverer.read(await claim(desk))
    late = replace(post.claim, token=int(await desk.store.now() * 1000))
    await deliverer.deliver(replace(post, claim=late))
    assert desk.subscriber.got == []
    await deliverer.deliver(post)
    assert len(desk.subscriber.got) == 1


# --- what is overtaken --------------------------------------------------------------------


@pytest.mark.usefixtures("progress")
async def test_after_an_outage_the_subscriber_gets_the_newest_state(desk: Desk):
    desk.subscriber.open.set()
    desk.subscriber.status = 503
    made = await desk.subscribe(events=ALL, ordered=True)
    await push_updates(desk, "a", "running")
    await desk.round()
    desk.subscriber.status = 200
    await push_updates(desk, "a", "stage 2", "stage 3", "stage 4")
    await desk.deliver()
    assert came(desk, "a") == [(1, "job.started"), (4, "job.progressed")]
    states = await desk.states(made)
    assert states == {"superseded": 3, "delivered": 1}
    await push_updates(desk, "a", "stage 5", "succeeded")
    await desk.deliver()
    assert [n for n, _ in came(desk, "a")] == [1, 4, 5, 6]


async def test_a_completion_does_not_wait_for_a_start_that_failed(desk: Desk):
    """Its next attempt would be in five seconds."""
    desk.subscriber.open.set()
    desk.subscriber.status = 503
    made = await desk.subscribe(events=ALL, ordered=True)
    await push_updates(desk, "a", "running")
    await desk.round()
    assert await claim(desk) == []
    desk.subscriber.status = 200
    await push_updates(desk, "a", "succeeded")
    await desk.deliver()
    assert came(desk, "a") == [(1, "job.started"), (2, "job.succeeded")]
    assert await ended(desk, made) == {"1": "superseded", "1_final": "delivered"}


async def test_a_failed_start_is_superseded_by_the_completion(desk: Desk, wait_until: Any):
    desk.subscriber.status = 503
    await desk.subscribe(events=ALL, ordered=True)
    await push_updates(desk, "a", "running")
    under_way = asyncio.create_task(desk.round())
    await wait_until(lambda: len(desk.subscriber.got) == 1)
    await push_updates(desk, "a", "succeeded")
    desk.subscriber.open.set()
    await under_way
    desk.subscriber.status = 200
    await desk.deliver()
    assert came(desk, "a") == [(1, "job.started"), (2, "job.succeeded")]


@pytest.mark.usefixtures("at_once")
async def test_a_completion_is_never_superseded(desk: Desk):
    """A re-run's events wait for it; but that it began is no news when it has ended."""
    desk.subscriber.open.set()
    desk.subscriber.status = 503
    await desk.subscribe(events=ALL, ordered=True)
    await push_updates(desk, "a", "failed")
    await desk.round()
    await push_updates(desk, "a", "running", "succeeded", attempt=2)
    desk.subscriber.status = 200
    await desk.deliver()
    kinds = ["job.failed", "job.failed", "job.succeeded"]
    assert [kind for _, kind in came(desk, "a")] == kinds


@pytest.mark.usefixtures("at_once")
async def test_the_next_event_follows_a_dead_letter(desk: Desk, wait_until: Any):
    desk.subscriber.open.set()
    desk.subscriber.status = 503
    made = await desk.subscribe(events=ALL, ordered=True)
    await push_updates(desk, "a", "failed")
    await push_updates(desk, "a", "running", attempt=2)

    async def given_up() -> bool:
        await desk.round()
        return (await ended(desk, made))["1_final"] == "failed"

    await wait_until(given_up)
    desk.subscriber.status = 200
    await desk.deliver()
    assert came(desk, "a")[-1] == (2, "job.started")


# --- beside the rest ----------------------------------------------------------------------


async def test_a_superseded_event_is_replayed_only_with_again(desk: Desk):
    desk.subscriber.open.set()
    desk.subscriber.status = 503
    made = await desk.subscribe(events=ALL, ordered=True)
    await push_updates(desk, "a", "running")
    await desk.round()
    desk.subscriber.status = 200
    await push_updates(desk, "a", "succeeded")
    await desk.deliver()
    assert await desk.replay(made) == (0, 0, 2, 0)
    assert await desk.replay(made, state="failed") == (0, 0, 0, 0)
    old = next(r["id"] for r in await rows(desk, made) if r["state"] == "superseded")
    with pytest.raises(Conflict, match="was superseded"):
        await retry.retry(desk.context, old)
    assert await desk.replay(made, again=True) == (2, 0, 0, 0)
    await desk.deliver()
    assert [n for n, _ in came(desk, "a")] == [1, 2, 1, 2]


async def rows(desk: Desk, made: Subscription) -> list[dict[str, Any]]:
    return await history.list_deliveries(desk.context, made.id, None, 1000)


async def test_retry_does_not_overtake_an_earlier_event_of_the_job(desk: Desk):
    desk.subscriber.open.set()
    made = await desk.subscribe(events=ALL, ordered=True)
    await push_updates(desk, "a", "running", "succeeded")
    last = next(r["id"] for r in await rows(desk, made) if r["type"] == "job.succeeded")
    assert (await retry.retry(desk.context, last))["state"] == "pending"
    assert len(await claim(desk)) == 1


async def test_a_replay_keeps_the_order_of_each_job(desk_of: Any):
    desk: Desk = await desk_of(shards=3)
    desk.subscriber.open.set()
    jobs = [f"job{n}" for n in range(12)]
    for word in ("running", "failed"):
        for job in jobs:
            await push_updates(desk, job, word)
    for job in jobs:
        await push_updates(desk, job, "running", "succeeded", attempt=2)
    made = await desk.subscribe(events=ALL, ordered=True)
    assert (await desk.replay(made))[0] == 48
    await desk.deliver()
    for job in jobs:
        assert [n for n, _ in came(desk, job)] == [1, 2, 3, 4]


async def test_ordered_applies_to_events_after_it_was_switched_on(desk: Desk):
    made = await desk.subscribe(events=ALL)
    await push_updates(desk, "a", "running", "succeeded")
    await update.change(desk.context, made.id, UpdateSubscription(ordered=True))
    await push_updates(desk, "b", "running", "succeeded")
    assert len(await claim(desk)) == 3


async def test_pending_deliveries_of_a_removed_subscription_are_canceled(desk: Desk):
    made = await desk.subscribe(events=ALL, ordered=True)
    await push_updates(desk, "a", "running", "succeeded")
    await manage.remove(desk.context, made.id)
    await desk.deliver()
    assert desk.subscriber.got == []
    assert [k async for k in desk.store.connection.redis.scan_iter("*}:order:*")] == []
