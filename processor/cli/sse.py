"""Parses Server-Sent Events: lines in, messages out; no I/O."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

_END = re.compile("\r\n|\n|\r")
_BOM = "\ufeff"


@dataclass(frozen=True)
class Message:
    """One message of the stream; `id` is the latest id in the stream."""

    id: str | None
    event: str
    data: str


class Reader:
    """Parses a stream as the HTML standard says; skips comments, `retry` and unknown fields.

    A block without data is not a message, but its `id` counts: resume after `last_id`.
    A block without a blank line at its end is incomplete, and is dropped with its `id`.
    """

    def __init__(self, lines: Iterable[bytes], last_id: str | None = None) -> None:
        """`last_id` is the id after which the stream was opened."""
        self._lines = lines
        self.last_id = last_id
        self.passed: Callable[[str | None], None] = lambda _: None
        """Called with the id of each block, once its message was handled."""

    def __iter__(self) -> Iterator[Message]:
        """The messages as they come."""
        named, event, data = self.last_id, "", list[str]()
        for text in self._texts():
            name, _, value = text.partition(":")
            value = value.removeprefix(" ")
            if not text:
                self.last_id = named
                if data:
                    yield Message(named, event or "message", "\n".join(data))
                event, data = "", []
                self.passed(named)
            elif name == "id" and "\0" not in value:
                named = value
            elif name == "event":
                event = value
            elif name == "data":
                data.append(value)

    def _texts(self) -> Iterator[str]:
        """The lines, without their ends of three kinds and without a byte order mark."""
        mark = _BOM
        for raw in self._lines:
            text = raw.decode("utf-8", "replace").removeprefix(mark)
            mark = ""
            found = _END.split(text)
            yield from found[:-1] if len(found) > 1 and not found[-1] else found
