"""The exit codes of commands, and the error that ends a command with one."""

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """An exit code."""

    GOOD = 0
    FAILED = 1  # a job or a part of a group failed or was canceled; `inspect`: refused
    USAGE = 2  # wrong command line or configuration, or the server refuses the call
    EXPIRED = 3
    TIMEOUT = 4
    UNREACHABLE = 5  # the server cannot be reached, or cannot serve now


# The states in which a job or a group has ended.
CODE_OF_STATE = {
    "succeeded": Exit.GOOD,
    "failed": Exit.FAILED,
    "canceled": Exit.FAILED,
    "partial": Exit.FAILED,
    "expired": Exit.EXPIRED,
}
WORST_FIRST = (Exit.FAILED, Exit.EXPIRED, Exit.TIMEOUT)


class CommandError(Exception):
    """Ends the command with a line on standard error and an exit code."""

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.code = code


def code_of_jobs(states: Iterable[str]) -> Exit:
    """The exit code of the worst of several jobs and groups; an unfinished one is a timeout."""
    found = {CODE_OF_STATE.get(state, Exit.TIMEOUT) for state in states}
    return next((code for code in WORST_FIRST if code in found), Exit.GOOD)


def code_of_status(status: int) -> Exit:
    """The exit code of an HTTP error: 4xx is wrong usage, 5xx is a server that cannot serve."""
    return Exit.UNREACHABLE if status >= 500 else Exit.USAGE  # noqa: PLR2004 - HTTP's own line
