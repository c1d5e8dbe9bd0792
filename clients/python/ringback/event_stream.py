"""Reads server-sent events (html.spec.whatwg.org, 9.2), line by line."""

from typing import NamedTuple


class Message(NamedTuple):
    """One message of the stream."""

    event: str
    data: str


class MessageReader:
    """Collects lines to messages; `last_id` is the place after the last one."""

    def __init__(self, last_id: str | None) -> None:
        self.last_id = last_id
        self._event = "message"
        self._data: list[str] = []

    def line(self, text: str) -> Message | None:
        """Take a line; the message that it ends, if it ends one."""
        if not text:
            message = Message(self._event, "\n".join(self._data)) if self._data else None
            self._event, self._data = "message", []
            return message
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self.last_id = value or None
        return None
