"""Keeps the children running, and stops them in order. One thread; signals wake it."""

import select
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType, TracebackType
from typing import Self

from processor.cli.child import Child, Command, Stage

# Seconds from the beginning of the stop until a stage is killed. 25 are promised for all, and
# the kills need a moment.
LIMITS = {Stage.WEB: 10.0, Stage.WORK: 21.0, Stage.STORE: 24.0}


class Supervisor:
    """Steps over its children: who ended is started again."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Begin with no children."""
        self._say = say
        self.children: list[Child] = []

    def add(self, commands: Sequence[Command]) -> None:
        """Take charge of more commands, and start them."""
        self.children += [Child(command, self._say) for command in commands]
        self.step()

    @property
    def refused(self) -> bool:
        """Whether a child refused its configuration, so that going on makes no sense."""
        return any(child.refused for child in self.children)

    def step(self) -> None:
        """Look after every child once."""
        for child in self.children:
            child.step(time.monotonic())

    def rest(self) -> float | None:
        """Give the seconds until a restart is due; None when only a signal can bring news."""
        dues = [child.due for child in self.children if child.due is not None]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def stop(self, signals: "Signals", limits: Mapping[Stage, float] = LIMITS) -> None:
        """Stop the stages one after the other; a second signal shortens all but the store's."""
        begun, asked = time.monotonic(), signals.stops
        for stage, limit in limits.items():
            children = [child for child in self.children if child.command.stage is stage]
            for child in children:
                child.ask_to_stop()
            while any(child.running for child in children):
                left = begun + limit - time.monotonic()
                if left <= 0 or (signals.stops > asked and stage is not Stage.STORE):
                    break
                signals.wait(left)
            for child in children:
                child.kill()


class Signals:
    """Ctrl-C, SIGTERM and the end of a child, as something to wait for."""

    ASK_TO_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        """Count no signal yet."""
        self.stops = 0
        self._woken, self._wakes = socket.socketpair()
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        """Take the signals over; only the main thread may."""
        for end in (self._woken, self._wakes):
            end.settimeout(0.0)  # as a wake-up descriptor must be
        self._fd = signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        for sig in (*self.ASK_TO_STOP, signal.SIGCHLD):
            if sig is signal.SIGHUP and signal.getsignal(sig) is signal.SIG_IGN:
                continue  # nohup
            self._before[sig] = signal.signal(sig, self._heard)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        for sig, handler in self._before.items():
            signal.signal(sig, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._fd)
        self._woken.close()
        self._wakes.close()

    def wait(self, seconds: float | None) -> None:
        """Return at the next signal, or when the time is up."""
        ready, _, _ = select.select([self._woken], [], [], seconds)
        if ready:
            self._woken.recv(4096)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        self.stops += number in self.ASK_TO_STOP
