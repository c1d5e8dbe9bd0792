"""An HTTP server on a loopback port, answering from a thread: a provider or a subscriber."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ACCEPT_QUEUE = 128  # connections that are not accepted yet


class LoopbackServer(ThreadingHTTPServer):
    """Listens as soon as it is made, and answers while `serving`."""

    daemon_threads = True
    request_queue_size = ACCEPT_QUEUE

    def __init__(self, port: int, handler: type["Handler"]) -> None:
        """Port 0 is a free one."""
        super().__init__(("127.0.0.1", port), handler)

    @property
    def base(self) -> str:
        """The URL without a path."""
        return f"http://127.0.0.1:{self.server_port}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Answer while the block runs; afterwards connections are refused."""
        thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            self.server_close()
            thread.join()


class Handler(BaseHTTPRequestHandler):
    """Answers one request; logs nothing."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """The commands print their own lines."""
