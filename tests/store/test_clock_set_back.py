"""A real Redis whose clock is set back: the clock process and a claim find due work in seconds."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs

from processor.cli import embedded_redis
from processor.store import Store
from processor.store.work_items import LaneLimits
from workers.clock import follow_clock

BACK = -600  # seconds
WITHIN = 10.0  # seconds until the work is due again: until the step is noticed, and 1.5 s

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="needs cc and LD_PRELOAD"
)


class Clock:
    """The clock of one Redis."""

    def __init__(self, file: Path, url: str) -> None:
        """Start with the right time."""
        self._file, self.url = file, url

    def set(self, seconds: int) -> None:
        """Change it by so many seconds."""
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._file)


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    shim, file = tmp_path / "shim.so", tmp_path / "offset"
    source = Path(__file__).with_name("clock_shim.c")
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(shim), str(source), "-ldl"]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("cc cannot make a shared library here")
    file.write_text("0")
    with monkeypatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(shim))
        patch.setenv("CLOCK_FILE", str(file))
        server = embedded_redis.EmbeddedRedis(tmp_path / "data")
        server.start()
    clock = Clock(file, server.url)
    try:
        clock.set(5000)
        with Redis.from_url(server.url) as client:
            if client.time()[0] < time.time() + 4000:
                pytest.skip("this Redis asks the system for its time in another way")
        clock.set(0)
        yield clock
    finally:
        server.kill()


async def test_due_work_does_not_wait_after_the_clock_was_set_back(clock: Clock) -> None:
    store = Store(clock.url, lease=1.0)
    ours: Any = type("Ours", (), {"store": store})
    try:
        await store.check()
        keys, now = store.shards[0], await store.now()
        due = {"was due": now - 1, "soon": now + 1}
        for item, at in due.items():
            client = store.connection.redis
            await client.zadd(keys.due("poll", "a"), {item: int(at * 1000)})
            await client.hset(keys.items["poll"], item, b"{}")
            await client.zadd(keys.lanes["poll"], {"a": int(at * 1000)}, lt=True)
        await follow_clock(ours)
        clock.set(BACK)
        begun, got = time.monotonic(), set[str]()
        with capture_logs() as lines:
            while got != set(due) and time.monotonic() < begun + WITHIN:
                await follow_clock(ours)
                found = await store.backlogs.claim(keys, "poll", 10, lambda _: LaneLimits(10))
                got |= {claim.item for claim in found}
                await asyncio.sleep(0.1)
        assert got == set(due)
        said = [line["seconds"] for line in lines if line["event"] == "redis_clock_stepped"]
        assert said == [pytest.approx(BACK, abs=1.5)]
    finally:
        await store.close()
