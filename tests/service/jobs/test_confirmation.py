"""Pushes that a poll must confirm, and what a poll says besides a status."""

import asyncio
import hmac
import json
import os
import time
from base64 import b64decode, b64encode
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from processor.config import load
from processor.errors import BadSignature, ConfigError
from processor.model import Push, State
from processor.service.jobs import query
from processor.service.jobs.watch import poll_now
from processor.service.jobs.watch_request import PollSettings

SLOW = PollSettings("1h")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # as conftest has it


def signed(body: dict[str, Any]) -> Push:
    """A push of the source `signed`."""
    raw = json.dumps(body).encode()
    mac = hmac.new(b"shh", raw, "sha256").hexdigest()
    return Push({"x-sign": mac, "content-type": "application/json"}, raw)


async def test_a_final_state_in_a_push_counts_once_a_poll_confirms_it(bench: Any, provider: Any):
    provider.says("1", status="succeeded", progress=1)
    await bench.watch("1", "hints", poll=SLOW)
    receipt = await bench.push("hints", id="1", status="succeeded", event="a")
    job = await bench.job("1", "hints")
    assert (receipt.accepted, job.state, job.status) == (1, State.QUEUED, "succeeded")
    assert job.flags == ("unconfirmed",)
    assert await bench.events() == []
    assert await bench.poll() == ["hints/1"]
    job = await bench.job("1", "hints")
    assert (job.state, job.flags) == (State.SUCCEEDED, ())
    assert [kind for _, kind in await bench.events()] == ["job.succeeded"]


async def test_a_forged_final_state_changes_nothing(bench: Any, provider: Any):
    provider.says("1", status="running")
    await bench.push("hints", id="1", status="failed", event="a")
    assert await bench.poll() == ["hints/1"]
    job = await bench.job("1", "hints")
    assert (job.state, job.error, bytes(job.result)) == (State.RUNNING, None, b"null")
    assert [kind for _, kind in await bench.events()] == ["job.started"]


async def test_a_push_does_not_reopen_a_job_unless_a_poll_confirms_the_rerun(
    bench: Any, provider: Any
):
    provider.says("1", status="succeeded", progress=1)
    await bench.watch("1", "reruns", poll=SLOW)
    await bench.push("reruns", id="1", status="succeeded", event="a", ended=100)
    assert await bench.poll() == ["reruns/1"]
    assert (await bench.job("1", "reruns")).state is State.SUCCEEDED
    await bench.push("reruns", id="1", status="running", event="b", ended=4_000_000_000)
    job = await bench.job("1", "reruns")
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)


async def test_a_retried_pipeline_that_only_pushes_report_completes_twice(bench: Any):
    ran = {"id": "1", "status": "failed", "event": "a", "ended": "2026-11-22 09:30:07 UTC"}
    await bench.push("again", **ran)
    await bench.push("again", **{**ran, "status": "running", "event": "b"})
    job = await bench.job("1", "again")
    assert (job.state, job.attempt) == (State.RUNNING, 2)
    done = {"status": "succeeded", "event": "c", "ended": "2026-11-22 10:12:00 UTC"}
    await bench.push("again", **{**ran, **done})
    await bench.push("again", **{**ran, "status": "running", "event": "late"})
    job = await bench.job("1", "again")
    assert (job.state, job.attempt) == (State.SUCCEEDED, 2)
    events = await bench.events()
    assert [kind for _, kind in events] == ["job.failed", "job.started", "job.succeeded"]
    assert len({event for event, _ in events}) == 3


@pytest.mark.parametrize("status", ["running", "failed", "succeeded"])
async def test_an_end_time_in_the_future_is_not_a_rerun(bench: Any, status: str):
    await bench.push("again", id="1", status="succeeded", event="a", ended=4_000_000_000)
    for event in ("b", "c"):
        await bench.push("again", id="1", status=status, event=event, ended=4_000_000_000)
    assert (await bench.job("1", "again")).attempt == 1
    assert len(await bench.events()) == 1


async def expired(bench: Any, wait_until: Any) -> None:
    """Ingest until the deadline of `hints/1` has passed."""

    async def provisional() -> bool:
        await bench.ingest()
        return bool((await bench.job("1", "hints")).provisional)

    await wait_until(provisional)


async def test_a_final_state_in_a_push_of_an_expired_job_waits_for_a_poll_too(
    bench: Any, provider: Any, wait_until: Any
):
    provider.says("1", status="succeeded")
    await bench.watch("1", "hints", poll=SLOW, deadline="1ms")
    await expired(bench, wait_until)
    await bench.push("hints", id="1", status="failed", event="a")
    assert (await bench.job("1", "hints")).state is State.EXPIRED
    assert await bench.poll() == ["hints/1"]
    assert (await bench.job("1", "hints")).state is State.SUCCEEDED


