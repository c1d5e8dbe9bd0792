"""A source whose token comes from a command: polled with it, renewed after a 401, stalled by a failure;
and its mirror, whose answers are refreshed by workers.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from processor.config.redaction import redact
from processor.errors import ProviderError
from processor.model import State
from processor.service.events.tail import Tailer
from processor.service.jobs import query
from processor.service.jobs.watch import poll_now
from processor.service.polling import mirror_poll
from processor.service.polling.cancel import MAX_SENT
from processor.service.polling.mirror import Mirror, Reader
from processor.store.planned_poll import FOR_MIRROR, SoonerPoll
from processor.store.work_items import NOW, WorkItem
from processor.tokens import CommandToken
from processor.tokens.command_token import RERUN_PAUSE

from .test_cancel import expire, notes

HUSH = "hush-hush"
WAIT = {"Retry-After": "60"}


class TokenCommand:
    """The command of the source `commanded`; it appends a line to a file each time that it runs."""

    def __init__(self, folder: Path) -> None:
        """Print the first token."""
        self._path, self._runs = folder / "print-token", folder / "runs"
        self.prints(f"{HUSH}-1")

    def prints(self, text: str, then: str = "") -> None:
        """Print this from now on, then do more."""
        note = f"open({str(self._runs)!r}, 'a').write('run\\n')"
        self._path.write_text(
            f"#!{sys.executable} -IS\nimport sys\n{note}\nprint({text!r})\n{then}\n"
        )
        self._path.chmod(0o755)

    @property
    def runs(self) -> int:
        """How often it has run."""
        return len(self._runs.read_text().splitlines()) if self._runs.exists() else 0


@pytest.fixture
def token_command(tmp_path: Path) -> TokenCommand:
    return TokenCommand(tmp_path)


@pytest.fixture
def later(bench: Any) -> Callable[[], None]:
    """Makes the time at which the commands ran a minute earlier."""
    sources = [bench.context.settings.sources[name] for name in ("commanded", "costly")]

    def pass_a_minute() -> None:
        for source in sources:
            assert isinstance(source.token, CommandToken)
            source.token._ran_at -= RERUN_PAUSE

    return pass_a_minute


async def watch_and_poll(bench: Any, *jobs: str) -> None:
    """Watch jobs, and poll all of them at once."""
    for job in jobs:
        await bench.watch(job, "commanded")
        await poll_now(bench.context, "commanded", job)
    assert await bench.poll_at_once() == [f"commanded/{job}" for job in jobs]


async def test_polls_at_once_use_the_token_of_one_run(
    bench: Any, provider: Any, token_command: TokenCommand
):
    for job in "12":
        provider.says(job, status="running")
    await watch_and_poll(bench, "1", "2")
    assert [sent["authorization"] for sent in provider.headers] == [f"Bearer {HUSH}-1"] * 2
    assert token_command.runs == 1


async def test_a_401_renews_the_token_and_the_job_is_polled_again_at_once(
    bench: Any, provider: Any, token_command: TokenCommand, polled: Any, later: Callable[[], None]
):
    provider.says("1", status="running")
    await watch_and_poll(bench, "1")
    token_command.prints(f"{HUSH}-2")
    provider.wants(f"Bearer {HUSH}-2")
    later()
    await poll_now(bench.context, "commanded", "1")
    with capture_logs() as logs:
        assert await polled(bench) == ["commanded/1"]  # refused
        assert await polled(bench) == ["commanded/1"]  # due at once
    assert provider.headers[-1]["authorization"] == f"Bearer {HUSH}-2"
    assert [entry["kind"] for entry in logs if entry["event"] == "poll_failed"] == ["outdated"]
    assert await bench.store.stalled_sources.read() == {}
    assert (await bench.job("1", "commanded")).state is State.RUNNING
    assert token_command.runs == 2


async def test_a_401_within_a_minute_of_a_run_stalls_the_source(
    bench: Any, provider: Any, token_command: TokenCommand
):
    provider.wants("Bearer another")
    await watch_and_poll(bench, "1")
    assert "HTTP 401" in (await bench.store.stalled_sources.read())["commanded"]
    await poll_now(bench.context, "commanded", "1")
    assert await bench.poll() == []  # the source is paused
    assert token_command.runs == 1


async def test_a_failed_command_stalls_its_source_and_a_good_poll_ends_that(
    bench: Any, provider: Any, token_command: TokenCommand
):
    provider.says("1", status="running")
    token_command.prints(HUSH, "print('please log in', file=sys.stderr)\nsys.exit(3)")
    with capture_logs() as logs:
        await watch_and_poll(bench, "1")
    stalled = (await bench.store.stalled_sources.read())["commanded"]
    assert "sources.commanded.token: " in stalled
    assert stalled.endswith("/print-token: it ended with exit code 3: please log in")
    assert HUSH not in json.dumps([stalled, logs], default=str)
    assert provider.asked == []
    token_command.prints(HUSH)
    await bench.store.connection.redis.delete(bench.store.shards[0].paused["poll"])
    await poll_now(bench.context, "commanded", "1")
    assert await bench.poll() == ["commanded/1"]
    assert await bench.store.stalled_sources.read() == {}


async def test_an_answer_that_repeats_the_token_or_the_one_before_is_redacted(
    bench: Any, provider: Any, token_command: TokenCommand
):
    source = bench.context.settings.sources["commanded"]
    assert redact(source, HUSH) == HUSH  # it has not run
    assert token_command.runs == 0
    provider.wants("Bearer another", says=f"who is {HUSH}-1?")
    with capture_logs() as logs:
        await watch_and_poll(bench, "1")
    shown = json.dumps([await bench.store.stalled_sources.read(), logs], default=str)
    assert "who is ********?" in shown
    assert HUSH not in shown


async def test_watching_checking_and_showing_run_nothing(bench: Any, token_command: TokenCommand):
    await bench.watch("1", "commanded")
    source = bench.context.settings.sources["commanded"]
    assert source.pollable
    assert b"print-token" in source.credential
    shown = bench.context.settings.masked()["sources"]["commanded"]
    assert shown["token"] == "********"
    assert token_command.runs == 0


async def test_a_poll_that_is_given_up_leaves_the_run_to_the_others(
    bench: Any, provider: Any, token_command: TokenCommand
):
    source = bench.context.settings.sources["commanded"]
    first, second = (asyncio.create_task(source.account_now()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).token == f"{HUSH}-1"
    assert token_command.runs == 1


# --- its mirror -----------------------------------------------------------------------------


@pytest.fixture
def read(bench: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Read job `1` at the mirror while a worker polls what is due: the provider's status."""
    monkeypatch.setattr(mirror_poll, "POLL_TIMEOUT", 60.0)
    source = bench.context.settings.sources["commanded"]
    mirror = Mirror(bench.context, Tailer(bench.store))

    async def status(*, final: bool = False) -> str:
        call = mirror.read_final if final else mirror.read
        reading = asyncio.create_task(call(source, "1", Reader(has_key=True)))

        async def answered() -> bool:
            await bench.poll()
            return reading.done()

        await wait_until(answered, 30)
        return str(json.loads((await reading).answer.body)["status"])

    return status


