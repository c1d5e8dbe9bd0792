"""How the two baselines are started: fresh processes and an empty store every time."""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import arq_env
import processes
import redis_server

WORKERS = 2  # worker processes of Ringback and of arq; processes of the relay: one a core
HERE = Path(__file__).parent


class Running(NamedTuple):
    """A contender that takes pushes now."""

    port: int
    leaders: tuple[int, ...]  # the processes that the bench started

    def pids(self) -> list[int]:
        """Return all of its processes."""
        return [pid for leader in self.leaders for pid in processes.family(leader)]


def uvicorn(python: str, app: str, port: int, count: int) -> list[str]:
    """Return the command of a receiver, with every knob that helps."""
    argv = [python, "-m", "uvicorn", app, "--app-dir", str(HERE), "--port", str(port)]
    argv += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-proxy-headers"]
    return [*argv, "--log-level", "warning", "--no-server-header", "--workers", str(count)]


@contextlib.asynccontextmanager
async def relay(sink: str, folder: Path) -> AsyncIterator[Running]:
    """Run baseline (b): one process a core, each receiving and calling back."""
    port, log = processes.free_port(), folder / "relay.log"
    argv = uvicorn(sys.executable, "relay:app", port, WORKERS)
    with processes.child(argv, log, {"BENCH_SINK": sink}) as process:
        await processes.ready(process, port)
        yield Running(port, (process.pid,))


@contextlib.asynccontextmanager
async def arq(sink: str, folder: Path) -> AsyncIterator[Running]:
    """Run baseline (a): Redis, one receiver, as many workers as Ringback has."""
    python, port, log = arq_env.python(), processes.free_port(), folder / "arq.log"
    with contextlib.ExitStack() as stack:
        redis, socket = stack.enter_context(redis_server.redis_server(folder))
        env = {"BENCH_SINK": sink, "BENCH_REDIS": str(socket), "BENCH_WORKERS": str(WORKERS)}
        commands = [uvicorn(python, "arq_app:app", port, 1)]
        commands += [[python, str(HERE / "arq_worker.py"), str(n)] for n in range(WORKERS)]
        parts = [stack.enter_context(processes.child(argv, log, env)) for argv in commands]
        await processes.ready(parts[0], port)
        yield Running(port, tuple(one.pid for one in (redis, *parts)))