async def test_an_expired_job_is_polled_until_the_provider_confirms_a_push(
    bench: Any, provider: Any, polled: Any, wait_until: Any
):
    """The provider's status API may be a moment behind its webhook."""
    provider.says("1", status="running")
    await bench.watch("1", "hints", deadline="1ms")
    await expired(bench, wait_until)
    await bench.push("hints", id="1", status="succeeded")
    assert await bench.poll() == ["hints/1"]
    assert (await bench.job("1", "hints")).state is State.EXPIRED
    view = await query.view(bench.context, await query.find(bench.context, "hints", "1"))
    assert view["poll"].next_at is not None
    provider.says("1", status="succeeded")
    assert await polled(bench) == ["hints/1"]
    assert (await bench.job("1", "hints")).state is State.SUCCEEDED
    assert await bench.due("poll", "hints/1", "hints") is None


async def test_a_deadline_during_an_outage_does_not_end_a_confirmation(
    bench: Any, provider: Any, wait_until: Any
):
    provider.says("1", 502)
    await bench.watch("1", "hints", deadline="300ms")
    await bench.push("hints", id="1", status="succeeded")
    assert await bench.poll() == ["hints/1"]
    await expired(bench, wait_until)
    provider.says("1", status="succeeded")
    await bench.make_due("poll", "hints/1", "hints")
    assert await bench.poll() == ["hints/1"]
    assert (await bench.job("1", "hints")).state is State.SUCCEEDED


async def test_a_poll_that_fails_after_the_deadline_does_not_end_a_confirmation(
    bench: Any, provider: Any, wait_until: Any
):
    may_answer = asyncio.Event()
    provider.hold("1", may_answer)  # an answer without a status: a failure
    await bench.watch("1", "hints", deadline="300ms")
    await bench.push("hints", id="1", status="succeeded")
    poll = asyncio.create_task(bench.poll())
    await wait_until(lambda: provider.asked)
    await expired(bench, wait_until)
    may_answer.set()
    assert await poll == ["hints/1"]
    job = await bench.job("1", "hints")
    assert job.failed_polls
    assert job.failed_polls.count == 1
    assert await bench.due("poll", "hints/1", "hints") is not None


async def test_a_job_with_polls_disabled_is_polled_until_the_provider_confirms_a_push(
    bench: Any, provider: Any, polled: Any
):
    provider.says("1", status="running")
    await bench.watch("1", "hints", poll=False)
    await bench.push("hints", id="1", status="succeeded")
    assert await bench.poll() == ["hints/1"]
    assert (await bench.job("1", "hints")).state is State.RUNNING
    provider.says("1", status="succeeded")
    assert await polled(bench) == ["hints/1"]
    assert (await bench.job("1", "hints")).state is State.SUCCEEDED


async def test_a_repeated_put_with_polls_disabled_keeps_the_poll_that_confirms_a_push(
    bench: Any, provider: Any
):
    provider.says("1", status="succeeded")
    await bench.watch("1", "hints", poll=False)
    await bench.push("hints", id="1", status="succeeded")
    await bench.watch("1", "hints", poll=False)
    assert await bench.poll() == ["hints/1"]
    assert (await bench.job("1", "hints")).state is State.SUCCEEDED


async def test_the_result_in_a_signed_push_is_added_to_the_poll_that_confirms_it(
    bench: Any, provider: Any
):
    provider.says("1", status="failed")
    await bench.take("signed", signed({"id": "1", "status": "failed", "note": "no codec"}))
    assert (await bench.job("1", "signed")).error is None
    await bench.poll()
    job = await bench.job("1", "signed")
    assert (job.state, job.unconfirmed) == (State.FAILED, None)
    assert job.error
    assert job.error.message == "no codec"


async def test_the_result_in_an_unsigned_push_is_never_published(bench: Any, provider: Any):
    provider.says("1", status="failed")
    await bench.push("hints", id="1", status="failed", note="forged", alias="other")
    await bench.poll()
    job = await bench.job("1", "hints")
    assert (job.state, job.error, job.aliases) == (State.FAILED, None, ())


@pytest.mark.parametrize("attempt", [2, 2_000_000_000])
async def test_a_forged_attempt_does_not_reopen_a_job(bench: Any, provider: Any, attempt: int):
    provider.says("1", status="succeeded", attempt=1)
    await bench.push("numbered", id="1", status="succeeded", attempt=1)
    await bench.poll()
    await bench.push("numbered", id="1", status="failed", attempt=attempt, event="b")
    await bench.poll()
    job = await bench.job("1", "numbered")
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)
    assert [kind for _, kind in await bench.events()] == ["job.succeeded"]