async def ended_by_push(bench: Any, provider: Any) -> None:
    """Have a job polled, then ended by a push."""
    provider.says("1", status="running")
    await watch_and_poll(bench, "1")
    await bench.push("commanded", id="1", status="succeeded")
    assert (await bench.job("1", "commanded")).state is State.SUCCEEDED
    assert await waiting(bench) == 0


async def waiting(bench: Any) -> int:
    """How many polls wait."""
    return int((await bench.store.backlogs.depth("poll"))[0])


@pytest.mark.usefixtures("token_command")
async def test_a_push_that_ended_the_job_has_a_worker_refresh_the_answer(
    bench: Any, provider: Any, read: Any
):
    await ended_by_push(bench, provider)
    provider.says("1", status="succeeded")
    assert await read() == await read() == await read(final=True) == "succeeded"
    assert len(provider.asked) == 2
    assert await waiting(bench) == 0
    history = await query.history(bench.context, "commanded", "1")
    assert [line.get("ignored") for line in history] == [None, None, "duplicate"]


@pytest.mark.usefixtures("token_command")
async def test_a_job_that_was_never_polled_and_ended_by_a_push_can_be_read(
    bench: Any, provider: Any, read: Any
):
    provider.says("1", status="succeeded")
    await bench.push("commanded", id="1", status="succeeded")
    assert await read() == "succeeded"


