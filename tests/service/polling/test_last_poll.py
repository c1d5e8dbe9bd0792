"""A job that expires by our deadline is polled once more: its polls may have been paused before."""

from typing import Any

import pytest

from processor.model import State
from processor.service.jobs import query
from processor.service.jobs.watch import poll_now
from processor.service.polling import postpone

SOON = "100ms"
NO_END: list[tuple[int, dict[str, str]]] = [
    (200, {"status": "running"}),
    (502, {}),
    (404, {}),
    (200, {}),
]


@pytest.fixture
def expire(bench: Any, wait_until: Any) -> Any:
    """Ingest until a job has expired by its deadline."""

    async def until_expired(job: str = "1", source: str = "lab") -> None:
        async def provisional() -> bool:
            await bench.ingest()
            return bool((await bench.job(job, source)).provisional)

        await wait_until(provisional)

    return until_expired


async def resume(bench: Any, source: str = "lab") -> None:
    """End the pause of a source, and have its poll be due."""
    redis = bench.store.connection.redis
    await redis.delete(bench.store.shards[0].paused["poll"], *await redis.keys("*bucket:*"))
    await bench.make_due("poll", f"{source}/1", source)


@pytest.mark.parametrize("code", [401, 403, 429])
async def test_a_job_that_ended_while_its_source_was_paused_is_found_after_its_deadline(
    bench: Any, provider: Any, expire: Any, code: int
):
    provider.says("1", code)
    await bench.watch("1", deadline=SOON)
    await poll_now(bench.context, "lab", "1")
    await bench.poll()
    await expire()
    await resume(bench)
    assert await bench.poll() == ["lab/1"]  # and the source is paused again
    provider.says("1", status="succeeded")
    await resume(bench)
    assert await bench.poll() == ["lab/1"]
    assert (await bench.job("1")).state is State.SUCCEEDED
    assert [kind for _, kind in await bench.events()] == ["job.expired", "job.succeeded"]


async def test_a_job_that_ended_while_no_worker_polled_is_found_after_its_deadline(
    bench: Any, provider: Any, expire: Any, polled: Any
):
    provider.says("1", status="succeeded")
    await bench.watch("1", deadline=SOON)
    await expire()
    assert await polled(bench) == ["lab/1"]
    assert (await bench.job("1")).state is State.SUCCEEDED


@pytest.mark.parametrize("answer", NO_END)
async def test_a_last_poll_that_finds_no_end_is_not_repeated(
    bench: Any, provider: Any, expire: Any, polled: Any, answer: tuple[int, dict[str, str]]
):
    provider.says("1", answer[0], **answer[1])
    await bench.watch("1", deadline=SOON)
    await expire()
    assert await polled(bench) == ["lab/1"]
    assert (await bench.job("1")).provisional
    assert await bench.due("poll", "lab/1") is None
    view = await query.view(bench.context, await query.find(bench.context, "lab", "1"))
    assert view["poll"] is None


@pytest.mark.parametrize(("code", "headers"), [(403, {}), (403, {"Retry-After": "60"}), (429, {})])
async def test_a_last_poll_that_is_always_refused_is_given_up_a_day_after_the_deadline(  # noqa: PLR0917 - fixtures
    bench: Any,
    provider: Any,
    expire: Any,
    polled: Any,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    headers: dict[str, str],
):
    """The provider may refuse this job only, and each refusal pauses its source."""
    provider.says("1", code, headers=headers)
    await bench.watch("1", deadline=SOON)
    await expire()
    assert await polled(bench) == ["lab/1"]
    assert await bench.due("poll", "lab/1") is not None
    await resume(bench)
    monkeypatch.setattr(postpone, "LAST_POLL_REPEATED", 0.0)  # the day is over
    assert await bench.poll() == ["lab/1"]
    assert await bench.due("poll", "lab/1") is None


@pytest.mark.parametrize("answer", NO_END)
async def test_a_later_deadline_has_an_expired_job_polled_on(
    bench: Any, provider: Any, expire: Any, polled: Any, answer: tuple[int, dict[str, str]]
):
    provider.says("1", answer[0], **answer[1])
    await bench.watch("1", deadline=SOON)
    await expire()
    assert await polled(bench) == ["lab/1"]
    await bench.watch("1", deadline="1h")
    for _ in range(2):
        assert await polled(bench) == ["lab/1"]
    assert await bench.due("poll", "lab/1") is not None
    assert await bench.due("ingest", "deadline:lab/1") is None
    provider.says("1", status="succeeded")
    await bench.make_due("poll", "lab/1")
    assert await polled(bench) == ["lab/1"]
    assert [kind for _, kind in await bench.events()] == ["job.expired", "job.succeeded"]


async def test_after_the_later_deadline_an_expired_job_is_not_polled_any_more(
    bench: Any, provider: Any, expire: Any, polled: Any
):
    provider.says("1", status="running")
    await bench.watch("1", deadline=SOON)
    await expire()
    assert await polled(bench) == ["lab/1"]
    later = await bench.store.now() - (await bench.job("1")).created_at + 0.2
    await bench.watch("1", deadline=f"{later:.3f}s")
    while await bench.due("poll", "lab/1") is not None:
        await polled(bench)
    assert await bench.store.now() >= (await bench.job("1")).deadline_at
    await bench.ingest()
    assert [kind for _, kind in await bench.events()] == ["job.expired"]


@pytest.mark.parametrize("request_", [{"poll": False}, {"deadline": "50ms"}, {"deadline": SOON}])
async def test_without_polls_or_a_later_deadline_an_expired_job_is_not_polled(
    bench: Any, provider: Any, expire: Any, polled: Any, request_: dict[str, Any]
):
    provider.says("1", status="running")
    await bench.watch("1", deadline=SOON)
    await expire()
    assert await polled(bench) == ["lab/1"]
    await bench.watch("1", **({"deadline": "1h"} | request_))
    assert await bench.due("poll", "lab/1") is None
