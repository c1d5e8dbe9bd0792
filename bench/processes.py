"""Child processes of the bench: started, waited for, measured, and always ended."""

import asyncio
import contextlib
import ctypes
import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.environments import TREE

PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
TICKS = os.sysconf("SC_CLK_TCK")
DRAIN = 30.0  # seconds that a child has to end on SIGTERM before it is killed
GRACE = 2.0  # seconds that an orphan has to notice that it is one
READY = 30.0  # seconds that a child has to start
STARTED: set[int] = set()  # children that have not been ended yet
KEY = "the-key-of-the-bench"  # of every Ringback that is measured


def stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from `state` (proc(5) number 3) on; [] if gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def family(pid: int) -> list[int]:
    """Return a process and its living descendants."""
    found = [pid]
    parents = {int(p.name): stat(int(p.name)) for p in Path("/proc").iterdir() if p.name.isdigit()}
    for one in found:  # grows as it goes
        found += [p for p, f in parents.items() if f and f[0] != "Z" and int(f[1]) == one]
    return found


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used, all threads, user and system."""
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS if fields else 0.0


def busy_seconds() -> float:
    """Return the processor time that anybody has used of the cores that we may use."""
    mine = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    rows = [[int(n) for n in words[1:9]] for words in lines if words[0] in mine]
    return sum(sum(row) - row[3] - row[4] for row in rows) / TICKS  # 3: idle, 4: iowait


def title(pid: int) -> str:
    """Return what a process is, short enough for a table; a forked one goes by its parent."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ").split()
    except (FileNotFoundError, ProcessLookupError):
        return "gone"
    if "-c" in words and (fields := stat(pid)):
        return f"{title(int(fields[1]))} (child)"
    words = [word for word in words if word != "-P"]
    plain = itertools.takewhile(lambda word: word == "-m" or word[0] != "-", words)
    names = [Path(word).name for word in plain if word != "-m"]
    return " ".join(name for name in names if not name.startswith("python"))[:40]


def free_port() -> int:
    """Return a loopback port that no process listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the caller's own settings for Ringback and Python's path."""
    settings = ("RINGBACK_", "REDIS_", "PORT", "PYTHONPATH")
    return {name: value for name, value in environment.items() if not name.startswith(settings)}


@contextlib.contextmanager
def child(argv: Sequence[str], log: Path, env: dict[str, str]) -> Iterator[subprocess.Popen]:
    """Run a command, out of reach of our Ctrl-C; leaving the block ends it.

    It runs in the folder of its log, and imports this tree unless `env` sets another PYTHONPATH.
    """
    with log.open("ab") as out:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=log.parent,
            env=clean(os.environ) | {"PYTHONPATH": str(TREE)} | env,
        )
    STARTED.add(process.pid)
    try:
        yield process
    finally:
        end(process)
        STARTED.discard(process.pid)


def end(process: subprocess.Popen) -> None:
    """Ask with SIGTERM, insist after DRAIN."""
    process.terminate()
    try:
        process.wait(DRAIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def adopt_orphans() -> None:
    """Become the parent of our children's orphans, so that they can be ended."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def orphans() -> list[int]:
    """Return our descendants but for the children that are meant to run, and their own."""
    meant = {pid for started in STARTED for pid in family(started)}
    return [pid for pid in family(os.getpid())[1:] if pid not in meant]


def end_orphans() -> list[str]:
    """Kill every orphan that does not end by itself; return what they were."""
    patience = time.monotonic() + GRACE
    while (left := orphans()) and time.monotonic() < patience:
        time.sleep(0.05)
    titles = [title(pid) for pid in left]
    for pid in left:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return titles


async def answers(port: int, path: str, status: bytes = b"2") -> bool:
    """Tell whether a GET on loopback is answered with a status that begins so."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        )
        return (await reader.readline())[9:].startswith(status)
    except OSError:
        return False
    finally:
        writer.close()


async def ready(process: subprocess.Popen, port: int) -> None:
    """Wait until a child answers /readyz; raise if it never does."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READY):
            while process.poll() is None:
                if await answers(port, "/readyz"):
                    return
                await asyncio.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not start")


def last_words(folder: Path) -> str:
    """Return how the logs in a contender's folder end."""
    logs = sorted(folder.glob("*.log"))
    return "\n".join(f"{log.name} ends:\n{log.read_text(errors='replace')[-2000:]}" for log in logs)
