"""Server-Sent Events, read: lines in, messages out. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """One message of the stream; `id` is the newest that the stream has named."""

    id: str | None
    event: str
    data: str


def messages(lines: Iterable[bytes]) -> Iterator[Message]:
    """Read the stream as the HTML standard says; comments, `retry` and unknown fields are skipped.

    A message that its blank line does not end is incomplete and is dropped.
    """
    last: str | None = None
    event, data = "message", list[str]()
    for raw in lines:
        text = raw.decode("utf-8", "replace").rstrip("\r\n")
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if not text:
            if data:
                yield Message(last, event, "\n".join(data))
            event, data = "message", []
        elif name == "id":
            last = value
        elif name == "event":
            event = value
        elif name == "data":
            data.append(value)
