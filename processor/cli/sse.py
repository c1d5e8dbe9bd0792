"""Server-Sent Events, read: lines in, messages out. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_END = re.compile("\r\n|\n|\r")
_BOM = "\ufeff"


@dataclass(frozen=True)
class Message:
    """One message of the stream; `id` is the newest that the stream has named."""

    id: str | None
    event: str
    data: str


class Reader:
    """Reads a stream as the HTML standard says; comments, `retry` and unknown fields are skipped.

    A block without data is no message, but its `id` counts: `last_id` is where to go on from.
    A block that no blank line ends is incomplete, and is dropped with its `id`.
    """

    def __init__(self, lines: Iterable[bytes], last_id: str | None = None) -> None:
        """Take the lines, and the id that the stream was asked to go on from."""
        self._lines = lines
        self.last_id = last_id

    def __iter__(self) -> Iterator[Message]:
        """Give the messages as they come."""
        named, event, data = self.last_id, "", list[str]()
        for text in self._texts():
            name, _, value = text.partition(":")
            value = value.removeprefix(" ")
            if not text:
                self.last_id = named
                if data:
                    yield Message(named, event or "message", "\n".join(data))
                event, data = "", []
            elif name == "id" and "\0" not in value:
                named = value
            elif name == "event":
                event = value
            elif name == "data":
                data.append(value)

    def _texts(self) -> Iterator[str]:
        """The lines, whichever of the three ends they have, behind a byte order mark."""
        mark = _BOM
        for raw in self._lines:
            text = raw.decode("utf-8", "replace").removeprefix(mark)
            mark = ""
            found = _END.split(text)
            yield from found[:-1] if len(found) > 1 and not found[-1] else found


def messages(lines: Iterable[bytes]) -> Iterator[Message]:
    """Give the messages of a stream that begins here."""
    return iter(Reader(lines))
