"""Prints to the terminal: lines and columns of text, or with --json only JSON."""

import json as codec
import os
import select
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn, TextIO


def document(value: Any) -> None:
    """Print one JSON value on one line, in ASCII, so that it cannot control the terminal."""
    _print(codec.dumps(value), sys.stdout)


def result(value: Any, *texts: str, json: bool) -> None:
    """Print the value as JSON, or the lines of text that stand for it."""
    if json:
        document(value)
    else:
        for text in texts:
            line(text)


def tree(value: Any) -> None:
    """Print one JSON value indented, with letters as they are and control characters escaped."""
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    text = codec.dumps(value, indent=2, ensure_ascii=plain)
    _print("".join(map(_escaped, text)), sys.stdout)


def _escaped(char: str) -> str:
    return char if char.isprintable() or char == "\n" else codec.dumps(char)[1:-1]


def line(text: str) -> None:
    """Print one line of text."""
    _print(clean(text), sys.stdout)


def notice(text: str) -> None:
    """Print one line on standard error, apart from the result."""
    _print(clean(text), sys.stderr)


def _print(text: str, stream: TextIO) -> None:
    """Print a line; end quietly if nobody reads any more, as after `| head`."""
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        end_quietly()


def end_quietly() -> NoReturn:
    """End as a program that SIGPIPE kills does, and write nothing more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())  # Python flushes them at its end
    sys.exit(128 + signal.SIGPIPE)


def end_if_unread() -> None:
    """End quietly if nobody reads standard output any more, though there is nothing to print."""
    with suppress(OSError, ValueError):  # it is not a real file
        reader = select.poll()
        reader.register(sys.stdout, 0)
        if any(state & select.POLLERR for _, state in reader.poll(0)):
            end_quietly()


def clean(text: str) -> str:
    """Replace unprintable characters: ids and status words come from outside."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print columns at their full width, so that ids can be copied."""
    cells = [list(headings), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line("  ".join(padded).rstrip())


def fields(value: Mapping[str, Any]) -> None:
    """Print the fields of an object that are not empty, one a line, or one a line of a list."""
    full = {name: one for name, one in value.items() if one not in (None, [], {})}
    width = max(map(len, full), default=0)
    for name, one in full.items():
        rows = one if isinstance(one, list) else [one]
        for label, row in zip([name, *[""] * len(rows)], rows, strict=False):
            text = row if isinstance(row, str) else codec.dumps(row, ensure_ascii=False)
            line(f"{label.ljust(width)}  {text}")


def page(
    found: dict[str, Any],
    headings: Sequence[str],
    row: Callable[[dict[str, Any]], Sequence[object]],
    *,
    json: bool,
) -> None:
    """Print one page of a list, and on standard error how to get the next page."""
    if json:
        return document(found)
    table(headings, [row(item) for item in found["items"]])
    if found["next"]:
        notice(f"more: --cursor {found['next']}")
    return None


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return clean(str(value))


def percent(progress: float | None) -> str:
    """A fraction as a percentage, `-` for None."""
    return "-" if progress is None else f"{progress:.0%}"
