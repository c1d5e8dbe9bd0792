"""Statistics of sources: what several workers have seen is added up, and never read back by halves."""

from typing import Any

import pytest

from processor.push_loss import ENOUGH, GRACE
from processor.source_statistics import JobEnd
from processor.store import Store, statistics
from processor.store.keys import STATISTICS
from processor.store.statistics import MAX_COLLECTED, REMEMBERED


async def ended(store: Store, *found_by: str, source: str = "s") -> None:
    now = await store.now()
    store.statistics.collect((source, JobEnd(None, now, by)) for by in found_by)


async def total(store: Store, source: str = "s") -> tuple[int, int]:
    """Jobs of a source that ended in the present period: with a push, and without one."""
    found = (await store.statistics.read())[source].push_loss.present
    return found.arrived, found.missing


async def test_what_all_workers_have_seen_is_added_up(store_of: Any):
    one, other = store_of(), store_of()
    await ended(one, "push", "poll")
    await ended(other, "poll", "late_push", "poll")
    for store in (one, other, one):
        await store.statistics.write()
    assert await total(one) == await total(other) == (2, 2)


async def test_the_durations_of_each_kind_are_kept(store: Store):
    for kind, lasted in ((None, (1.0, 2.0)), ("media", (5.0, 5.0)), (None, (3.0, 3.0))):
        store.statistics.collect([("s", JobEnd(kind, 0.0, "poll", lasted))])
        await store.statistics.write()
    await store.statistics.refresh()
    found = store.statistics.of("s")
    assert found.durations(None).ends == ((3.0, 3.0), (1.0, 2.0))
    assert found.durations("media").ends == ((5.0, 5.0),)
    assert found.durations("unknown").count == store.statistics.of("t").durations(None).count == 0


async def test_what_follows_is_computed_once_for_each_change(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(statistics, "MAX_AGE", -1.0)
    await ended(store, "push")
    await store.statistics.write()
    await store.statistics.refresh()
    known = store.statistics.of("s")
    schedule = known.poll_schedule(None, (1.0, 2.0), 1.0, pushes=True)
    await store.statistics.refresh()
    assert store.statistics.of("s") is known
    assert known.poll_schedule(None, (1.0, 2.0), 1.0, pushes=True) is schedule


async def test_what_another_worker_changes_meanwhile_is_not_overwritten(
    store_of: Any, monkeypatch: pytest.MonkeyPatch
):
    one, other = store_of(), store_of()
    await ended(one, "push")
    await ended(other, "poll")
    run = one.connection.run

    async def run_later(name: str, *args: Any) -> Any:
        await other.statistics.write()
        return await run(name, *args)

    monkeypatch.setattr(one.connection, "run", run_later)
    assert await one.statistics.write() == []
    assert await total(one) == (0, 1)
    await one.statistics.write()
    assert await total(one) == (1, 1)


async def test_only_one_worker_turns_a_source(store_of: Any, monkeypatch: pytest.MonkeyPatch):
    stores = [store_of() for _ in range(3)]
    for store in stores:
        await ended(store, *["poll"] * int(ENOUGH))
        await store.statistics.write()
    later = await stores[0].now() + 3 * GRACE
    turned = []
    for store in stores:
        monkeypatch.setattr(store.connection, "now", lambda: at(later))
        await store.statistics.read()
    for store in stores:
        written = await store.statistics.write()
        turned += [w for w in written if w.after.poll_first and not w.before.poll_first]
    assert [(w.source, w.after.lost_ever) for w in turned] == [("s", 3 * int(ENOUGH))]


async def at(time: float) -> float:
    return time


async def test_nothing_is_read_or_written_while_no_job_ends(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    await ended(store, "push")
    await store.statistics.write()
    await store.statistics.refresh()
    monkeypatch.setattr(store.connection, "ask", None)  # no call can be made
    assert await store.statistics.write() == []
    await store.statistics.refresh()


async def test_a_flood_of_jobs_is_bounded(store: Store):
    for _ in range(3):
        await ended(store, *["push"] * MAX_COLLECTED)
    await store.statistics.write()
    assert await total(store) == (MAX_COLLECTED, 0)


async def test_sources_that_are_long_gone_are_removed(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    await ended(store, "push", source="gone")
    await store.statistics.write()
    later = await store.now() + REMEMBERED + 1.0
    monkeypatch.setattr(store.connection, "now", lambda: at(later))
    await ended(store, "push", source="here")
    await store.statistics.write()
    assert list(await store.statistics.read()) == ["here"]
    assert await store.connection.redis.hkeys(STATISTICS) == [b"here"]


async def test_what_cannot_be_read_counts_as_nothing_and_is_replaced(store: Store):
    await store.connection.redis.hset(STATISTICS, "s", "?")
    await store.connection.redis.pexpire(STATISTICS, 1000)
    await ended(store, "push")
    await store.statistics.write()
    assert await total(store) == (1, 0)


async def test_a_key_of_another_type_stops_no_work(store: Store):
    await store.connection.redis.set(STATISTICS, "not ours")
    await store.statistics.refresh()
    await store.connection.redis.delete(STATISTICS)
