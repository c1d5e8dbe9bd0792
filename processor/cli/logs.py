"""Logs of commands go to standard error, apart from the result, which programs read."""

import sys

import structlog


def configure() -> None:
    """Log to standard error, whatever it is at that moment."""
    structlog.configure(logger_factory=_to_standard_error)


def _to_standard_error(*_: object) -> structlog.PrintLogger:
    return structlog.PrintLogger(sys.stderr)