@pytest.mark.usefixtures("token_command")
@pytest.mark.parametrize(
    ("code", "headers"),
    [(500, WAIT), (404, WAIT), (429, WAIT), (403, {})],
)
async def test_a_poll_of_a_finished_job_that_fails_ends(
    bench: Any, provider: Any, read: Any, code: int, headers: dict[str, str]
):
    await ended_by_push(bench, provider)
    provider.says("1", code, headers=headers)
    assert await read() == "running"
    assert len(provider.asked) == 2
    assert await waiting(bench) == 0
    job = await bench.job("1", "commanded")
    assert (job.state, job.failed_polls) == (State.SUCCEEDED, None)
    assert len(await query.history(bench.context, "commanded", "1")) == 2
    assert await bench.store.backlogs.paused("poll", "commanded") is (code in {429, 403})
    assert ("commanded" in await bench.store.stalled_sources.read()) is (code == 403)


async def test_a_poll_of_a_finished_job_is_repeated_with_a_new_token(
    bench: Any, provider: Any, token_command: TokenCommand, read: Any, later: Callable[[], None]
):
    await ended_by_push(bench, provider)
    provider.says("1", status="succeeded")
    token_command.prints(f"{HUSH}-2")
    provider.wants(f"Bearer {HUSH}-2")
    later()
    assert await read() == "succeeded"
    assert len(provider.asked) == 3
    assert await waiting(bench) == 0


@pytest.mark.usefixtures("token_command")
async def test_an_answer_that_is_too_long_to_keep_holds_no_reader(
    bench: Any, provider: Any, read: Any
):
    provider.says("1", status="succeeded", text="x" * 65_536)
    await bench.push("commanded", id="1", status="succeeded")
    with pytest.raises(ProviderError, match="65536 bytes"):
        await read()
    assert len(provider.asked) == 1
    assert await waiting(bench) == 0


@pytest.mark.usefixtures("token_command")
async def test_only_a_reader_has_a_finished_job_polled(bench: Any, provider: Any):
    """What waits of its polls is dropped, whenever it was planned."""
    await ended_by_push(bench, provider)
    keys = bench.store.shard("commanded", "1")
    for payload in (b"0", b"3", b"0.050"):
        item = WorkItem("poll", "commanded", "commanded/1", NOW, payload)
        await bench.store.backlogs.enqueue_new(keys, [item])
        assert await bench.poll() == ["commanded/1"]
    assert len(provider.asked) == 1
    assert await waiting(bench) == 0


@pytest.mark.usefixtures("token_command")
async def test_a_poll_for_a_reader_counts_as_one_that_was_asked_for(bench: Any, provider: Any):
    provider.says("1", status="running")
    await bench.watch("1", "commanded")
    keys = bench.store.shard("commanded", "1")
    await bench.store.connection.redis.hset(keys.items["poll"], "commanded/1", FOR_MIRROR)
    due = await bench.due("poll", "commanded/1", "commanded")
    sooner = [SoonerPoll("commanded/1", 1.0, 0.0)]
    assert await bench.store.polls.bring_forward(keys, "commanded", sooner) == 0
    planned = await bench.store.polls.next_poll(keys, "commanded", "commanded/1")
    assert planned == (due, None)
    await bench.make_due("poll", "commanded/1", "commanded")
    assert await bench.poll() == ["commanded/1"]
    assert (await bench.job("1", "commanded")).state is State.RUNNING


# --- the cancel call ------------------------------------------------------------------------


async def end_pause(bench: Any, source: str) -> None:
    """Have a source's pause be over."""
    redis, keys = bench.store.connection.redis, bench.store.shards[0]
    await redis.hdel(keys.paused["poll"], source)
    await redis.zadd(keys.lanes["poll"], {source: 1}, xx=True)


