"""A server with prepared answers, and the commands that call it."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from processor.cli import main

JSON = {"Content-Type": "application/json"}
STREAM = {"Content-Type": "text/event-stream"}
NO_ANSWER = 0  # in the place of a status code
PROBLEM = {"type": "about:blank", "title": "Not found", "status": 404, "detail": "no job wistia/9"}


@dataclass
class Stub:
    """A server with prepared answers; the last answer of a list is repeated."""

    answers: dict[str, list[tuple[int, dict[str, str], bytes]]] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    otherwise: int = 404

    def responds(self, call: str, *bodies: object, status: int = 200) -> None:
        self.answers[call] = [(status, JSON, json.dumps(body).encode()) for body in bodies]

    def hangs(self, call: str, *bodies: object) -> None:
        """After these answers there is none until the test is over."""
        self.responds(call, *bodies)
        self.answers[call].append((NO_ANSWER, {}, b""))

    def streams(self, *chunks: str) -> None:
        self.answers["GET /v1/events"] = [(200, STREAM, chunk.encode()) for chunk in chunks]


@pytest.fixture
def stub():
    stub = Stub()
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            stub.calls.append((f"{self.command} {self.path}", json.loads(body) if body else None))
            stub.headers.append({name.lower(): value for name, value in self.headers.items()})
            known = stub.answers.get(f"{self.command} {self.path.partition('?')[0]}")
            away = JSON | {"Location": f"{stub.url}/v1/elsewhere"}
            known = known or [(stub.otherwise, away, json.dumps(PROBLEM).encode())]
            status, headers, content = known.pop(0) if len(known) > 1 else known[0]
            if status == NO_ANSWER:
                self.close_connection = over.wait()
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer  # noqa: N815 - the base's names

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield stub
        over.set()
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def ringback(stub: Stub, capsys, monkeypatch):
    monkeypatch.setenv("RINGBACK_URL", stub.url)
    monkeypatch.delenv("RINGBACK_API_KEY", raising=False)

    def run(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return Ended(ended.value.code or 0, *capsys.readouterr())

    return run


Run = Callable[..., Ended]
