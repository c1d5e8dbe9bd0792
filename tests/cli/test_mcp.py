"""`ringback mcp` carries lines between an agent and a server, whatever the server does."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from processor.cli import mcp
from processor.cli.client import Client
from processor.cli.listen_address import free_port
from processor.cli.loopback_server import Handler, LoopbackServer
from processor.cli.mcp import Bridge
from processor.web.mcp import arguments
from processor.web.mcp.tools import TOOLS

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
VERSION = "io.modelcontextprotocol/protocolVersion"
JSON, STREAM, PROBLEM = "application/json", "text/event-stream", "application/problem+json"


class Answers(Handler):
    """Answers as its server says, and keeps what it got."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # noqa: N802 -- the base's name
        body = self.rfile.read(int(self.headers["content-length"]))
        server: Any = self.server
        server.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
        status, kind, content = server.answer
        self.close_connection = True
        if server.breaks:
            server.breaks -= 1
            self.send_response(200)
            self.send_header("content-type", STREAM)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"8\r\n: ping\n\n\r\n")  # and not the last chunk
            return
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()
        if server.hold:
            server.holding.set()
            server.ended.wait(10)


@pytest.fixture
def server() -> Iterator[Any]:
    made: Any = LoopbackServer(0, Answers)
    made.got, made.hold, made.breaks = [], False, 0
    made.holding, made.ended = threading.Event(), threading.Event()
    with made.serving():
        yield made
        made.ended.set()


@pytest.fixture
def carried(server: Any) -> Callable[..., list[Any]]:
    """What an agent gets that sends these messages and then closes its end."""

    def carry(*sent: Any, url: str = "") -> list[Any]:
        found: list[bytes] = []
        lines = [m if isinstance(m, bytes) else json.dumps(m).encode() for m in sent]
        Bridge(Client(url or server.base, "key"), found.append).run(iter(lines))
        return [json.loads(line) for line in found]

    return carry


def test_a_message_and_its_answer_are_passed_on_as_they_are(server: Any, carried: Any):
    server.answer = 200, JSON, b'{"jsonrpc":"2.0","id":1,"result":{"n":1.50}}'
    found = carried(b' {"jsonrpc": "2.0", "id": 1, "method": "ping"}\r\n', b"\n")
    assert found == [{"jsonrpc": "2.0", "id": 1, "result": {"n": 1.5}}]
    ((headers, body),) = server.got
    assert body == b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
    assert headers["authorization"] == "Bearer key"
    assert "mcp-protocol-version" not in headers


def test_a_stateless_message_gets_its_headers(server: Any, carried: Any):
    server.answer = 202, JSON, b""
    params = {"name": "ä", "_meta": {VERSION: "2026-07-28"}}
    carried({"jsonrpc": "2.0", "method": "tools/call", "params": params})
    headers, _ = server.got[0]
    assert headers["mcp-protocol-version"] == "2026-07-28"
    assert headers["mcp-method"] == "tools/call"
    assert headers["mcp-name"] == "=?base64?w6Q=?="


def test_an_error_of_the_protocol_is_passed_on(server: Any, carried: Any):
    answer = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "no"}}
    server.answer = 400, JSON, json.dumps(answer).encode()
    assert carried(CALL) == [answer]


def test_a_stream_is_passed_on_message_by_message(server: Any, carried: Any):
    progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}
    answer = {"jsonrpc": "2.0", "id": 1, "result": {}}
    frames = [f"data: {json.dumps(one)}\n\n" for one in (progress, answer)]
    server.answer = 200, STREAM, (": ping\n\n" + "".join(frames)).encode()
    assert carried(CALL) == [progress, answer]


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ((401, PROBLEM, b"{}"), "RINGBACK_API_KEY"),
        ((503, PROBLEM, b'{"title":"Busy","detail":"later"}'), "Busy: later"),
        ((200, STREAM, b": ping\n\n"), "try again"),
        ((200, JSON, b""), "try again"),
    ],
)
def test_what_is_no_answer_is_an_error_with_a_remedy(
    server: Any, carried: Any, answer: Any, word: str
):
    server.answer = answer
    (found,) = carried(CALL)
    assert (found["id"], found["error"]["code"]) == (1, -32603)
    assert word in found["error"]["message"]


def test_a_server_that_stays_away_is_an_error(carried: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mcp, "RESTART_TIMEOUT", 0.0)
    (found,) = carried(CALL, url=f"http://127.0.0.1:{free_port('127.0.0.1', 0)}")
    assert "ringback up" in found["error"]["message"]


def wait(**arguments: Any) -> Any:
    params = {"name": "wait_for_job", "arguments": arguments, "_meta": {"progressToken": 1}}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


class Clock:
    """A clock of its own for the bridge: each request takes so many seconds."""

    def __init__(self, server: Any, seconds: float) -> None:
        self._server, self._seconds = server, seconds

    def monotonic(self) -> float:
        return 1.0 + self._seconds * len(self._server.got)

    def sleep(self, seconds: float) -> None:
        assert seconds == mcp.RETRY_PAUSE


