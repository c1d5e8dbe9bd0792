"""A change of a subscription that was interrupted between two shards: repeating it completes it."""

from typing import Any

import pytest

from processor.errors import StoreUnavailable
from processor.model import Subscription
from processor.service.subscriptions import manage, update
from processor.service.subscriptions.update import UpdateSubscription
from processor.store.keys import Keys

from ..desk import Desk, Subscriber

JOBS = [f"job{n}" for n in range(80)]


@pytest.fixture
async def four(desk_of: Any) -> Desk:
    """Four shards, and one subscriber."""
    desk: Desk = await desk_of(shards=4)
    return desk


@pytest.fixture
def cut(four: Desk, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Awaits a call while the second shard is away, so that it is answered 503."""
    write = four.store.subscriptions._copies._write

    async def away(keys: Keys, target: str, doc: bytes | None) -> None:
        if keys.shard == 1:
            raise StoreUnavailable("Redis is away")
        await write(keys, target, doc)

    async def made(call: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(four.store.subscriptions._copies, "_write", away)
            with pytest.raises(StoreUnavailable):
                await call

    return made


async def completions(desk: Desk) -> int:
    """How many of eighty completions come, over all shards."""
    before = len(desk.subscriber.got)
    await desk.finish(*JOBS)
    await desk.deliver()
    return len(desk.subscriber.got) - before


async def test_enabling_again_after_an_interruption_enables_every_shard(four: Desk, cut: Any):
    made = await four.subscribe()
    await update.disable(four.context, made, "answered 410")
    await cut(update.enable(four.context, made.id))
    assert (await update.enable(four.context, made.id)).disabled is None
    assert await completions(four) == len(JOBS)


async def test_disabling_again_after_an_interruption_disables_every_shard(
    four: Desk, cut: Any, subscriber: Subscriber
):
    """The second delivery meets a shard that does not know yet, and so is a repetition."""
    made = await four.subscribe()
    await cut(update.disable(four.context, made, "answered 410"))
    await update.disable(four.context, made, "answered 410")
    assert await completions(four) == 0
    published = await four.store.events.page(four.store.events.start(), 1000)
    assert [e.type for e in published].count("subscription.disabled") == 1


async def test_a_filter_that_is_changed_by_a_repeated_call_holds_in_every_shard(
    four: Desk, cut: Any
):
    made = await four.subscribe(events=("job.failed",))
    settings = UpdateSubscription(events=("job.succeeded",))
    await cut(update.change(four.context, made.id, settings))
    await update.change(four.context, made.id, settings)
    assert await completions(four) == len(JOBS)


async def test_creating_again_after_an_interruption_delivers_once(four: Desk, cut: Any):
    """The first was answered 503, and is cleared away."""
    await cut(four.subscribe())
    await four.subscribe()
    for _ in range(2):
        await four.store.subscriptions.repair()
    assert await completions(four) == len(JOBS)


async def test_removing_again_after_an_interruption_removes_every_shard(
    four: Desk, monkeypatch: pytest.MonkeyPatch
):
    made = await four.subscribe()
    remove = four.store.subscriptions._copies._remove

    async def away(keys: Keys, target: str) -> bool:
        if keys.shard == 1:
            raise StoreUnavailable("Redis is away")
        return await remove(keys, target)

    with monkeypatch.context() as patch:
        patch.setattr(four.store.subscriptions._copies, "_remove", away)
        with pytest.raises(StoreUnavailable):
            await manage.remove(four.context, made.id)
    await manage.remove(four.context, made.id)
    assert await completions(four) == 0


async def test_an_interrupted_change_is_finished_by_the_clock(four: Desk, cut: Any):
    made: Subscription = await four.subscribe()
    await update.disable(four.context, made, "answered 410")
    await cut(update.enable(four.context, made.id))
    for _ in range(2):
        await four.store.subscriptions.repair()
    assert await completions(four) == len(JOBS)
