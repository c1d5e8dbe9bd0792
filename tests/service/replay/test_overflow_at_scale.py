"""Overflow with many subscriptions and shards: all of it is delivered, to all."""

import asyncio
from typing import Any

import pytest

from processor.model import HttpResponse, Push, Retention, Subscription
from processor.service.delivery.deliver import Deliverer
from processor.service.replay import scan_log
from processor.service.replay.overflow import catch_up
from processor.service.subscriptions import update
from processor.store.work_items import LaneLimits

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Heap:
    """Subscriptions that get more than may wait."""

    def __init__(self, bench: Any) -> None:
        """Answer well."""
        self.context = bench.context._replace(egress=self)
        self.bench, self.store = bench, bench.store
        self.answer = HttpResponse(200, {}, b"", 0.0)
        self.got: list[str] = []  # URLs, one for each event
        self.deliverer = Deliverer(self.context)

    async def request(self, _method: str, url: str, **_: Any) -> HttpResponse:
        """Answer as the subscriber."""
        self.got.append(url)
        return self.answer

    async def subscribe(self, name: str, **fields: Any) -> Subscription:
        """Make a subscription."""
        made = Subscription(id=name, url=f"https://{name}.example", secrets=(SECRET,), **fields)
        await self.store.subscriptions.save(made)
        return made

    async def finish(self, shard: int, count: int) -> None:
        """Have so many jobs of a shard end."""
        begun = len(await self.bench.jobs())
        names = (str(n) for n in range(1000 * begun, 1_000_000))
        ours = (name for name in names if self.store.shard("lab", name).shard == shard)
        for _ in range(count):
            await self.bench.push(id=next(ours), status="succeeded")

    async def finish_together(self, count: int) -> None:
        """Have so many jobs end in one commit."""
        source = self.bench._receiver.source("lab")
        for n in range(count):
            push = Push({}, b'{"id": "%d", "status": "succeeded"}' % n)
            await self.bench._receiver.receive(source, push)
        await self.bench.ingest()

    async def waiting(self, shard: int, target: str) -> int:
        """How many deliveries of a subscription wait in a shard."""
        return int(await self.store.redeliveries.waiting(self.store.shards[shard], target))

    async def behind(self) -> list[dict[str, str]]:
        """The subscriptions with overflow, by shard."""
        return [await self.store.deliveries.overflow(keys) for keys in self.store.shards]

    async def round(self, *shards: int) -> None:
        """Deliver what is due in some shards."""
        for shard in shards:
            keys = self.store.shards[shard]
            claims = await self.store.backlogs.claim(
                keys, "deliver", 200, lambda _: LaneLimits(1000)
            )
            posts = await self.deliverer.read(claims) if claims else []
            await asyncio.gather(*map(self.deliverer.deliver, posts))


@pytest.fixture
def heap_of(bench_of: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(scan_log, "PAGE", 2)

    async def make(shards: int = 1, waiting: int = 4) -> Heap:
        return Heap(await bench_of(shards=shards, keep=Retention(waiting=waiting)))

    return make


@pytest.mark.parametrize("full", [0, 1])
async def test_a_full_shard_does_not_delay_the_overflow_of_another(heap_of: Any, full: int) -> None:
    heap: Heap = await heap_of(shards=2)
    await heap.subscribe("sub_1")
    await heap.finish(full, 4)
    await heap.finish(1 - full, 7)
    await heap.round(1 - full)
    await catch_up(heap.context)
    assert [await heap.waiting(n, "sub_1") for n in (full, 1 - full)] == [4, 3]
    assert await heap.behind() == [{}, {}]


async def test_a_refused_delivery_of_the_same_millisecond_is_not_overflow(heap_of: Any) -> None:
    """Its event has the same millisecond as the first of the overflow."""
    heap: Heap = await heap_of(waiting=2)
    await heap.subscribe("sub_1")
    await heap.finish_together(3)
    heap.answer = HttpResponse(400, {"webhook-delivery": "abort-message"}, b"", 0.0)
    await heap.round(0)
    assert len(heap.got) == 2
    await catch_up(heap.context)
    assert await heap.waiting(0, "sub_1") == 1


@pytest.mark.parametrize("clocks", [1, 2, 5])
async def test_several_clocks_deliver_the_overflow_once_and_within_the_limit(
    heap_of: Any, clocks: int
) -> None:
    heap: Heap = await heap_of()
    await heap.subscribe("sub_1")
    await heap.subscribe("sub_2")
    await heap.finish(0, 20)
    while any(await heap.behind()):
        await heap.round(0)
        await asyncio.gather(*(catch_up(heap.context) for _ in range(clocks)))
        assert await heap.waiting(0, "sub_1") <= 4 + 2 * clocks
    await heap.round(0)
    assert sorted(heap.got) == sorted([f"https://sub_{n}.example" for n in (1, 2)] * 20)


async def test_an_event_published_while_the_clock_sees_it_disabled_is_delivered(
    heap_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was enabled between two questions of the clock."""
    heap: Heap = await heap_of(waiting=1)
    made = await heap.subscribe("sub_1")
    await heap.finish(0, 2)
    await heap.round(0)
    await update.disable(heap.context, made, "by hand")
    get = heap.store.subscriptions.get

    async def meanwhile(target: str) -> Subscription | None:
        found: Subscription | None = await get(target)
        monkeypatch.setattr(heap.store.subscriptions, "get", get)
        await update.enable(heap.context, target)
        await heap.finish(0, 1)
        return found

    monkeypatch.setattr(heap.store.subscriptions, "get", meanwhile)
    heap.got.clear()
    for _ in range(3):
        await catch_up(heap.context)
        await heap.round(0)
    assert heap.got  # the third; whether the second does is up to the clock
    assert await heap.behind() == [{}]
