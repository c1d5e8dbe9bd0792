"""How each contender of the delivery bench is started, with its events ready for it.

Ringback's are committed and arq's queued before a worker starts; the loops make theirs.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import arq_env
import contenders
import delivery_store
import processes
import redis_server

from processor.formats import BATCH

HERE = Path(__file__).parent
FILLED = 120.0  # seconds that filling arq's queues may take

Start = Callable[[str, Path, int, int], AbstractAsyncContextManager[tuple[int, ...]]]
"""Takes the sink's URL, an empty folder, the run's number and its events; gives processes."""


@contextlib.asynccontextmanager
async def ringback(
    url: str, folder: Path, run: int, count: int, form: str = "standard"
) -> AsyncIterator[tuple[int, ...]]:
    """Commit all, then start clock and workers."""
    async with delivery_store.stored(folder) as (store, socket, redis):
        changes = [delivery_store.change("sub_one", run, n) for n in range(count)]
        await delivery_store.commit(store, changes)
        with delivery_store.delivering(folder, socket, {"one": url}, form) as pids:
            yield (redis, *pids)


@contextlib.asynccontextmanager
async def batch(url: str, folder: Path, run: int, count: int) -> AsyncIterator[tuple[int, ...]]:
    """Do the same with many events in a request."""
    async with ringback(url, folder, run, count, BATCH) as pids:
        yield pids


@contextlib.asynccontextmanager
async def arq(url: str, folder: Path, run: int, count: int) -> AsyncIterator[tuple[int, ...]]:
    """Fill the queues, then start as many workers."""
    python, log, workers = arq_env.python(), folder / "arq.log", contenders.WORKERS
    with contextlib.ExitStack() as stack:
        redis, socket = stack.enter_context(redis_server.redis_server(folder))
        env = {"BENCH_SINK": url, "BENCH_REDIS": str(socket), "BENCH_WORKERS": str(workers)}
        argv = [python, str(HERE / "delivery_arq.py"), str(run), str(count)]
        filling = stack.enter_context(processes.child(argv, log, env))
        if await asyncio.to_thread(filling.wait, FILLED):
            raise RuntimeError("arq's queues were not filled")
        commands = [[python, str(HERE / "arq_worker.py"), str(n)] for n in range(workers)]
        parts = [stack.enter_context(processes.child(argv, log, env)) for argv in commands]
        yield (redis.pid, *(one.pid for one in parts))


@contextlib.asynccontextmanager
async def loop(
    url: str, folder: Path, run: int, count: int, parts: int = 1
) -> AsyncIterator[tuple[int, ...]]:
    """Start bare loops that share the events."""
    script, log = [sys.executable, str(HERE / "delivery_loop.py")], folder / "loop.log"
    shares = [f"{run} {count} {part} {parts}" for part in range(parts)]
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(
                processes.child(script, log, {"BENCH_SINK": url, "BENCH_LOOP": share})
            )
            for share in shares
        ]
        yield tuple(one.pid for one in started)


@contextlib.asynccontextmanager
async def loops(url: str, folder: Path, run: int, count: int) -> AsyncIterator[tuple[int, ...]]:
    """Start as many bare loops as Ringback has workers."""
    async with loop(url, folder, run, count, contenders.WORKERS) as pids:
        yield pids


CONTENDERS: dict[str, Start] = {
    "ringback": ringback,
    "batch": batch,
    "arq": arq,
    "loop": loop,
    "loops": loops,
}
