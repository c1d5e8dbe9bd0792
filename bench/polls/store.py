"""A store with watched jobs of a provider, and the processes that poll them: one worker, one clock."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

from redis import Redis

from bench import processes
from bench.redis_server import redis_server
from processor.config import load
from processor.service.jobs.watch import watch
from processor.service.jobs.watch_request import WatchRequest
from processor.service.runtime.context import Context
from processor.service.runtime.process import open_context
from processor.store.keys import Keys

AT_ONCE = 100  # jobs that are being watched
KEYS = Keys(0)
PROFILE = """\
[poll]
request = "GET /{{id}}"
status = "/status"
every = ["{every}s", "{every}s"]
after = "1d"
learn = false

[states]
queued = "queued"
"""
LEARNING = """\
[poll]
request = "GET /{id}"
status = "/status"
every = ["0.2s", "4s"]

[states]
queued = "queued"
done = "succeeded"
"""
SOURCE = """
[sources.lab{n}]
provider = "lab"
base_url = "{url}"
deadline = "30d"
"""


class Stored(NamedTuple):
    """A store, and what runs on it."""

    folder: Path
    redis: Redis
    server: int  # its process id
    context: Context


@contextlib.asynccontextmanager
async def stored(
    folder: Path, url: str, *, sources: int, every: float = 0.0, learning: bool = False
) -> AsyncIterator[Stored]:
    """Run a Redis with sources of a provider, each job of which is polled so often (seconds).

    With `learning` the schedule is learnt instead, except by the last source.
    """
    (folder / "profiles").mkdir()
    (folder / "profiles" / "lab.toml").write_text(
        LEARNING if learning else PROFILE.format(every=every)
    )
    text = 'providers = "profiles"\n[egress]\nallow = ["127.0.0.1"]\n'
    file = folder / "ringback.toml"
    tables = "".join(SOURCE.format(n=n, url=url) for n in range(sources))
    file.write_text(text + tables + ("learn = false\n" if learning else ""))
    with redis_server(folder) as (process, socket):
        await until_there(socket)
        settings = load(file, {"REDIS_URL": f"unix://{socket}"})
        with Redis(unix_socket_path=str(socket)) as redis:
            async with open_context(settings) as context:
                await context.store.check()
                yield Stored(folder, redis, process.pid, context)


async def until_there(socket: Path) -> None:
    """Wait until Redis listens."""
    async with asyncio.timeout(processes.READY):
        while not await asyncio.to_thread(socket.exists):  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.02)


async def fill(store: Stored, count: int, sources: int) -> None:
    """Watch so many jobs, named by their numbers; none is due for a day."""
    numbers = iter(range(count))

    async def some() -> None:
        for n in numbers:
            await watch(store.context, f"lab{n % sources}", str(n), WatchRequest())

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


def plan(store: Stored, times: dict[str, float], sources: int) -> None:
    """Have jobs (by number) polled at these Unix times."""
    pipe = store.redis.pipeline(transaction=False)
    for job, at in times.items():
        source = f"lab{int(job) % sources}"
        pipe.zadd(KEYS.due("poll", source), {f"{source}/{job}": int(at * 1000)})
    for n in range(sources):
        pipe.zadd(KEYS.lanes["poll"], {f"lab{n}": min(times.values(), default=0.0) * 1000}, lt=True)
    pipe.execute()


@contextlib.contextmanager
def polling(store: Stored) -> Iterator[dict[str, int]]:
    """Run a worker and a clock; their process ids by name, with that of Redis."""
    env = {
        "REDIS_URL": f"unix://{store.folder / 'redis.sock'}",
        "RINGBACK_CONFIG": str(store.folder / "ringback.toml"),
    }
    pids = {"redis": store.server}
    with contextlib.ExitStack() as stack:
        for name, module in (("worker", "workers"), ("clock", "workers.clock")):
            argv = [sys.executable, "-m", module]
            child = processes.child(argv, store.folder / f"{name}.log", env)
            pids[name] = stack.enter_context(child).pid
        yield pids


def used(pids: dict[str, int]) -> dict[str, float]:
    """Return the processor time that each process has used, in seconds."""
    return {name: processes.cpu_seconds(pid) for name, pid in pids.items()}
