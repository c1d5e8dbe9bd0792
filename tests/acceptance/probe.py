"""Honest pushes of 1 KiB, each on a new connection, at a steady rate: what was answered, and when."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .feed import push

RATE = 50  # pushes a second
BODY = 1024  # bytes
PATIENCE = 15.0  # seconds for an answer


class Probe(NamedTuple):
    """The answers by status (0: none), and the seconds that each took, sorted."""

    statuses: Counter[int]
    seconds: Sequence[float]

    def part(self, share: float) -> float:
        """The seconds within which so many were answered."""
        return self.seconds[max(0, math.ceil(share * len(self.seconds)) - 1)]

    def __str__(self) -> str:
        """For people."""
        times = " ".join(f"{n} {1000 * self.part(p):.1f}" for n, p in PARTS)
        return f"{dict(self.statuses)} ms: {times}"


PARTS = (("p50", 0.5), ("p99", 0.99), ("max", 1.0))


async def probe(port: int, source: str, name: str, seconds: float) -> Probe:
    """Push for so long."""
    tasks = []
    began = time.perf_counter()
    for number in range(int(seconds * RATE)):
        await asyncio.sleep(began + number / RATE - time.perf_counter())
        tasks.append(asyncio.create_task(_one(port, source, f"{name}-{number}")))
    found = await asyncio.gather(*tasks)
    return Probe(Counter(status for status, _ in found), sorted(took for _, took in found))


async def _one(port: int, source: str, job: str) -> tuple[int, float]:
    one = push(source, job, "succeeded", result="")
    one = push(source, job, "succeeded", result="x" * (BODY - len(one.body)))
    words = "".join(f"{name}: {value}\r\n" for name, value in one.headers.items())
    head = (
        f"POST /hooks/{source} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(one.body)}\r\n"
    )
    began = time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"{head}{words}\r\n{one.body}".encode())
            line = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return 0, time.perf_counter() - began
    return int(line.split()[1]) if line else 0, time.perf_counter() - began


def resident(pid: int) -> int:
    """The bytes of memory that a process has."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024


def peak(pid: int) -> int:
    """The most bytes of memory that a process ever had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
