"""A process that `ringback up` starts in place of another ends that one once it has read its settings."""

import os
import signal
from contextlib import suppress

REPLACED = "REPLACED_PROCESS"  # the variable with the id of the process


def variable(pid: int) -> dict[str, str]:
    """The variable by which a process finds the one that it replaces."""
    return {REPLACED: str(pid)}


def end_replaced_process() -> None:
    """Have the replaced process finish what it has begun. If we end before this, it goes on."""
    if pid := os.environ.pop(REPLACED, None):
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGTERM)