async def test_a_rerun_that_a_poll_confirms_is_one_rerun(
    bench: Any, provider: Any, wait_until: Any
):
    provider.says("1", status="succeeded", attempt=1)
    await bench.push("numbered", id="1", status="succeeded", attempt=1)
    await bench.poll()
    provider.says("1", status="failed", attempt=2)
    numbers = count()

    async def run_again() -> bool:
        """An unconfirmed push causes a poll at most once a second."""
        await bench.push("numbered", id="1", status="failed", attempt=2, event=str(next(numbers)))
        await bench.poll()
        return bool((await bench.job("1", "numbered")).attempt == 2)

    await wait_until(run_again)
    assert (await bench.job("1", "numbered")).state is State.FAILED


async def test_many_pushes_cause_one_poll(bench: Any, provider: Any):
    provider.says("1", status="running")
    for number in range(10):
        await bench.push("hints", id="1", status="succeeded", event=str(number))
    assert await bench.poll() == ["hints/1"]
    assert provider.asked == ["1"]


async def test_a_push_does_not_poll_before_the_providers_retry_after(bench: Any, provider: Any):
    provider.says("1", status="running", headers={"Retry-After": "600"})
    await bench.watch("1", "hints")
    await poll_now(bench.context, "hints", "1")
    assert await bench.poll() == ["hints/1"]
    await bench.push("hints", id="1", status="succeeded")
    wait = await bench.due("poll", "hints/1", "hints") - await bench.store.now()
    assert wait == pytest.approx(600, abs=5)


async def test_the_result_in_a_push_with_another_final_state_is_not_used(bench: Any, provider: Any):
    provider.says("1", status="succeeded")
    await bench.take("signed", signed({"id": "1", "status": "failed", "note": "no codec"}))
    await bench.poll()
    job = await bench.job("1", "signed")
    assert (job.state, job.error, job.unconfirmed) == (State.SUCCEEDED, None, None)


async def test_a_final_state_in_a_signed_push_counts_if_the_provider_no_longer_has_the_job(
    bench: Any, provider: Any
):
    """The provider deleted the job before we could poll it."""
    push = signed({"id": "1", "status": "succeeded"})
    await bench.take("signed", push)
    await bench.poll()
    job = await bench.job("1", "signed")
    assert (job.state, job.status, job.flags) == (State.SUCCEEDED, "succeeded", ("unconfirmed",))


async def test_a_final_state_in_an_unsigned_push_of_an_unknown_job_does_not_count(
    bench: Any, provider: Any
):
    await bench.push("forgetful", id="1", status="succeeded")
    assert await bench.poll() == ["forgetful/1"]
    job = await bench.job("1", "forgetful")
    assert (job.state, job.unconfirmed, job.seen) == (State.QUEUED, None, False)
    assert await bench.due("poll", "forgetful/1", "forgetful") is not None


async def test_progress_in_a_push_counts_without_a_poll(bench: Any):
    await bench.watch("1", "hints", poll=SLOW)
    await bench.push("hints", id="1", status="running", event="a")
    assert (await bench.job("1", "hints")).state is State.RUNNING
    assert await bench.poll() == []


async def test_a_push_counts_by_itself_if_the_source_cannot_be_polled(bench: Any):
    await bench.push("deaf", id="1", status="succeeded")
    assert (await bench.job("1", "deaf")).state is State.SUCCEEDED


def test_trust_refetch_for_a_source_that_cannot_be_polled_is_a_config_error(tmp_path: Any):
    file = tmp_path / "ringback.toml"
    file.write_text('[sources.a]\nprovider = "cloudinary"\ntrust = "refetch"\n')
    with pytest.raises(ConfigError, match=r'sources.a.trust: "refetch" needs polls: cloudinary'):
        load(file, {})


async def test_a_push_of_a_finished_job_that_may_run_again_causes_a_poll(bench: Any, provider: Any):
    provider.says("1", status="running")
    await bench.push("cautious", id="1", status="succeeded", event="a")
    await bench.push("cautious", id="1", status="running", event="b")
    assert (await bench.job("1", "cautious")).state is State.SUCCEEDED
    assert await bench.poll() == ["cautious/1"]
    job = await bench.job("1", "cautious")
    assert (job.state, job.attempt) == (State.RUNNING, 2)
    assert await bench.due("poll", "cautious/1", "cautious") is not None