async def test_a_cancel_call_that_was_not_sent_for_want_of_a_token_waits(
    bench: Any, provider: Any, token_command: TokenCommand, wait_until: Any
):
    token_command.prints(HUSH, "sys.exit(3)")
    await expire(bench, wait_until, "costly")
    with capture_logs() as logs:
        assert await bench.poll() == ["cancel:costly/1"]
    (entry,) = [entry for entry in logs if entry["event"] == "cancel_postponed"]
    assert entry["again_in"] == 60
    assert "it ended with exit code 3" in entry["reason"]
    assert HUSH not in json.dumps(logs, default=str)
    assert await bench.poll() == []  # the source is paused
    assert "exit code 3" in (await bench.store.stalled_sources.read())["costly"]
    assert (provider.canceled, await notes(bench, "costly")) == ([], [])
    token_command.prints(HUSH)
    await end_pause(bench, "costly")
    assert await bench.poll() == ["cancel:costly/1"]
    assert provider.canceled == ["1"]
    assert [word for _, word, _ in await notes(bench, "costly")] == ["cancel_sent"]
    assert await bench.store.stalled_sources.read() == {}
    assert (await bench.store.backlogs.depth("poll"))[0] == 0


async def test_a_refusal_for_another_reason_shows_that_the_token_is_good(
    bench: Any, provider: Any, token_command: TokenCommand, wait_until: Any
):
    token_command.prints(HUSH, "sys.exit(3)")
    await expire(bench, wait_until, "costly")
    await bench.poll()
    token_command.prints(HUSH)
    provider.cancel_status = 409
    await end_pause(bench, "costly")
    assert await bench.poll() == ["cancel:costly/1"]
    assert [word for _, word, _ in await notes(bench, "costly")] == ["cancel_failed"]
    assert await bench.store.stalled_sources.read() == {}


async def test_a_cancel_call_that_waits_keeps_waiting_if_its_job_gets_a_later_deadline(
    bench: Any, provider: Any, token_command: TokenCommand, wait_until: Any
):
    token_command.prints(HUSH, "sys.exit(3)")
    await expire(bench, wait_until, "costly")
    await bench.poll()
    await bench.watch("1", "costly", deadline="2h")
    token_command.prints(HUSH)
    await end_pause(bench, "costly")
    assert await bench.poll() == ["cancel:costly/1"]
    assert provider.canceled == []
    keys = bench.store.shards[0]
    due = await bench.store.connection.redis.zscore(keys.due("poll", "costly"), "cancel:costly/1")
    job = await bench.job("1", "costly")
    assert due == pytest.approx(job.deadline_at * 1000, abs=1)


async def test_a_401_renews_the_token_and_the_job_is_canceled_at_once(
    bench: Any,
    provider: Any,
    token_command: TokenCommand,
    wait_until: Any,
    later: Callable[[], None],
):
    source = bench.context.settings.sources["costly"]
    await source.account_now()  # the token of before its rotation
    token_command.prints(f"{HUSH}-2")
    provider.wants(f"Bearer {HUSH}-2")
    later()
    await expire(bench, wait_until, "costly")
    assert await bench.poll() == ["cancel:costly/1"]  # refused
    assert await notes(bench, "costly") == []
    assert await bench.poll() == ["cancel:costly/1"]  # due at once
    assert provider.canceled == ["1", "1"]
    assert [word for _, word, _ in await notes(bench, "costly")] == ["cancel_sent"]
    assert token_command.runs == 2


@pytest.mark.usefixtures("token_command")
async def test_a_cancel_call_whose_every_token_is_refused_ends(
    bench: Any,
    provider: Any,
    wait_until: Any,
    later: Callable[[], None],
):
    provider.wants("Bearer another", says=f"not {HUSH}-1")
    await expire(bench, wait_until, "costly")
    for _ in range(MAX_SENT + 1):
        await bench.context.settings.sources["costly"].account_now()
        later()
        await bench.poll()
    assert len(provider.canceled) == MAX_SENT
    ((_, word, reason),) = await notes(bench, "costly")
    assert (word, reason) == ("cancel_failed", "HTTP 401: not ********")
