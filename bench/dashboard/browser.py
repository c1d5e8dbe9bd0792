"""The overview in a real browser while events happen, and once while nothing does."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from bench import processes
from bench.environments import TREE
from bench.load import loadgen, workload

PYTHON = TREE / ".venv-browser" / "bin" / "python"  # `make browser`
SCRIPT = Path(__file__).with_name("visit.py")
CONNECTIONS = 16
RATE = 500  # events a second


class Seen(NamedTuple):
    """What the browser measured while the overview was open."""

    events: int  # that came over its stream
    long_tasks: int  # over 50 ms
    longest_task: float  # ms
    frame_p99: float  # ms from one frame to the next
    frame_max: float
    input_p99: float  # ms from a key press to the next frame
    input_max: float
    reads: int  # of the page, by its script
    heap_before: float  # MB of its script, after a collection
    heap_after: float
    nodes_before: int  # of its documents
    nodes_after: int
    newest: bool  # the list of events shows the last one at the end


def missing() -> str:
    """What is missing to run a browser; empty if nothing is."""
    if shutil.which("chromium") is None:
        return "no `chromium` on the PATH"
    return "" if PYTHON.exists() else "no .venv-browser: run `make browser`"


async def visit(port: int, run: int, seconds: float, rate: int) -> Seen:
    """Open the overview for so many seconds, in which `rate` jobs a second end."""
    plan = {
        "url": f"http://127.0.0.1:{port}",
        "key": processes.KEY,
        "chromium": shutil.which("chromium"),
        "last": workload.job_id(run, round(rate * seconds) - 1).decode() if rate else "",
    }
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(PYTHON, SCRIPT, stdin=pipe, stdout=pipe)
    assert child.stdin
    assert child.stdout
    try:
        child.stdin.write(json.dumps(plan).encode() + b"\n")
        await said(child.stdout)  # it is open
        await events(port, run, seconds, rate)
        child.stdin.write(b"\n")
        return Seen(**await said(child.stdout))
    finally:
        child.stdin.close()
        await child.wait()


async def said(lines: asyncio.StreamReader) -> Any:
    """What the browser's process says next."""
    line = await lines.readline()
    if not line:
        raise RuntimeError("the browser ended; what it wrote to standard error says why")
    return json.loads(line)


async def events(port: int, run: int, seconds: float, rate: int) -> None:
    """Have jobs end at a steady rate: one event each."""
    if not rate:
        await asyncio.sleep(seconds)
        return
    count = round(rate * seconds)
    pushes = ((n / rate, workload.succeeded(workload.job_id(run, n))) for n in range(count))
    await loadgen.answered([port], pushes, count, CONNECTIONS)
