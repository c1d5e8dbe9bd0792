"""Section: what idle processes use of a core, with 100,000 jobs that wait for their deadline."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

from redis import Redis

from bench import processes, report
from bench.contenders.ringback import ringback
from bench.contenders.running import Running
from bench.load.driver import FIRST, Meter
from bench.report import Claim, Result
from bench.runner import Runner, say
from processor.config import load
from processor.service.jobs.watch import watch
from processor.service.jobs.watch_request import WatchRequest
from processor.service.runtime.context import Context
from processor.service.runtime.process import open_context

SLEEPING = 100_000  # jobs
AT_ONCE = 100  # that are being watched
SETTLE = 2.0  # seconds for the work of starting and warming up to end
IDLE = 20.0  # seconds


async def measure(runner: Runner) -> Result:
    """Measure Ringback idle with an empty store, then with sleeping jobs."""
    count, seconds = runner.size(SLEEPING), runner.seconds(IDLE)
    found: dict[str, tuple[dict[str, float], float]] = {}
    async with runner.start("ringback", ringback) as running:
        await runner.driver.measure(running, FIRST)
        found["nothing in the store"] = await idle(running, seconds)
        say(f"watching {count:,} jobs …")
        each = await sleep(running, count)
        found[f"{count:,} sleeping jobs"] = await idle(running, seconds)
    rows = [
        (name, title, f"{share:.2f} %", f"{others:.2f}")
        for name, (shares, others) in found.items()
        for title, share in shares.items()
    ]
    table = report.table(("idle", "process", "of a core", "cores used by strangers"), rows)
    most = max(share for shares, _ in found.values() for share in shares.values())
    claim = Claim("each idle process under 0.5 % of a core", f"{most:.2f} %", most < 0.5)
    line = f"A sleeping job takes {each:,.0f} bytes of Redis' memory."
    return Result([table, line], [claim], {"shares": found, "bytes a sleeping job": each})


async def idle(running: Running, seconds: float) -> tuple[dict[str, float], float]:
    """Return each process's share of one core in percent, and the cores that strangers used."""
    await asyncio.sleep(SETTLE)
    pids, meter = running.pids(), Meter(running)
    before = {pid: processes.cpu_seconds(pid) for pid in pids}
    await asyncio.sleep(seconds)
    shares = {
        f"{processes.title(pid)} #{number}": 100
        * (processes.cpu_seconds(pid) - before[pid])
        / seconds
        for number, pid in enumerate(pids)
    }
    return shares, meter.read()[1]


async def sleep(running: Running, count: int) -> float:
    """Watch so many jobs of which no push will come; return the bytes that each takes."""
    async with opened(running) as ours:
        redis = Redis(unix_socket_path=str(running.socket))
        before = redis.info("memory")["used_memory"]
        names = iter([str(uuid.uuid4()) for _ in range(count)])

        async def some() -> None:
            for name in names:
                await watch(ours, "bench", name, WatchRequest())

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))
        return (redis.info("memory")["used_memory"] - before) / count


@contextlib.asynccontextmanager
async def opened(running: Running) -> AsyncIterator[Context]:
    """Give the use cases on the store of a Ringback that runs."""
    settings = load(running.config, {"REDIS_URL": f"unix://{running.socket}"})
    async with open_context(settings) as ours:
        yield ours
