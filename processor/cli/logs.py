"""Logs of commands go to standard error, apart from the result, which programs read."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


def configure() -> None:
    """Log to standard error, whatever it is at that moment."""
    structlog.configure(logger_factory=_to_standard_error)


@contextmanager
def nothing_logged() -> Iterator[None]:
    """Log nothing meanwhile: for a command that prints itself what is wrong."""
    factory = structlog.get_config()["logger_factory"]
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    try:
        yield
    finally:
        structlog.configure(logger_factory=factory)


def _to_standard_error(*_: object) -> structlog.PrintLogger:
    return structlog.PrintLogger(sys.stderr)
