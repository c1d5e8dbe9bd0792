"""Idle cost: processor time of each process while nothing is pushed."""

import asyncio

import contenders
import processes

SETTLE = 2.0  # seconds for the work of starting and warming up to end


async def measure(running: contenders.Running, seconds: float) -> dict[str, float]:
    """Return each process's share of one core, in percent, over `seconds`."""
    await asyncio.sleep(SETTLE)
    pids = running.pids()
    before = {pid: processes.cpu_seconds(pid) for pid in pids}
    await asyncio.sleep(seconds)
    return {
        f"{processes.title(pid)} #{number}": 100
        * (processes.cpu_seconds(pid) - before[pid])
        / seconds
        for number, pid in enumerate(pids)
    }