def test_a_stream_that_breaks_before_its_answer_is_repeated(
    server: Any, carried: Any, monkeypatch: pytest.MonkeyPatch
):
    """However long it was held: only the time in which the server is away counts."""
    monkeypatch.setattr(mcp, "time", Clock(server, mcp.RESTART_TIMEOUT + 1))
    answer = {"jsonrpc": "2.0", "id": 1, "result": {}}
    server.answer, server.breaks = (200, STREAM, f"data: {json.dumps(answer)}\n\n".encode()), 3
    assert carried(CALL) == [answer]
    assert len(server.got) == 4


def test_a_server_that_breaks_every_stream_at_once_is_an_error(
    server: Any, carried: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(mcp, "time", Clock(server, 1.0))
    server.answer, server.breaks = (202, JSON, b""), 1000
    (found,) = carried(CALL)
    assert "it ended the connection" in found["error"]["message"]
    assert len(server.got) == mcp.RESTART_TIMEOUT + 1


def test_a_stream_that_breaks_after_its_answer_is_not_repeated(server: Any, carried: Any):
    answer = {"jsonrpc": "2.0", "id": 1, "result": {}}
    event = f"data: {json.dumps(answer)}\n\n".encode()
    server.answer = 200, STREAM, event + b"data: more"
    assert carried(CALL) == [answer]
    assert len(server.got) == 1


def test_a_group_is_not_made_again_when_its_stream_breaks(server: Any, carried: Any):
    server.answer, server.breaks = (202, JSON, b""), 1
    (found,) = carried({**CALL, "method": "tools/call", "params": {"name": "create_group"}})
    assert found["error"]["code"] == -32603
    assert len(server.got) == 1


@pytest.mark.parametrize(
    ("given", "left"), [({}, 35.0), ({"timeout": 12}, 2.0), ({"timeout": 8}, 0.0)]
)
def test_a_wait_that_is_repeated_ends_when_it_would_have_ended(
    server: Any, carried: Any, monkeypatch: pytest.MonkeyPatch, given: Any, left: float
):
    monkeypatch.setattr(mcp, "time", Clock(server, 10.0))
    answer = {"jsonrpc": "2.0", "id": 1, "result": {}}
    server.answer, server.breaks = (200, JSON, json.dumps(answer).encode()), 1
    assert carried(wait(id="1", **given)) == [answer]
    first, again = [json.loads(body) for _, body in server.got]
    assert first == wait(id="1", **given)
    assert again == wait(id="1", timeout=left)


def test_the_bridge_knows_the_longest_wait():
    assert mcp.MAX_WAIT == arguments.MAX_WAIT
    assert tuple(name for name, tool in TOOLS.items() if tool.waits) == mcp.WAITS


def test_what_is_not_json_is_an_error(carried: Any):
    (found,) = carried(b"{")
    assert found["error"]["code"] == -32700


@pytest.mark.parametrize(
    "odd",
    [
        b"[" * 100_000,
        b"7",
        {"method": "notifications/cancelled", "params": [1]},
        {"method": "notifications/cancelled", "params": {"requestId": [1]}},
        {"method": "notifications/cancelled", "params": {"requestId": 1}},  # not begun yet
        {"method": "ping", "id": [1]},
        {"method": "ping", "id": 2, "params": {"_meta": [1]}},
        {"method": "ping", "id": 2, "params": {"_meta": {VERSION: "x"}, "name": "\ud800"}},
    ],
)
def test_no_odd_message_ends_the_calls_after_it(server: Any, carried: Any, odd: Any):
    answer = {"jsonrpc": "2.0", "id": 1, "result": {}}
    server.answer = 200, JSON, json.dumps(answer).encode()
    assert answer in carried(odd, CALL)


@pytest.mark.parametrize("data", ["{", "7", "\ud800"])
def test_a_stream_of_something_else_is_an_error(server: Any, carried: Any, data: str):
    server.answer = 200, STREAM, f"data: {data}\n\n".encode("utf-8", "surrogatepass")
    assert carried(CALL)[-1]["error"]["code"] == -32603


def test_a_call_that_is_canceled_gets_no_answer(server: Any, carried: Any):
    """Its connection ends, so that the server stops, too."""
    server.answer, server.hold = (200, STREAM, b": ping\n\n"), True

    def lines() -> Iterator[bytes]:
        yield json.dumps(CALL).encode()
        assert server.holding.wait(10)
        cancel = {"method": "notifications/cancelled", "params": {"requestId": 1}}
        yield json.dumps({"jsonrpc": "2.0", **cancel}).encode()

    found: list[bytes] = []
    Bridge(Client(server.base, "key"), found.append).run(lines())
    assert found == []


@pytest.mark.parametrize(
    ("tool", "error", "again"),
    [
        ("create_group", ConnectionRefusedError(), True),
        ("create_group", ConnectionResetError(), False),
        ("watch_job", ConnectionResetError(), True),
        ("watch_job", TimeoutError(), False),
    ],
)
def test_only_what_may_be_done_twice_is_repeated(tool: str, error: OSError, *, again: bool):
    assert mcp._may_repeat({"params": {"name": tool}}, error) is again
