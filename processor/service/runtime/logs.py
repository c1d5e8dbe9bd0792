"""Logging: one JSON object a line to stderr, for our own messages and those of libraries."""

import logging
import sys
from contextlib import suppress
from typing import Any, TextIO

import structlog


class LossyStream:
    """An output stream that loses what it cannot write, and never raises for it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        """Everything else is as the stream has it."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write the text if that is possible."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered if that is possible."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def ignore_write_errors() -> None:
    """Have a full disk, or a log whose reader has ended, stop no work: lines are lost then."""
    for name in ("stdout", "stderr"):
        if stream := getattr(sys, name):
            setattr(sys, name, LossyStream(stream))


def configure_logging() -> None:
    """Write JSON lines to stderr; of libraries from WARNING on."""
    ignore_write_errors()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.processors.format_exc_info],
            processor=structlog.processors.JSONRenderer(),
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
