"""A response without a length to a client of HTTP/1.0: it ends with the connection.

uvicorn sends it in chunks whatever the version, which such a client takes for content (RFC 9112, 6.1).
"""

import sys

from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

WITHOUT_CHUNKS = {"0.9", "1.0"}  # versions of HTTP
UNKNOWN_LENGTH = sys.maxsize  # bytes that uvicorn lets pass


def send_without_chunks(cycle: RequestResponseCycle) -> None:
    """Have `cycle` send no chunks, and close the connection after its response."""
    cycle.keep_alive = False
    send, sized = cycle.send, True

    async def send_plainly(message: Message) -> None:
        nonlocal sized
        starts = message["type"] == "http.response.start"
        if starts:
            sized = any(name.lower() == b"content-length" for name, _ in message["headers"])
        if starts and not sized:
            cycle.chunked_encoding = False
        elif not sized and not message.get("more_body", False):
            cycle.expected_content_length = len(message.get("body", b""))  # all that is to come
        await send(message)  # type: ignore[arg-type] # the same in uvicorn's types
        if starts and not sized:
            cycle.expected_content_length = UNKNOWN_LENGTH

    cycle.send = send_plainly  # type: ignore[assignment,method-assign] # uvicorn has no setting
