"""How a command ends: the exit codes, and the error that carries one."""

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """What the shell sees."""

    GOOD = 0
    FAILED = 1  # a job failed or was canceled; `inspect`: not verified
    USAGE = 2  # the command line, the configuration, or a call that the server refuses
    EXPIRED = 3
    TIMEOUT = 4
    UNREACHABLE = 5  # no server there, or one that cannot serve now


# The states that end a job; a job in any other is not finished.
OF_STATE = {
    "succeeded": Exit.GOOD,
    "failed": Exit.FAILED,
    "canceled": Exit.FAILED,
    "expired": Exit.EXPIRED,
}
WORST_FIRST = (Exit.FAILED, Exit.EXPIRED, Exit.TIMEOUT)


class CommandError(Exception):
    """Ends the command with one line on standard error and an exit code."""

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        """Keep the code beside the line."""
        super().__init__(message)
        self.code = code


def of_jobs(states: Iterable[str]) -> Exit:
    """Give the worst of several jobs' states; an unfinished one ran out of time."""
    found = {OF_STATE.get(state, Exit.TIMEOUT) for state in states}
    return next((code for code in WORST_FIRST if code in found), Exit.GOOD)


def of_status(status: int) -> Exit:
    """Give the code of an HTTP answer that refuses: 4xx is our usage, 5xx is their trouble."""
    return Exit.UNREACHABLE if status >= 500 else Exit.USAGE  # noqa: PLR2004 - HTTP's own line
