"""How each contender of the delivery bench is started, with its events ready for it.

Ringback's are committed and arq's queued before a worker starts; the loops make theirs.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

from bench import environments, processes, redis_server
from bench.contenders.baselines import arq_workers
from bench.contenders.running import WORKERS
from bench.delivery import store as stores
from processor.formats import BATCH

HERE = "bench.delivery"  # the package that their programs are in
FILLED = 120.0  # seconds that filling arq's queues may take

Start = Callable[[str, Path, int, int], AbstractAsyncContextManager[tuple[int, ...]]]
"""Takes the sink's URL, an empty folder, the run's number and its events; gives processes."""


@contextlib.asynccontextmanager
async def ringback(
    url: str, folder: Path, run: int, count: int, form: str = "standard"
) -> AsyncIterator[tuple[int, ...]]:
    """Commit all, then start clock and workers; the subscription gets events in this format."""
    async with stores.stored(folder) as (store, socket, redis):
        changes = [stores.change("sub_one", run, n) for n in range(count)]
        await stores.commit(store, changes)
        with stores.delivering(folder, socket, {"one": url}, form) as pids:
            yield (redis, *pids)


@contextlib.asynccontextmanager
async def arq(url: str, folder: Path, run: int, count: int) -> AsyncIterator[tuple[int, ...]]:
    """Fill the queues, then start as many workers."""
    python, log = environments.arq(), folder / "arq.log"
    with contextlib.ExitStack() as stack:
        redis, socket = stack.enter_context(redis_server.redis_server(folder))
        env = {"BENCH_SINK": url, "BENCH_REDIS": str(socket), "BENCH_WORKERS": str(WORKERS)}
        argv = [python, "-m", f"{HERE}.fill_arq", str(run), str(count)]
        filling = stack.enter_context(processes.child(argv, log, env))
        if await asyncio.to_thread(filling.wait, FILLED):
            raise RuntimeError("arq's queues were not filled")
        parts = [
            stack.enter_context(processes.child(argv, log, env)) for argv in arq_workers(python)
        ]
        yield (redis.pid, *(one.pid for one in parts))


@contextlib.asynccontextmanager
async def loop(
    url: str, folder: Path, run: int, count: int, *, client: str = "aiohttp", parts: int = 1
) -> AsyncIterator[tuple[int, ...]]:
    """Start bare loops that share the events."""
    argv, log = [sys.executable, "-m", f"{HERE}.bare_loop"], folder / "loop.log"
    shares = [f"{client} {run} {count} {part} {parts}" for part in range(parts)]
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(
                processes.child(argv, log, {"BENCH_SINK": url, "BENCH_LOOP": share})
            )
            for share in shares
        ]
        yield tuple(one.pid for one in started)


CONTENDERS: dict[str, Start] = {
    "ringback": ringback,
    "batch": partial(ringback, form=BATCH),
    "arq": arq,
    "loop": loop,
    "loops": partial(loop, parts=WORKERS),
    "egress loop": partial(loop, client="egress"),
}
