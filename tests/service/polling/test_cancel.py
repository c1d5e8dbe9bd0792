"""At its deadline a job expires at once, and its provider is asked once to cancel it."""

from typing import Any

import pytest

from processor.model import State
from processor.provider import parse_profile
from processor.service.jobs import query
from processor.service.polling.cancel import MAX_SENT
from processor.service.polling.run import run

LATE = "50ms"


async def expire(bench: Any, wait_until: Any, source: str = "giver", **request: Any) -> None:
    """Watch a job, which is not polled, until its deadline has passed."""
    await bench.watch("1", source, deadline=LATE, poll=False, **request)

    async def expired() -> bool:
        await bench.ingest()
        return (await bench.job("1", source)).state is State.EXPIRED

    await wait_until(expired)


async def notes(bench: Any, source: str = "giver") -> list[tuple[str, str, str]]:
    """What the history says of the cancel call."""
    lines = await query.history(bench.context, source, "1")
    return [
        (line["origin"], line["ignored"], line["status"])
        for line in lines
        if line.get("ignored", "").startswith("cancel")
    ]


async def test_the_call_is_made_once_and_the_event_does_not_wait_for_it(
    bench: Any, provider: Any, wait_until: Any
):
    await expire(bench, wait_until)
    assert [kind for _, kind in await bench.events()] == ["job.expired"]
    assert provider.canceled == []
    for _ in range(3):
        await bench.poll()
    assert provider.canceled == ["1"]
    assert await notes(bench) == [("deadline", "cancel_sent", "cancel_sent")]
    assert (await bench.store.backlogs.depth("poll"))[0] == 0


async def test_a_worker_that_cannot_call_the_provider_leaves_it_to_others(
    bench: Any, bench_of: Any, provider: Any, wait_until: Any
):
    """Such as one with the file of before a reload."""
    await expire(bench, wait_until)
    other = await bench_of()
    vars(other.context.settings.sources["giver"])["_polls"] = {}
    assert await other.poll() == ["cancel:giver/1"]
    assert (provider.canceled, await notes(bench)) == ([], [])
    await bench.make_due("poll", "cancel:giver/1", "giver")
    await bench.poll()
    assert provider.canceled == ["1"]


async def test_its_failure_is_in_the_history(bench: Any, provider: Any, wait_until: Any):
    provider.cancel_status = 409
    await expire(bench, wait_until)
    await bench.poll()
    await bench.poll()
    assert provider.canceled == ["1"]
    assert await notes(bench) == [("deadline", "cancel_failed", "HTTP 409: no more of this")]
    assert (await bench.job("1", "giver")).state is State.EXPIRED


async def test_a_call_answered_429_is_sent_again_after_retry_after(
    bench: Any, provider: Any, wait_until: Any
):
    provider.cancel_status, provider.cancel_headers = 429, {"Retry-After": "3"}
    await expire(bench, wait_until)
    await bench.poll()
    assert await bench.poll() == []
    assert (provider.canceled, await notes(bench)) == (["1"], [])
    provider.cancel_status = 200
    await wait_until(bench.poll)
    assert provider.canceled == ["1", "1"]
    assert [word for _, word, _ in await notes(bench)] == ["cancel_sent"]


async def test_a_call_that_is_always_answered_429_ends(bench: Any, provider: Any, wait_until: Any):
    provider.cancel_status = 429
    await expire(bench, wait_until)
    redis = bench.store.connection.redis
    for _ in range(MAX_SENT + 1):
        await bench.poll()
        for key in await redis.keys("*bucket:*") + await redis.keys("*paused:poll"):
            await redis.delete(key)
        await redis.zadd(bench.store.shards[0].lanes["poll"], {"giver": 1}, xx=True)
    assert len(provider.canceled) == MAX_SENT
    assert await notes(bench) == [("deadline", "cancel_failed", "HTTP 429: no more of this")]


async def test_a_source_without_the_setting_cancels_nothing(
    bench: Any, provider: Any, wait_until: Any
):
    await expire(bench, wait_until, "lab")
    await bench.poll()
    assert provider.canceled == []


async def test_a_job_that_ended_by_its_providers_word_is_not_canceled(
    bench: Any, provider: Any, wait_until: Any
):
    await expire(bench, wait_until)
    await bench.push("giver", id="1", status="succeeded")
    await bench.poll()
    assert provider.canceled == []
    assert (await bench.store.backlogs.depth("poll"))[0] == 0


async def test_the_call_of_an_attempt_does_not_cancel_the_next_one(
    bench: Any, provider: Any, wait_until: Any
):
    await expire(bench, wait_until)
    await bench.push("giver", id="1", status="running", attempt=2)
    await bench.make_due("ingest", "deadline:giver/1", "giver", "1")
    await wait_until(bench.poll)
    assert provider.canceled == []


async def test_a_killed_worker_does_not_lose_the_call(bench: Any, provider: Any, wait_until: Any):
    await expire(bench, wait_until)
    keys = bench.store.shard("giver", "1")
    (claim,) = await bench.claim(keys, "poll")  # and its worker is gone
    assert await bench.poll() == []
    redis = bench.store.connection.redis
    await redis.zadd(keys.claimed("poll", "giver"), {claim.item: 1})
    await redis.zadd(keys.lanes["poll"], {"giver": 1})
    assert await bench.poll() == [claim.item]
    assert provider.canceled == ["1"]


async def test_it_is_noted_though_the_job_changes_meanwhile(
    bench: Any, provider: Any, wait_until: Any
):
    await expire(bench, wait_until)
    (claim,) = await bench.claim(bench.store.shard("giver", "1"), "poll")
    await bench.watch("1", "giver", metadata={"a": 1})
    await run(bench.context, claim)
    assert len(await notes(bench)) == 1


async def test_a_deleted_job_is_not_canceled(bench: Any, provider: Any, wait_until: Any):
    await expire(bench, wait_until)
    keys = bench.store.shard("giver", "1")
    (found,) = await bench.store.jobs.read(keys, ["giver/1"])
    assert await bench.store.jobs.delete(keys, found.job, found.version)
    await bench.poll()
    assert provider.canceled == []


@pytest.mark.parametrize(
    ("cancel", "says"),
    [
        ("GET /jobs/{id}/cancel", "cancels nothing; write `POST /jobs/{id}/cancel`"),
        ("POST jobs", "cancels nothing"),
        ("POST /{team}/{id}", "`{team}` is not in `request`"),
    ],
)
def test_a_call_that_could_not_work_is_refused(cancel: str, says: str):
    text = f"""
[poll]
request = "GET /jobs/{{id}}"
cancel = "{cancel}"
status = "/s"
every = ["1s", "2s"]
[states]
done = "succeeded"
"""
    with pytest.raises(Exception, match="cancel") as raised:
        parse_profile.parse("acme", text)
    assert says in str(raised.value)
