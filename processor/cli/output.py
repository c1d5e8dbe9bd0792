"""What goes to the terminal: people get lines and columns, programs get JSON and nothing else."""

import json as codec
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any


def document(value: Any) -> None:
    """Print one JSON value on one line; ASCII, so that no byte of it can steer a terminal."""
    print(codec.dumps(value), flush=True)  # noqa: T201 - this is where the CLI prints


def tree(value: Any) -> None:
    """Print one JSON value for people: indented, in their letters, and yet nothing that steers."""
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    text = codec.dumps(value, indent=2, ensure_ascii=plain)
    print("".join(map(_inert, text)), flush=True)  # noqa: T201 - this is where the CLI prints


def _inert(char: str) -> str:
    return char if char.isprintable() or char == "\n" else codec.dumps(char)[1:-1]


def line(text: str) -> None:
    """Print one line for people."""
    print(clean(text), flush=True)  # noqa: T201 - this is where the CLI prints


def say(text: str) -> None:
    """Print one line beside the result: on standard error."""
    print(clean(text), file=sys.stderr, flush=True)  # noqa: T201 - this is where the CLI prints


def clean(text: str) -> str:
    """Replace what is not printable: ids and status words come from strangers."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print columns, never cut short: ids are there to be copied."""
    cells = [list(headings), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line("  ".join(padded).rstrip())


def page(
    found: dict[str, Any],
    headings: Sequence[str],
    row: Callable[[dict[str, Any]], Sequence[object]],
    *,
    json: bool,
) -> None:
    """Print one page of a list, and on standard error how to get the next."""
    if json:
        return document(found)
    table(headings, [row(item) for item in found["items"]])
    if found["next"]:
        say(f"more: --cursor {found['next']}")
    return None


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return clean(str(value))


def percent(progress: float | None) -> str:
    """Show a fraction as a percentage, or nothing."""
    return "-" if progress is None else f"{progress:.0%}"
