"""Keeps the child processes running and stops them in order; one thread, woken by signals."""

import select
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Self

from processor.cli.child import Child, Command, StopOrder

# Seconds from the beginning of the stop until processes are killed. 25 are promised for all of
# them, and the kills need a moment. A callback may take 15 s, and its worker 20.
STOP_TIMEOUTS = {StopOrder.WORK: 21.0, StopOrder.STORE: 24.0}


class Supervisor:
    """Steps over its children, and restarts those that ended."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self.children: list[Child] = []
        self._to_replace: list[Child] = []

    def add(self, commands: Sequence[Command]) -> None:
        """Start more commands and supervise them."""
        self.children += [Child(command, self._log) for command in commands]
        self.step()

    @property
    def refused(self) -> bool:
        """Whether a child refused its configuration, so that all must stop."""
        return any(child.refused for child in self.children)

    def replace(self) -> None:
        """Begin to replace all children except Redis by new processes, one after the other."""
        for child in self.children:
            child.begin_reload()
        self._to_replace = [
            child for child in self.children if child.command.stop_order is not StopOrder.STORE
        ]

    def step(self) -> None:
        """Check every child once; replace the next one once the one before has ended."""
        for child in self.children:
            child.step(time.monotonic())
        if any(child.not_replaced for child in self.children):
            self._to_replace = []
        while self._to_replace and not any(child.replaced for child in self.children):
            self._to_replace.pop(0).replace(time.monotonic())

    def seconds_to_restart(self) -> float | None:
        """The seconds until a restart is due; None if no restart is due."""
        dues = [child.due for child in self.children if child.due is not None]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def stop(self, signals: "Signals", timeouts: Mapping[StopOrder, float] = STOP_TIMEOUTS) -> None:
        """Stop the children in order; a second signal kills at once, except Redis."""
        begun, signals_before = time.monotonic(), signals.stops
        for order, timeout in timeouts.items():
            children = [child for child in self.children if child.command.stop_order is order]
            for child in children:
                child.ask_to_stop()
            while any(child.running for child in children):
                left = begun + timeout - time.monotonic()
                if left <= 0 or (signals.stops > signals_before and order is not StopOrder.STORE):
                    break
                signals.wait(left)
            for child in children:
                child.kill()


class Signals:
    """Waits for Ctrl-C, SIGTERM, SIGUSR1 and the end of a child."""

    STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.stops, self.reloads = 0, 0
        self._reader, self._writer = socket.socketpair()
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> Self:
        """Install the handlers; only the main thread may."""
        for end in (self._reader, self._writer):
            end.settimeout(0.0)  # as a wake-up descriptor must be
        self._wakeup_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for sig in (*self.STOP_SIGNALS, signal.SIGCHLD, signal.SIGUSR1):
            if sig is signal.SIGHUP and signal.getsignal(sig) is signal.SIG_IGN:
                continue  # nohup
            self._handlers[sig] = signal.signal(sig, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the handlers."""
        for sig, handler in self._handlers.items():
            signal.signal(sig, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._wakeup_fd)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float | None) -> None:
        """Return at the next signal, or after this many seconds."""
        ready, _, _ = select.select([self._reader], [], [], seconds)
        if ready:
            self._reader.recv(4096)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.stops += number in self.STOP_SIGNALS
        self.reloads += number == signal.SIGUSR1