async def test_a_poll_sends_the_etag_and_a_304_stands_for_the_last_answer(
    bench: Any, provider: Any, polled: Any
):
    provider.says("1", status="running", progress=0.5, headers={"ETag": '"one"'})
    await bench.watch("1", "cautious")
    assert await polled(bench) == ["cautious/1"]
    assert "if-none-match" not in provider.headers[0]
    provider.says("1", 304)
    assert await polled(bench) == ["cautious/1"]
    assert provider.headers[1]["if-none-match"] == '"one"'
    job = await bench.job("1", "cautious")
    assert (job.state, job.progress) == (State.RUNNING, 0.5)
    provider.says("1", status="succeeded", headers={"ETag": '"two"'})
    assert await polled(bench) == ["cautious/1"]
    assert provider.headers[2]["if-none-match"] == '"one"'
    assert (await bench.job("1", "cautious")).state is State.SUCCEEDED


async def test_a_304_to_an_unconditional_poll_is_a_failure(bench: Any, provider: Any, polled: Any):
    provider.says("1", 304)
    await bench.watch("1", "cautious")
    assert await polled(bench) == ["cautious/1"]
    assert not (await bench.job("1", "cautious")).seen


async def test_retry_after_of_a_good_answer_postpones_the_next_poll(
    bench: Any, provider: Any, polled: Any
):
    provider.says("1", status="running", headers={"Retry-After": "600"})
    await bench.watch("1")
    assert await polled(bench) == ["lab/1"]
    wait = await bench.due("poll", "lab/1") - await bench.store.now()
    assert wait == pytest.approx(600, abs=5)


async def test_params_in_a_push_are_used_by_its_polls(bench: Any, provider: Any):
    """The first value counts: a later push cannot redirect the polls."""
    await bench.push("placed", id="1", status="running", repo="a/b")
    await bench.push("placed", id="1", status="running", repo="c/d", event="2")
    assert (await bench.job("1", "placed")).params == {"repo": "a/b"}
    await poll_now(bench.context, "placed", "1")
    provider.says("a/b/1", id="1", status="succeeded")
    assert await bench.poll() == ["placed/1"]
    assert provider.asked == ["a/b/1"]
    assert (await bench.job("1", "placed")).state is State.SUCCEEDED


async def test_a_token_in_a_file_is_renewed_without_a_restart(
    bench: Any, provider: Any, polled: Any, tmp_path: Any
):
    provider.says("1", status="running")
    await bench.watch("1", "renewed")
    for token in ("first", "second", ""):
        (tmp_path / "token").write_text(f"{token}\n")
        os.utime(tmp_path / "token", ns=(time.time_ns(), time.time_ns()))
        assert await polled(bench) == ["renewed/1"]
    (tmp_path / "token").unlink()
    assert await polled(bench) == ["renewed/1"]
    sent = [headers["authorization"].removeprefix("Bearer ") for headers in provider.headers]
    assert sent == ["first", "second", "second", "second"]


@pytest.mark.parametrize("attributes", [{}, {"id": 7}, {"id": [7], "status": "running"}, None])
async def test_a_genuine_push_of_gitlab_is_never_refused(bench: Any, attributes: Any):
    body = json.dumps({"object_kind": "pipeline", "object_attributes": attributes}).encode()
    for push in (Push({"x-gitlab-token": "a token"}, body), Push(signing_token(body), body)):
        receipt = await bench.take("gitlab", push)
        assert (receipt.accepted, receipt.unreadable) == (0, 1)
    with pytest.raises(BadSignature):
        await bench.take("gitlab", Push({"x-gitlab-token": "another"}, body))


def signing_token(body: bytes) -> dict[str, str]:
    """The headers of a hook with a signing token."""
    at = str(int(time.time()))
    mac = hmac.new(b64decode(SECRET[6:]), f"msg_1.{at}.".encode() + body, "sha256").digest()
    signature = f"v1,{b64encode(mac).decode()}"
    return {"webhook-id": "msg_1", "webhook-timestamp": at, "webhook-signature": signature}


@pytest.mark.parametrize(
    ("provider", "token", "blind"),
    [("runpod", None, True), ("runpod", "t", False), ("gitlab", None, False), ("mux", None, False)],
)
def test_a_source_that_cannot_see_reruns_says_what_is_missing(
    tmp_path: Path, provider: str, token: str | None, *, blind: bool
):
    lines = [f'[sources.a]\nprovider = "{provider}"\nwebhook_secret = "s"']
    lines += [f'token = "{token}"'] if token else []
    (tmp_path / "ringback.toml").write_text("\n".join(lines) + "\n")
    why = load(tmp_path / "ringback.toml", {}).sources["a"].why_reruns_unseen
    assert bool(why) is blind
    assert not blind or "set `token`" in str(why)
