"""What is measured: how late polls begin, and how long after the end of a job its event comes."""

from typing import Any

import pytest

from processor.payload import utc


def measured(bench: Any, metric: str, **labels: str) -> tuple[int, float]:
    """How many were observed, and their sum in seconds."""
    found = bench.context.metrics.registry.get_sample_value
    name = f"ringback_{metric}_seconds"
    return int(found(f"{name}_count", labels) or 0), found(f"{name}_sum", labels) or 0.0


async def test_a_push_is_late_by_the_time_that_it_names(bench: Any) -> None:
    ended = await bench.store.now() - 100
    await bench.push(id="1", status="succeeded", time=str(utc(ended)))
    count, seconds = measured(bench, "detection_delay", source="lab", origin="push")
    assert count == 1
    assert 100 <= seconds < 110


async def test_a_push_without_a_time_is_measured_from_its_arrival(bench: Any) -> None:
    await bench.push(id="1", status="running")
    await bench.push(id="1", status="succeeded")
    await bench.push(id="1", status="succeeded", event="again")
    count, seconds = measured(bench, "detection_delay", source="lab", origin="push")
    assert count == 1
    assert 0 <= seconds < 10


@pytest.mark.parametrize("source", ["lab", "hints"])
async def test_a_poll_without_a_time_does_not_know_when_the_job_ended(
    bench: Any, provider: Any, polled: Any, source: str
) -> None:
    provider.says("1", status="succeeded")
    await bench.watch("1", source)
    while await bench.store.backlogs.depth("poll") != (0, 0.0):
        await polled(bench)
    assert measured(bench, "detection_delay", source=source, origin="poll") == (0, 0.0)


async def test_a_poll_that_was_due_is_late(bench: Any, provider: Any, polled: Any) -> None:
    provider.says("1", status="running")
    await bench.watch("1")
    while not await polled(bench):
        pass
    count, seconds = measured(bench, "poll_lateness", source="lab")
    assert count == 1
    assert 0 <= seconds < 10
