"""`ringback listen`: events of a stub server, posted to a real receiver that verifies them."""

import http.server
import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from processor.cli import events, listen

from .stub_server import JSON, Run, Stub

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
EVENTS = "GET /v1/events"


class Receiver:
    """Receives callbacks; answers with the statuses given, and then with the last of them."""

    def __init__(self) -> None:
        self.statuses = [204]
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.url = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.got.append((self.path, dict(self.headers.items()), body))
            statuses = receiver.statuses
            self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/callbacks?a=1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The stream ends after what is prepared; a retry comes at once."""
    monkeypatch.setattr(events, "RECONNECT_PAUSE", 0.0)
    monkeypatch.setattr(events, "RECONNECT_TIMEOUT", 0.0)
    monkeypatch.setattr(listen, "RETRY_PAUSE", 0.0)
    monkeypatch.setenv("RINGBACK_DATA", str(tmp_path / "data"))


def body(name: str) -> str:
    """A payload as it was committed, with its letters as they are."""
    return f'{{"type":"job.succeeded","timestamp":"T","data":{{"source":"ü","id":"{name}"}}}}'


def streamed(stub: Stub, *names: str) -> None:
    """The server streams these events, and is then away."""
    frames = ["retry: 3000\nid: c0\n\n"]
    for name in names:
        data = f'{{"id":"evt_{name}",{body(name)[1:]}'
        frames.append(f"id: c_{name}\nevent: job.succeeded\ndata: {data}\n\n")
    stub.streams("".join(frames))
    stub.answers[EVENTS].append((503, JSON, b"{}"))


def test_an_event_is_posted_as_to_a_subscriber(stub: Stub, ringback: Run, receiver: Receiver):
    streamed(stub, "1")
    ended = ringback("listen", "--to", receiver.url, "--secret", SECRET)
    ((path, headers, content),) = receiver.got
    assert (path, content.decode()) == ("/callbacks?a=1", body("1"))
    assert headers["webhook-id"] == "evt_1"
    Webhook(SECRET).verify(content, headers)
    assert "job.succeeded  ü/1  > 204 (" in ended.out.splitlines()[-1]
    assert SECRET not in ended.out + ended.err


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_without_a_secret_one_is_made_and_printed(
    stub: Stub, ringback: Run, receiver: Receiver, form: tuple[str, ...]
):
    streamed(stub, "1")
    ended = ringback("listen", "--to", receiver.url, *form)
    first = ended.out.splitlines()[0]
    secret = json.loads(first)["secret"] if form else first.split()[1]
    ((_, headers, content),) = receiver.got
    Webhook(secret).verify(content, headers)


def test_it_goes_on_where_it_ended(stub: Stub, ringback: Run, receiver: Receiver, tmp_path: Path):
    streamed(stub, "1", "2")
    words = ("listen", "--to", receiver.url)
    ringback(*words)
    streamed(stub)
    ringback(*words, "--url", f"{stub.url}/")
    ringback(*words, "--new")
    opened = [h.get("last-event-id") for h in stub.headers if "event-stream" in h["accept"]]
    assert opened[0] is None
    assert opened[1:3] == ["c_2", "c_2"]
    assert opened[-1] == "c0" or None in opened[3:]
    (place,) = (tmp_path / "data").iterdir()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert place.name.startswith("listen-")


def test_a_start_before_the_first_event_is_kept_too(
    stub: Stub, ringback: Run, receiver: Receiver, tmp_path: Path
):
    streamed(stub)
    ringback("listen", "--to", receiver.url)
    (place,) = (tmp_path / "data").iterdir()
    assert place.read_text() == "c0\n"


@pytest.mark.parametrize(
    ("statuses", "retries", "tries"),
    [([500], 0, 1), ([500], 2, 3), ([500, 204], 5, 2), ([302], 0, 1), ([204], 3, 1)],
)
def test_an_event_is_tried_once_and_as_often_as_asked_again(
    stub: Stub, ringback: Run, receiver: Receiver, statuses: list[int], *, retries: int, tries: int
):  # fmt: skip
    receiver.statuses = statuses.copy()
    streamed(stub, "1", "2")
    words = ("--retries", str(retries)) if retries else ()
    ended = ringback("listen", "--to", receiver.url, "--json", *words)
    _, first, second = map(json.loads, ended.out.splitlines())
    assert [a["status"] for a in first["attempts"]] == (statuses + [statuses[-1]] * tries)[:tries]
    assert {path for path, *_ in receiver.got} == {"/callbacks?a=1"}
    assert second["event"]["id"] == "evt_2"


def test_a_program_that_is_away_is_shown_and_the_next_event_is_tried(
    stub: Stub, ringback: Run, unused_tcp_port: int
):
    streamed(stub, "1", "2")
    ended = ringback("listen", "--to", f"http://127.0.0.1:{unused_tcp_port}/")
    assert [line.split("> ")[1].split(" (")[0] for line in ended.out.splitlines()[2:]] == [
        "Connection refused",
        "Connection refused",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", "https://hooks.example.com/"), "--allow"),
        (("--to", "http://10.0.0.1/"), "--allow"),
        (("--to", "http://localhost.example.com/"), "--allow"),
        (("--to", "ftp://localhost/"), "write it like"),
        (("--to", "http://[::1"), "write it like"),
        (("--to", "http://localhost:99999/"), "write it like"),
        (("--to", "http://localhost/", "--secret", "x"), "--secret"),
    ],
)
def test_what_may_not_be_posted_to_is_refused_before_any_call(
    stub: Stub, ringback: Run, words: tuple[str, ...], said: str
):
    ended = ringback("listen", *words)
    assert (ended.code, said in ended.err, stub.calls) == (2, True, [])


def test_events_are_selected_by_the_server(stub: Stub, ringback: Run, receiver: Receiver):
    streamed(stub)
    words = ("--source", "wistia", "--type", "job.completed", "--allow")
    ringback("listen", "--to", receiver.url, *words)
    assert stub.calls[0][0] == "GET /v1/events?source=wistia&type=job.completed"


def test_a_place_that_cannot_be_kept_is_named(
    stub: Stub, ringback: Run, receiver: Receiver, tmp_path: Path
):
    (tmp_path / "file").write_text("")
    streamed(stub, "1")
    ended: Any = ringback("listen", "--to", receiver.url, "--data", str(tmp_path / "file"))
    assert ended.code == 2
    assert str(tmp_path / "file") in ended.err
