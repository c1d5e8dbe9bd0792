"""Just enough HTTP/1.1 framing for messages with a Content-Length: all that the bench meets.

A real parser would cost the shared cores more than the contenders' own work on a message.
"""

from collections.abc import Iterator

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


def body_length(head: bytes) -> int:
    """Return the Content-Length that a head announces."""
    at = head.lower().find(LENGTH)
    if at < 0:
        raise ValueError(
            f"a message without Content-Length, which this bench cannot frame: {head!r}"
        )
    return int(head[at + len(LENGTH) :].split(b"\r", 1)[0])


def messages(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (start, start of body, end) of each whole message in `data`."""
    start = 0
    while (head_end := data.find(HEAD_END, start)) >= 0:
        content = head_end + len(HEAD_END)
        end = content + body_length(data[start:head_end])
        if end > len(data):
            return
        yield start, content, end
        start = end
