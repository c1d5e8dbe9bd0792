"""Reads server-sent events (html.spec.whatwg.org, 9.2)."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")  # a \n may follow an \r that came last


class Message(NamedTuple):
    """One message of the stream."""

    event: str
    data: str


class MessageReader:
    """Collects bytes to messages; `last_id` is the place after the last whole one.

    Lines end only as the standard says: `str.splitlines` would also break data at U+2028.
    """

    def __init__(self, last_id: str | None) -> None:
        self.last_id = last_id
        self.begin()

    def begin(self) -> None:
        """A connection begins: what the one before has not ended is dropped, with its id."""
        self._rest = b""
        self._id, self._event = self.last_id, "message"
        self._data: list[str] = []

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take bytes; the messages that they end."""
        *lines, self._rest = _LINE_END.split(self._rest + data)
        for line in lines:
            message = self._line(line.decode("utf-8", "replace"))
            if message:
                yield message

    def _line(self, text: str) -> Message | None:
        """Take a line; the message that it ends, if it ends one."""
        if not text:
            message = Message(self._event, "\n".join(self._data)) if self._data else None
            self.last_id, self._event, self._data = self._id, "message", []
            return message
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value or None
        return None
