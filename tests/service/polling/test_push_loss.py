"""How the end of a job became known: by its push, by a poll, or by a poll before its push."""

import itertools
from typing import Any

import pytest
import structlog

from processor import push_loss, schedule
from processor.push_loss import Period
from processor.service.jobs.watch import poll_now
from processor.service.polling.statistics import write_statistics
from processor.source_statistics import NO_STATISTICS


class Ends:
    """Jobs of a bench, which end by a push or by a poll."""

    def __init__(self, bench: Any, provider: Any, polled: Any) -> None:
        self.bench, self.provider, self._polled = bench, provider, polled
        self._numbers = itertools.count()

    async def watch(self, job: str, source: str = "lab") -> None:
        await self.bench.watch(job, source)

    async def push(
        self, job: str, source: str = "lab", status: str = "succeeded", **more: Any
    ) -> None:
        event = f"evt-{next(self._numbers)}"
        await self.bench.push(source, id=job, status=status, event=event, **more)

    async def poll(
        self, job: str, source: str = "lab", status: str = "succeeded", code: int = 200
    ) -> None:
        self.provider.says(job, code, status=status)
        while f"{source}/{job}" not in await self._polled(self.bench):
            pass

    async def counted(self, source: str = "lab") -> tuple[int, int]:
        """How many jobs have had their push, and how many miss it."""
        await write_statistics(self.bench.context)
        found = await self.bench.store.statistics.read()
        period: Period = found.get(source, NO_STATISTICS).push_loss.present
        return period.arrived, period.missing


@pytest.fixture
def ends(bench: Any, provider: Any, polled: Any) -> Ends:
    return Ends(bench, provider, polled)


async def test_a_push_that_ends_a_job_has_come(ends: Ends):
    await ends.watch("1")
    await ends.push("1")
    assert await ends.counted() == (1, 0)


async def test_a_poll_that_ends_a_job_misses_its_push_until_it_comes(ends: Ends):
    await ends.watch("1")
    await ends.poll("1")
    assert await ends.counted() == (0, 1)
    await ends.push("1", status="running")  # not the final one
    assert await ends.counted() == (0, 1)
    await ends.push("1")
    assert await ends.counted() == (1, 0)
    await ends.push("1")  # once more, as another push
    assert await ends.counted() == (1, 0)
    assert not (await ends.bench.job("1")).push_missing


async def test_a_push_that_a_poll_confirms_has_come(ends: Ends):
    await ends.watch("1", "hints")
    await ends.push("1", "hints")
    await ends.poll("1", "hints")
    assert await ends.counted("hints") == (1, 0)


async def test_every_run_of_a_job_counts(ends: Ends):
    await ends.watch("1")
    await ends.poll("1")
    await ends.push("1", status="running", attempt=2)
    await ends.poll("1")
    assert await ends.counted() == (0, 2)
    await ends.push("1", attempt=2)
    assert await ends.counted() == (1, 1)


async def test_a_job_that_the_provider_dropped_shows_nothing(ends: Ends):
    await ends.watch("1", "dropper")
    await ends.poll("1", "dropper", status="running")
    await ends.poll("1", "dropper", code=404)
    await ends.bench.fail_longer("1", "dropper", schedule.GONE_AFTER)
    await poll_now(ends.bench.context, "dropper", "1")
    await ends.poll("1", "dropper", code=404)
    assert (await ends.bench.job("1", "dropper")).state == "expired"
    assert await ends.counted("dropper") == (0, 0)


async def test_a_job_that_was_not_known_before_its_end_shows_nothing(ends: Ends):
    await ends.push("1")
    assert await ends.counted() == (0, 0)


async def test_a_job_without_polls_shows_nothing(ends: Ends):
    await ends.bench.watch("1", poll=False)
    await ends.push("1")
    assert await ends.counted() == (0, 0)


async def test_a_turn_is_logged_once(ends: Ends, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(push_loss, "GRACE", -1.0)  # every period is over at once
    monkeypatch.setattr(push_loss, "ENOUGH", 2.0)
    with structlog.testing.capture_logs() as lines:
        for job in "123":
            await ends.watch(job)
            await ends.poll(job)
        for _ in range(3):
            await write_statistics(ends.bench.context)
    assert [(line["event"], line["log_level"], line["source"]) for line in lines] == [
        ("source_poll_first", "warning", "lab")
    ]
    assert (
        ends.bench.context.metrics.registry.get_sample_value(
            "ringback_pushes_lost_total", {"source": "lab"}
        )
        == 3
    )
