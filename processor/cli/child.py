"""One supervised process: started when due, and started again when it ends."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from processor.cli.exit_codes import Exit
from processor.cli.parent_death import ends_with_parent

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds before a restart
STEADY = 10.0  # seconds of life after which a death is the first in a row again


class Stage(IntEnum):
    """When it is stopped: one stage after the other, lowest first."""

    WEB = 0  # so that nothing more is taken in
    WORK = 1  # settles what it holds
    STORE = 2


@dataclass(frozen=True)
class Command:
    """What to run."""

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    stage: Stage = Stage.WORK
    when_orphaned: signal.Signals = signal.SIGKILL
    keeps: tuple[int, ...] = ()  # file descriptors that it inherits


def pause(deaths: int) -> float:
    """Give the seconds to wait after so many deaths in a row: 0.2, 0.4, 0.8 … 5."""
    return min(FIRST_PAUSE * 2.0 ** min(deaths - 1, 10), LONGEST_PAUSE)


def last_words(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        return f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


class Child:
    """Keeps one command running. A refused configuration (exit 2) is not tried again."""

    def __init__(self, command: Command, say: Callable[[str], None]) -> None:
        """Nothing runs until the first step."""
        self.command = command
        self.refused = False
        self.due: float | None = 0.0
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._deaths = 0
        self._since = 0.0

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process is not None else None

    def step(self, now: float) -> None:
        """Notice an end; start what is due."""
        if self._process is not None and (code := self._process.poll()) is not None:
            self._process = None
            self._ended(code, now)
        if self._process is None and self.due is not None and now >= self.due:
            self._start(now)

    def ask_to_stop(self) -> None:
        """Send SIGTERM, and never start it again."""
        self.due = None
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End it, and whatever it has started, at once."""
        if self._process is None or self._process.poll() is not None:
            return
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._say(f"{self.command.name} did not stop in time: killed")

    def _start(self, now: float) -> None:
        """Start it in a process group of its own: Ctrl-C is for us, we stop it in order."""
        self.due, self._since = None, now
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own modules and Redis, no shell
                self.command.argv,
                env=dict(self.command.environ),
                stdin=subprocess.DEVNULL,
                stdout=2,  # standard output is for what `up` itself says
                pass_fds=self.command.keeps,
                process_group=0,
                preexec_fn=ends_with_parent(self.command.when_orphaned),  # noqa: PLW1509 - only if no threads
            )
        except OSError as error:  # out of memory or processes: as good as a death
            self._again(f"does not start ({error.strerror})", now)

    def _ended(self, code: int, now: float) -> None:
        if code == Exit.USAGE:
            self.refused = True
            self._say(f"{self.command.name} refuses its configuration: see its line above")
        else:
            self._again(f"ended ({last_words(code)})", now)

    def _again(self, what: str, now: float) -> None:
        self._deaths = 1 if now - self._since >= STEADY else self._deaths + 1
        wait = pause(self._deaths)
        self.due = now + wait
        self._say(f"{self.command.name} {what}; starts again in {wait:.1f} s")
