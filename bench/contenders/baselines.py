"""How the two baselines are started: fresh processes and an empty store every time."""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from bench import environments, processes, redis_server
from bench.contenders.running import WORKERS, Running

HERE = "bench.contenders"  # the package that their programs are in


def uvicorn(python: str, app: str, port: int, count: int) -> list[str]:
    """Return the command of a receiver, with every option that helps."""
    argv = [python, "-m", "uvicorn", f"{HERE}.{app}:app", "--port", str(port)]
    argv += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-proxy-headers"]
    return [*argv, "--log-level", "warning", "--no-server-header", "--workers", str(count)]


def arq_workers(python: str) -> list[list[str]]:
    """Return the commands of arq's workers, as many as Ringback has."""
    return [[python, "-m", f"{HERE}.arq_worker", str(number)] for number in range(WORKERS)]


@contextlib.asynccontextmanager
async def relay(sink: str, folder: Path, python: str = sys.executable) -> AsyncIterator[Running]:
    """Run baseline (b): one process a core, each receiving and calling back."""
    port, log = processes.free_port(), folder / "relay.log"
    argv = uvicorn(python, "relay", port, WORKERS)
    with processes.child(argv, log, {"BENCH_SINK": sink}) as process:
        await processes.ready(process, port)
        yield Running((port,), (process.pid,))


@contextlib.asynccontextmanager
async def arq(sink: str, folder: Path) -> AsyncIterator[Running]:
    """Run baseline (a): Redis, one receiver, as many workers as Ringback has."""
    python, port, log = environments.arq(), processes.free_port(), folder / "arq.log"
    with contextlib.ExitStack() as stack:
        redis, socket = stack.enter_context(redis_server.redis_server(folder))
        env = {"BENCH_SINK": sink, "BENCH_REDIS": str(socket), "BENCH_WORKERS": str(WORKERS)}
        commands = [uvicorn(python, "arq_app", port, 1), *arq_workers(python)]
        parts = [stack.enter_context(processes.child(argv, log, env)) for argv in commands]
        await processes.ready(parts[0], port)
        yield Running((port,), tuple(one.pid for one in (redis, *parts)), socket)
