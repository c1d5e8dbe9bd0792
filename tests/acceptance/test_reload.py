"""`ringback up` takes a new configuration while it runs. Meanwhile it answers every push with 202, and
what a new source pushes waits for seconds at most.
"""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from .conftest import standard
from .feed import Caller, push
from .processes import KEY, Child, free_port
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(110)]
PROCESSES = 4  # web, two workers and the clock


async def test_a_new_configuration_is_taken_and_every_push_is_answered(tmp_path: Path) -> None:
    config, port = tmp_path / "ringback.toml", free_port()
    config.write_text(standard("one"))
    words = ["-m", "processor.cli", "up", "--config", str(config), "--data", str(tmp_path / "data")]
    up = Child([*words, "--port", str(port)], tmp_path / "up.log", {"RINGBACK_API_KEYS": KEY})
    try:
        await until(lambda: "is ready at" in up.log(), 60, "a server")
        async with Caller(f"http://127.0.0.1:{port}") as caller:
            assert await _pushed(caller, "two", 0) == 404
            done = asyncio.Event()
            sending = [asyncio.create_task(_send(caller, "one", n, done)) for n in range(4)]
            sending_new = asyncio.create_task(_send(caller, "two", 0, done))
            before = _children(up.pid)
            config.write_text(standard("one") + standard("two"))
            os.kill(up.pid, signal.SIGUSR1)
            await until(lambda: len(_children(up.pid) - before) == PROCESSES, 60, "new processes")
            await until(
                lambda: len(_children(up.pid)) == len(before), 60, "the end of the old ones"
            )
            done.set()
            answers = [status for one in await asyncio.gather(*sending) for status in one]
            assert set(answers) == {202}
            answers = await sending_new
            assert 202 in answers  # some while old workers ran: the receiver is replaced first
            taken = [f"0-{n}" for n, status in enumerate(answers) if status == 202]
            await until_it(
                lambda: _all_known(caller, "two", taken), 15, "the jobs of the new source"
            )
        up.terminate()
        assert await asyncio.to_thread(up.wait) == 0
    finally:
        up.end()
    assert "Traceback" not in up.log()


async def _send(caller: Caller, source: str, sender: int, done: asyncio.Event) -> list[int]:
    """The answers to pushes, each on a connection of its own."""
    answers = list[int]()
    while not done.is_set():
        answers.append(await _pushed(caller, source, f"{sender}-{len(answers)}"))
        await asyncio.sleep(0.01)
    return answers


async def _pushed(caller: Caller, source: str, job: object) -> int:
    one = push(source, str(job), "running")
    return await caller.push(one._replace(headers={**one.headers, "connection": "close"}))


async def _all_known(caller: Caller, source: str, jobs: list[str]) -> bool:
    """Whether all jobs are known: their pushes were taken from the backlog."""
    asked = [caller.call("GET", f"/v1/jobs/{source}/{job}") for job in jobs]
    return {status for status, _ in await asyncio.gather(*asked)} == {200}


def _children(pid: int) -> set[int]:
    """The processes that `up` has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return set(map(int, found.split()))
