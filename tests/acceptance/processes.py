"""Child processes: started, waited for, ended by their own pid and never left behind."""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

DRAINS_WITHIN = 25.0  # seconds, promised
OURS = ("RINGBACK_", "REDIS_", "PORT")
KEY = "the-key-of-the-acceptance-tests"
BEARER = {"authorization": f"Bearer {KEY}"}


def free_port() -> int:
    """A loopback port that nobody uses now, nor gets by chance for a connection of its own."""
    while True:
        port = 10_000 + secrets.randbelow(
            22_000
        )  # below those that Linux hands out; each test worker draws others
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Child:
    """One process and its log."""

    def __init__(
        self, words: Sequence[str], log: Path, env: Mapping[str, str], files: int | None = None
    ) -> None:
        """Start `python WORDS…` out of reach of the terminal's Ctrl-C.

        `files`: as after `ulimit -n FILES`, which no process can take back.
        """
        self.name = log.stem
        self._log = log
        theirs = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
        with log.open("ab") as out:
            limit = ["prlimit", f"--nofile={files}:{files}"] if files else []
            self._process = subprocess.Popen(
                [*limit, sys.executable, *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=theirs | dict(env),
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    @property
    def code(self) -> int | None:
        """Its exit code, once it has one."""
        return self._process.poll()

    def log(self) -> str:
        """All that it said."""
        return self._log.read_text(errors="replace")

    def terminate(self) -> None:
        """Ask it to drain, as an operator's machine would."""
        self._process.terminate()

    def kill(self) -> None:
        """End it without warning, as a crash would."""
        self._process.kill()
        self._process.wait()

    def wait(self, seconds: float = DRAINS_WITHIN) -> int:
        """Its exit code, when it ends in time."""
        return self._process.wait(seconds)

    def end(self) -> None:
        """Make sure that it is gone."""
        if self.alive:
            self._process.kill()
        self._process.wait()
