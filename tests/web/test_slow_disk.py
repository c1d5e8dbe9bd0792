"""Redis is killed during a disk sync, or once its disk is full: no answered write is lost.

A few lines of C in front of the system's `fdatasync` and `write` slow the one, and refuse the other.
"""

import asyncio
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from redis import Redis

from processor.cli.embedded_redis import EmbeddedRedis

from .calling import Web
from .pushing import push, signed

SHIM = """
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
static long wish(int full) {
  long wishes[2] = {0, 0};
  FILE *file = fopen(getenv("DISK_WISH"), "r");
  if (file && fscanf(file, "%ld %ld", wishes, wishes + 1) != 2) wishes[0] = wishes[1] = 0;
  if (file) fclose(file);
  return wishes[full];
}
int fdatasync(int fd) {
  usleep(1000 * wish(0));
  return fsync(fd);
}
ssize_t write(int fd, const void *data, size_t size) {
  struct stat found;
  if (fstat(fd, &found) == 0 && S_ISREG(found.st_mode) && wish(1)) {
    errno = ENOSPC;
    return -1;
  }
  return syscall(SYS_write, fd, data, size);
}
"""
JOB = "/v1/jobs/feed/1"


class SlowDisk:
    """A Redis whose disk syncs take as long as the test says, and which may be full."""

    def __init__(self, data: Path) -> None:
        """Start it; the disk is a quick one."""
        self._wish = data / "wish"
        self._sync = 0  # ms
        self._make()
        self._server = EmbeddedRedis(data)
        self.url = self._server.start()

    def _make(self, *, full: bool = False) -> None:
        """Make the disk so."""
        (new := self._wish.with_suffix(".new")).write_text(f"{self._sync} {int(full)}")
        new.rename(self._wish)

    def syncs(self) -> bool:
        """Whether a sync is under way; there will be one."""
        with Redis.from_url(self.url) as redis:
            redis.set("rb:probe", 1, px=1000)
            return bool(redis.info("persistence")["aof_pending_bio_fsync"])

    async def slow(self, seconds: float, wait_until: Any) -> None:
        """Make syncs take so long from now on; one has just begun."""
        self._sync = int(seconds * 1000)
        self._make()
        await wait_until(self.syncs)

    def fill(self) -> None:
        """Let nothing more be written to files."""
        self._make(full=True)

    def crash(self) -> None:
        """Kill it, and start it again with a quick disk."""
        self._sync = 0
        self._make()
        self._server.kill()
        self._server.start()

    def stop(self) -> None:
        """End it."""
        self._server.kill()


@pytest.fixture(scope="module")
def slow_sync(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that slows syncs."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("slow")
    (folder / "slow.c").write_text(SHIM)
    command = [compiler, "-shared", "-fPIC", "-o", "slow.so", "slow.c"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "slow.so"


@pytest.fixture
def disk(slow_sync: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    data = tmp_path / "own"
    data.mkdir()
    monkeypatch.setenv("LD_PRELOAD", str(slow_sync))
    monkeypatch.setenv("DISK_WISH", str(data / "wish"))
    ours = SlowDisk(data)
    yield ours
    ours.stop()


@pytest.fixture
def redis_url(disk: SlowDisk) -> str:
    """The one that this file's tests use."""
    return disk.url


async def push_one(web: Web) -> Any:
    """Push the same thing each time."""
    return await web("POST", "/hooks/feed", content=push(), headers=signed(push()))


async def nothing(_: Web) -> None:
    """Have nothing there before."""


async def is_accepted(web: Web) -> bool:
    return bool((await push_one(web)).json()["duplicates"])


async def put(web: Web) -> Any:
    return await web("PUT", JOB, {})


async def is_watched(web: Web) -> bool:
    return bool((await web("GET", JOB)).status_code == 200)


async def delete(web: Web) -> Any:
    return await web("DELETE", JOB)


async def is_deleted(web: Web) -> bool:
    return not await is_watched(web)


async def subscribe(web: Web) -> Any:
    return await web("POST", "/v1/subscriptions", {"url": "https://hooks.example.com/a"})


async def is_subscribed(web: Web) -> bool:
    urls = [row["url"] for row in await web.items("/v1/subscriptions")]
    return "https://hooks.example.com/a" in urls


class Case(NamedTuple):
    """A call that changes something, and how to see that it did."""

    call: Callable[[Web], Awaitable[Any]]
    holds: Callable[[Web], Awaitable[bool]]
    before: Callable[[Web], Awaitable[Any]] = nothing
    seconds: float = 0.5  # that a sync takes


CASES = {
    "push": Case(push_one, is_accepted),
    "push, slowest disk": Case(push_one, is_accepted, seconds=4.0),
    "PUT": Case(put, is_watched),
    "DELETE": Case(delete, is_deleted, before=put),
    "POST": Case(subscribe, is_subscribed),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_answered_writes_survive_a_kill_of_redis_during_a_sync(
    disk: SlowDisk, web: Web, wait_until: Any, case: Case
):
    """Redis puts its writes off for two seconds at most."""
    await case.before(web)
    await disk.slow(case.seconds, wait_until)
    answer = await case.call(web)
    disk.crash()
    assert answer.status_code < 300
    await web.context.store.connection.redis.connection_pool.disconnect()
    assert await case.holds(web)


async def test_the_first_push_that_finds_the_disk_full_is_not_promised_either(
    disk: SlowDisk, web: Web
):
    """Redis says that its disk is full only after it has answered that push."""
    disk.fill()
    assert (await push_one(web)).status_code == 503
    disk.crash()
    await web.context.store.connection.redis.connection_pool.disconnect()
    assert (await push_one(web)).json()["accepted"] == 1


async def test_a_disk_that_is_full_once_a_sync_has_ended_promises_nothing(
    disk: SlowDisk, web: Web, wait_until: Any
):
    """Redis says after the sync that a write waits, and only then tries to write it."""
    await disk.slow(0.5, wait_until)
    answer = asyncio.create_task(push_one(web))
    await wait_until(lambda: accepted(disk))
    disk.fill()
    assert (await answer).status_code == 503


async def test_a_redis_that_came_back_quickly_cannot_speak_for_the_one_before(
    disk: SlowDisk, web: Web, wait_until: Any
):
    """It says that no sync is under way and that nothing waits."""
    await disk.slow(1.0, wait_until)
    answer = asyncio.create_task(push_one(web))
    await wait_until(lambda: accepted(disk))
    disk.crash()  # nothing else runs here until it is back
    assert (await answer).status_code == 503
    assert (await push_one(web)).status_code < 300


def accepted(disk: SlowDisk) -> bool:
    """Whether Redis has accepted the push."""
    with Redis.from_url(disk.url) as redis:
        return bool(redis.keys("{rb:0}:seen:*"))


async def test_a_repetition_of_a_push_promises_no_less(disk: SlowDisk, web: Web, wait_until: Any):
    """The first answer may have been lost with the connection."""
    await disk.slow(1.0, wait_until)
    store = web.context.store
    written, store.persistence.written = store.persistence.written, lambda _: nothing(web)
    assert (await push_one(web)).json()["accepted"] == 1
    store.persistence.written = written
    assert (await push_one(web)).json()["duplicates"] == 1
    disk.crash()
    await web.context.store.connection.redis.connection_pool.disconnect()
    assert await is_accepted(web)
