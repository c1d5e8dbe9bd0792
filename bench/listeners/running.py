"""What this section measures: a web process with a worker and the clock, and its listeners."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench import processes
from bench.contenders import ringback
from bench.delivery import store as stores
from bench.environments import TREE
from processor.store import Store

CROWD = "bench.listeners.crowd"
PARTS = ("processor.web", "workers", "workers.clock")  # the first is measured
READ_WITHIN = 60  # seconds for a crowd to have read everything


class Running(NamedTuple):
    """A Ringback that takes pushes."""

    port: int
    store: Store
    redis: int  # the process
    web: int

    def cpu(self) -> float:
        """Return the processor seconds of the web process."""
        return processes.cpu_seconds(self.web)

    def memory(self) -> float:
        """Return the KiB of memory of the web process."""
        status = Path(f"/proc/{self.web}/status").read_text()
        return float(status.partition("VmRSS:")[2].split()[0])

    async def connections(self) -> tuple[int, int]:
        """Return how many are connected to Redis, and how many of them follow the event log."""
        found = await self.store.connection.redis.client_list()
        others = [one for one in found if one["cmd"] != "client|list"]  # that is ours
        following = [one for one in others if one["cmd"] == "xread" and "b" in one["flags"]]
        return len(others), len(following)  # b: it blocks


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Running]:
    """Run everything in a folder until the block ends."""
    file, port = folder / "ringback.toml", processes.free_port()
    file.write_text(ringback.SOURCES)
    async with stores.stored(folder) as (store, socket, redis):
        env = {
            "REDIS_URL": f"unix://{socket}",
            "RINGBACK_CONFIG": str(file),
            "RINGBACK_API_KEYS": processes.KEY,
            "PORT": str(port),
        }
        with contextlib.ExitStack() as stack:
            web, *_ = (
                stack.enter_context(
                    processes.child([sys.executable, "-m", part], folder / f"{part}.log", env)
                )
                for part in PARTS
            )
            await processes.ready(web, port)
            yield Running(port, store, redis, web.pid)


@contextlib.asynccontextmanager
async def crowd(port: int, count: int) -> AsyncIterator[Callable[..., Any]]:
    """Run the listeners; give what asks them: how long it took to open them, then, for a number
    of events, when each came, once all have had so many.
    """
    argv, pipe = (sys.executable, "-m", CROWD, str(port), str(count)), asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        *argv, stdin=pipe, stdout=pipe, limit=1 << 28, cwd=TREE
    )
    assert child.stdin
    assert child.stdout

    async def ask(question: str = "") -> Any:
        child.stdin.write(question.encode())
        async with asyncio.timeout(READ_WITHIN):
            return json.loads(await child.stdout.readline())

    try:
        yield ask
    finally:
        child.stdin.close()
        await child.wait()
