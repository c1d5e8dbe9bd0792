"""A supervised process: started when due, and restarted when it ends."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

from processor.cli.exit_codes import Exit
from processor.cli.parent_death import ends_with_parent
from processor.service.runtime.replaced_process import variable

MIN_PAUSE, MAX_PAUSE = 0.2, 5.0  # seconds before a restart
STABLE_AFTER = 10.0  # seconds of running after which the pauses start at the minimum again


class StopOrder(IntEnum):
    """The order in which processes are stopped, lowest first; those of one stage together."""

    WORK = 0  # receivers, workers and the clock end what they have begun
    STORE = 1  # Redis, which they need for that


@dataclass(frozen=True)
class Command:
    """A command to run and supervise."""

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    stop_order: StopOrder = StopOrder.WORK
    when_orphaned: signal.Signals = signal.SIGKILL
    keeps: tuple[int, ...] = ()  # file descriptors that it inherits
    nice: int = 0  # how much it gives way to others, as `nice` has it


def pause(exits: int) -> float:
    """The seconds to wait after this many exits in a row: 0.2, 0.4, 0.8 … 5."""
    return min(MIN_PAUSE * 2.0 ** min(exits - 1, 10), MAX_PAUSE)


def describe_exit(code: int) -> str:
    """How a process ended: `exit 1` or the signal's name."""
    if code >= 0:
        return f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def describe_end(code: int) -> str:
    """How a process ended, after its name."""
    if code == Exit.USAGE:
        return "refuses its configuration: see its message above"
    return f"ended ({describe_exit(code)})"


def give_way(pid: int, nice: int) -> None:
    """Lower a new process' priority against our own; its threads get the same."""
    with suppress(OSError):  # it has ended already
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + nice)


class Child:
    """Keeps a command running.

    After exit 2, a refused configuration, all must stop (`refused`). But while the configuration
    was accepted before, only a process that had run for a while says so, of its store; a new one
    may have met a file that somebody is editing, and is started again. A replacement ends the
    process before it once it has read its settings; if it does not come so far, that one goes on.
    """

    def __init__(self, command: Command, log: Callable[[str], None]) -> None:
        """The process is started at the first `step`."""
        self.command = command
        self.refused = False
        self.not_replaced = False  # the last replacement has ended, and the process before goes on
        self.due: float | None = 0.0
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._replaced: subprocess.Popen[bytes] | None = None
        self._exits = 0
        self._since = 0.0
        self._accepted = False  # by a process that has run for a while, or at a reload

    @property
    def running(self) -> bool:
        """Whether the process, or one that it has replaced, is alive."""
        return self.replaced or (self._process is not None and self._process.poll() is None)

    @property
    def replaced(self) -> bool:
        """Whether a process that is being replaced is still alive."""
        return self._replaced is not None and self._replaced.poll() is None

    @property
    def pid(self) -> int | None:
        """The process id; None if it does not run."""
        return self._process.pid if self._process is not None else None

    def step(self, now: float) -> None:
        """Check whether the process, and one that it has replaced, have ended; start it if due."""
        if not self.replaced:
            self._replaced = None
        if self._process is not None and (code := self._process.poll()) is not None:
            self._process = None
            self._ended(code, now)
        if self._process is None and self.due is not None and now >= self.due:
            self._start(now)

    def begin_reload(self) -> None:
        """Note that the configuration was read just now, and found good."""
        self._accepted, self.not_replaced = True, False

    def replace(self, now: float) -> None:
        """Start another process, which ends this one."""
        if self._process is None or self.due is not None:
            return  # a new one starts soon
        self._replaced, self._process = self._process, None
        self._start(now, **variable(self._replaced.pid))

    def ask_to_stop(self) -> None:
        """Send SIGTERM, and do not restart it."""
        self.due = None
        for process in (self._process, self._replaced):
            if process is not None:
                process.terminate()

    def kill(self) -> None:
        """Kill the process, one that it has replaced, and the processes that they started."""
        for process in (self._process, self._replaced):
            if process is not None and process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                self._log(f"{self.command.name} did not stop in time: killed")

    def _start(self, now: float, **more: str) -> None:
        """Start it in its own process group: Ctrl-C does not reach it, and we stop it in order."""
        self.due, self._since = None, now
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own modules and Redis, no shell
                self.command.argv,
                env={**self.command.environ, **more},
                stdin=subprocess.DEVNULL,
                stdout=2,  # only `up` itself prints to standard output
                pass_fds=self.command.keeps,
                process_group=0,
                preexec_fn=ends_with_parent(self.command.when_orphaned),  # noqa: PLW1509 - only if no threads
            )
        except OSError as error:  # out of memory or processes: handled like an exit
            self._restart_or_go_back(f"does not start ({error.strerror})", now)
        else:
            if self.command.nice:
                give_way(self._process.pid, self.command.nice)

    def _ended(self, code: int, now: float) -> None:
        if code != Exit.USAGE or (self._accepted and not self._stable(now)):
            self._restart_or_go_back(describe_end(code), now)
        else:
            self.refused = True
            self._log(f"{self.command.name} {describe_end(code)}")
        self._accepted |= self._stable(now)

    def _stable(self, now: float) -> bool:
        """Whether the newest process has run, or ran, for a while."""
        return now - self._since >= STABLE_AFTER

    def _restart_or_go_back(self, what: str, now: float) -> None:
        """Schedule a restart, unless the process before still runs."""
        if self.replaced:
            self._process, self._replaced, self.not_replaced = self._replaced, None, True
            self._log(
                f"{self.command.name} {what}; the process before it goes on, and so do those that "
                "are not yet replaced: ask for the reload again"
            )
        else:
            self._schedule_restart(what, now)

    def _schedule_restart(self, what: str, now: float) -> None:
        self._exits = 1 if self._stable(now) else self._exits + 1
        wait = pause(self._exits)
        self.due = now + wait
        self._log(f"{self.command.name} {what}; restarts in {wait:.1f} s")
