"""`ringback mcp`: passes an agent's messages from standard input to /mcp of a server, and back.

The server does everything; this only carries lines. Each request is a thread, since an agent may
make other calls while it waits.
"""

import base64
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from processor.cli import options, sse
from processor.cli.client import Client, RawAnswer, UnreachableError
from processor.cli.exit_codes import CommandError

PATH = "/mcp"
RESTART_TIMEOUT = 30.0  # seconds that a request waits for a server that is away, from then on
RETRY_PAUSE = 0.5
CLOSING_TIMEOUT = 5.0  # seconds for requests in progress once standard input has ended
PARSE_ERROR, INTERNAL_ERROR = -32700, -32603
VERSION = "io.modelcontextprotocol/protocolVersion"
WAITS = ("wait_for_job", "wait_for_jobs")  # tools that take a timeout
MAX_WAIT = 45.0  # seconds; it is their default
NAMES = ("name", "uri", "taskId")  # parameters that a header repeats

Id = str | int | None


@options.server
def mcp(*, server: Client) -> None:
    """Serve an agent over standard input and output (MCP), as /mcp of the server does.

    An agent starts it, and ends it by closing its standard input.

    Example: `claude mcp add ringback -- ringback mcp --url http://127.0.0.1:8080`.
    """
    Bridge(server, _write).run(sys.stdin.buffer)


def _write(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


class Bridge:
    """Carries messages between an agent and a server."""

    def __init__(self, server: Client, write: Callable[[bytes], None]) -> None:
        """`write` sends a line to the agent."""
        self._server = server
        self._send = write
        self._lock = threading.Lock()
        self._running: set[Id] = set()  # ids that have no answer yet
        self._streams: dict[Id, RawAnswer] = {}  # responses in progress, by id
        self._canceled: set[Id] = set()  # ids whose answer nobody wants

    def run(self, lines: Iterator[bytes]) -> None:
        """Carry lines until there are no more."""
        threads: list[threading.Thread] = []
        for line in filter(bytes.strip, lines):
            threads = [thread for thread in threads if thread.is_alive()]
            threads += self._start(line.strip())
        ends = time.monotonic() + CLOSING_TIMEOUT
        for thread in threads:
            thread.join(max(ends - time.monotonic(), 0.0))

    def _start(self, line: bytes) -> list[threading.Thread]:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            self._write(_error(None, PARSE_ERROR, "Not JSON"))
            return []
        message = message if isinstance(message, dict) else {}
        if message.get("method") == "notifications/cancelled":
            self._cancel(_id(_object(message.get("params")).get("requestId")))
            return []
        if (request_id := _id(message.get("id"))) is not None:
            self._running.add(request_id)
        thread = threading.Thread(target=self._carry, args=(line, message), daemon=True)
        thread.start()
        return [thread]

    def _cancel(self, request_id: Id) -> None:
        """Drop a request; ending its connection is how the server learns of it."""
        if request_id in self._running:
            self._canceled.add(request_id)
        if stream := self._streams.get(request_id):
            stream.abort()

    def _carry(self, line: bytes, message: dict[str, Any]) -> None:
        """Send one message, and write what comes back."""
        request_id = _id(message.get("id"))
        try:
            answered = self._exchange(line, message)
            reason = "The server ended the connection; try again"
        except CommandError as error:
            answered, reason = False, str(error)
        except (ValueError, TypeError, RecursionError) as error:
            answered, reason = False, f"Neither a call nor an answer of MCP: {error}"
        if not answered and request_id is not None and request_id not in self._canceled:
            self._write(_error(request_id, INTERNAL_ERROR, reason))
        self._running.discard(request_id)
        self._canceled.discard(request_id)

    def _exchange(self, line: bytes, message: dict[str, Any]) -> bool:
        """Whether the answer came."""
        request_id, began, ends = _id(message.get("id")), time.monotonic(), 0.0
        while True:
            sent_at = time.monotonic()
            try:
                with self._server.post_raw(PATH, line, _headers(message)) as answer:
                    self._streams[request_id] = answer
                    return self._read(answer, request_id)
            except UnreachableError as error:  # it may be restarting
                now = time.monotonic()
                if not ends or now - sent_at > RESTART_TIMEOUT:  # it was there until now
                    ends = now + RESTART_TIMEOUT
                again = _may_repeat(message, error.__cause__)
                if not again or now >= ends or request_id in self._canceled:
                    raise
                time.sleep(RETRY_PAUSE)
                line = _repeated(line, message, time.monotonic() - began)
            finally:
                self._streams.pop(request_id, None)

    def _read(self, answer: RawAnswer, request_id: Id) -> bool:
        if not answer.is_stream:
            raw = answer.body(ours="jsonrpc")
            if raw:
                self._write(raw, request_id)
            return bool(raw)
        for event in sse.Reader(answer.lines()):
            is_answer = "method" not in json.loads(event.data)  # fails if it is not a message
            self._write(event.data.encode(), request_id)
            if is_answer:
                return True
        return False

    def _write(self, line: bytes, request_id: Id = None) -> None:
        if request_id is not None and request_id in self._canceled:
            return
        with self._lock, suppress(BrokenPipeError):
            self._send(line)


def _headers(message: dict[str, Any]) -> dict[str, str]:
    """The headers that repeat a message of the stateless era."""
    params = _object(message.get("params"))
    version = _object(params.get("_meta")).get(VERSION)
    if version is None:
        return {}
    name = next((params[key] for key in NAMES if key in params), None)
    named = {"mcp-protocol-version": version, "mcp-method": message.get("method"), "mcp-name": name}
    return {header: _encoded(str(value)) for header, value in named.items() if value is not None}


def _may_repeat(message: dict[str, Any], error: BaseException | None) -> bool:
    """Whether a request can be sent again: only a group without an id would be made twice."""
    if isinstance(error, ConnectionRefusedError):
        return True
    return "create_group" not in str(message.get("params")) and not isinstance(error, TimeoutError)


def _repeated(line: bytes, message: dict[str, Any], seconds: float) -> bytes:
    """A request to be sent again so many seconds later: a wait ends when it would have ended."""
    params = _object(message.get("params"))
    if params.get("name") not in WAITS:
        return line
    given = _object(params.get("arguments"))
    left = {"timeout": max(given.get("timeout", MAX_WAIT) - seconds, 0.0)}
    return json.dumps({**message, "params": {**params, "arguments": {**given, **left}}}).encode()


def _encoded(text: str) -> str:
    if text.isascii() and text.isprintable() and text == text.strip():
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _id(value: Any) -> Id:
    """The id of a request; None if it is not a valid one: the server refuses it."""
    return value if isinstance(value, str | int) else None


def _error(request_id: Id, code: int, text: str) -> bytes:
    error = {"code": code, "message": text}
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "error": error}).encode()
