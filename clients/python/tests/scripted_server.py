"""A server that answers as a test says, with real sockets."""

import contextlib
import re
import socket
import threading
import time


class Script:
    """Answers each connection with the next bytes, and closes it; then it answers none.

    An answer of seconds instead of bytes: the connection is held for so long, and cut.
    """

    def __init__(self, *answers: bytes | float) -> None:
        self._answers = list(answers)
        self.requests: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            with connection, contextlib.suppress(ConnectionError):  # the client may go first
                self.requests.append(_request(connection))
                if isinstance(answer, bytes):
                    connection.sendall(answer)
                else:
                    time.sleep(answer)

    def close(self) -> None:
        """Take no connections any more."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # ends a thread that waits for one
        self._socket.close()


def _request(connection: socket.socket) -> bytes:
    """A request with its body: what is not read would turn the end of the answer into a reset."""
    with connection.makefile("rb") as file:
        head = b""
        while not head.endswith(b"\r\n\r\n") and (line := file.readline()):
            head += line
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        return head + file.read(int(length[1]) if length else 0)


def answer(body: bytes, status: str = "200 OK", *headers: bytes) -> bytes:
    """The bytes of an answer."""
    head = [f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}".encode(), *headers]
    return b"\r\n".join([*head, b"connection: close", b"", body])


class Holding:
    """Holds every call with a `wait`, until `release`; answers all others at once. The job has succeeded."""

    def __init__(self) -> None:
        self._released = threading.Event()
        self._held = 0
        self._changed = threading.Condition()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError):  # the client may go first
            if b"?wait=" in _request(connection):
                with self._changed:
                    self._held += 1
                    self._changed.notify_all()
                self._released.wait(60)
            connection.sendall(answer(b'{"source": "encoder", "id": "1", "state": "succeeded"}'))

    def holds(self, count: int, seconds: float = 10.0) -> bool:
        """Whether so many calls are held within these seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._held >= count, seconds)

    def release(self) -> None:
        """Answer what is held, and all that comes."""
        self._released.set()

    def close(self) -> None:
        """Take no connections any more."""
        self.release()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # ends a thread that waits for one
        self._socket.close()
