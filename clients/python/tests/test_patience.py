"""How long both clients try while the server is away, and how long they wait for what was asked."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

import ringback
from ringback import AsyncRingback, Ringback

from .scripted_server import answer
from .test_hostile_server import STREAM, message, take

NOWHERE = "http://127.0.0.1:1"
TRY_FOR = 0.3  # seconds
HELD = 0.5  # seconds, longer than a server may be away


def _job(state: str) -> dict[str, Any]:
    return {"source": "encoder", "id": "1", "state": state}


WAITS: dict[str, tuple[Callable[..., Any], bytes, bytes]] = {
    "wait": (
        lambda client, **options: client.wait("encoder", "1", **options),
        answer(json.dumps(_job("running")).encode()),
        answer(json.dumps(_job("succeeded")).encode()),
    ),
    "wait_many": (
        lambda client, **options: client.wait_many(["encoder/1"], **options),
        answer(json.dumps({"done": False, "jobs": [_job("running")]}).encode()),
        answer(json.dumps({"done": True, "jobs": [_job("succeeded")]}).encode()),
    ),
    "wait_group": (
        lambda client, **options: client.wait_group("g", **options),
        answer(json.dumps({"id": "g", "state": "running", "counts": {}}).encode()),
        answer(json.dumps({"id": "g", "state": "succeeded", "counts": {}}).encode()),
    ),
}


@pytest.fixture(params=WAITS.values(), ids=WAITS)
def wait(request: pytest.FixtureRequest) -> Any:
    """A call that waits, and what the server says before and after the end."""
    return request.param


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may be away for a short time only."""
    monkeypatch.setattr("ringback.calls.TRY_FOR", TRY_FOR)
    monkeypatch.setattr("ringback.calls.FIRST_PAUSE", 0.05)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is late by more than a moment counts as none."""
    monkeypatch.setattr("ringback.calls.LATE_BY", 0.2, raising=False)


def run(kind: Any, url: str, call: Callable[[Any], Any]) -> Any:
    """Make a call with either client."""
    if kind is Ringback:
        with Ringback(url, "key") as client:
            return call(client)

    async def do() -> Any:
        async with AsyncRingback(url, "key") as client:
            return await call(client)

    return asyncio.run(do())


@pytest.fixture
def clock() -> Callable[[], float]:
    """Seconds since the test began."""
    began = time.monotonic()
    return lambda: time.monotonic() - began


@pytest.mark.usefixtures("short")
def test_a_wait_that_is_cut_after_a_long_time_is_tried_again(
    script: Any, kind: Any, wait: Any
) -> None:
    call, _, end = wait
    assert run(kind, script(HELD, end).url, call)


@pytest.mark.usefixtures("short")
def test_a_wait_may_be_cut_again_and_again(script: Any, kind: Any) -> None:
    call, _, end = WAITS["wait"]
    assert run(kind, script(HELD, HELD, end).url, call)


@pytest.mark.usefixtures("short")
def test_calls_that_are_cut_at_once_are_not_tried_for_ever(script: Any, kind: Any) -> None:
    server = script(*[0.0] * 30)
    with pytest.raises(ringback.Unavailable):
        run(kind, server.url, lambda client: client.wait("encoder", "1"))
    assert 2 <= len(server.requests) < 30


@pytest.mark.usefixtures("short")
def test_events_go_on_after_a_long_time_in_the_consumer(script: Any, kind: Any) -> None:
    broken = STREAM.replace(b"\r\n\r\n", b"\r\ncontent-length: 100000\r\n\r\n")
    server = script(broken + message(1), STREAM + message(2))
    events = take(kind, server.url, 2, HELD)
    assert [event.id for event in events] == ["evt_1", "evt_2"]


@pytest.mark.usefixtures("short")
def test_events_go_on_after_a_long_time_without_bytes(script: Any, kind: Any) -> None:
    (event,) = take(kind, script(HELD, STREAM + message(1)).url, 1)
    assert event.id == "evt_1"


@pytest.mark.usefixtures("short")
def test_events_end_when_the_server_stays_away(kind: Any) -> None:
    with pytest.raises(ringback.Unavailable):
        take(kind, NOWHERE, 1)


def test_a_timeout_holds_while_the_server_is_away(kind: Any, wait: Any, clock: Any) -> None:
    call = wait[0]
    with pytest.raises(ringback.Timeout) as caught:
        run(kind, NOWHERE, lambda client: call(client, timeout=0.7))
    assert 0.7 <= clock() < 5
    assert isinstance(caught.value.__cause__, ringback.Unavailable)
    assert (caught.value.jobs, caught.value.job, caught.value.group) == ((), None, None)


@pytest.mark.usefixtures("hasty")
def test_a_timeout_holds_while_the_server_hangs(
    script: Any, kind: Any, wait: Any, clock: Any
) -> None:
    call = wait[0]
    with pytest.raises(ringback.Timeout) as caught:
        run(kind, script().url, lambda client: call(client, timeout=0.3))
    assert 0.3 <= clock() < 5
    assert isinstance(caught.value.__cause__, ringback.Unavailable)


@pytest.mark.usefixtures("hasty")
def test_a_timeout_has_what_was_known_before_the_server_was_away(
    script: Any, kind: Any, wait: Any
) -> None:
    call, running, _ = wait
    with pytest.raises(ringback.Timeout) as caught:
        run(kind, script(running).url, lambda client: call(client, timeout=0.3))
    known = caught.value.job or caught.value.group
    assert known is not None
    assert known.state == "running"
    assert "running" in str(caught.value) or "1 jobs" in str(caught.value)


def test_a_wait_asks_for_no_more_than_the_time_that_is_left(script: Any, kind: Any) -> None:
    call, _, end = WAITS["wait"]
    server = script(0.5, end)
    run(kind, server.url, lambda client: call(client, timeout=20))
    asked = [
        float(seconds)
        for request in server.requests
        for seconds in re.findall(rb"wait=([\d.]+)", request)
    ]
    assert asked[1] <= asked[0] - 0.5


@pytest.mark.usefixtures("short")
def test_a_server_that_stays_away_is_unavailable_before_the_time_is_over(
    kind: Any, wait: Any, clock: Any
) -> None:
    call = wait[0]
    with pytest.raises(ringback.Unavailable):
        run(kind, NOWHERE, lambda client: call(client, timeout=60))
    assert clock() < 10


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("status", ["502 Bad Gateway", "503 Unavailable", "504 Gateway Timeout"])
def test_a_proxy_without_its_server_is_tried_again(
    script: Any, kind: Any, wait: Any, status: str
) -> None:
    call, _, end = wait
    assert run(kind, script(answer(b"<h1>no</h1>", status), end).url, call)
    server = script(answer(b"", status), answer(json.dumps(_job("running")).encode()))
    assert run(kind, server.url, lambda client: client.get("encoder", "1")).state == "running"
    server = script(answer(b"", status), answer(b"{}"))
    with pytest.raises(ringback.Unavailable):
        run(kind, server.url, lambda client: client.subscribe("https://one.example/"))
    assert len(server.requests) == 1


PROBLEM = json.dumps(
    {"title": "Service unavailable", "detail": "4096 listeners", "request_id": "req_1"}
).encode()


@pytest.mark.usefixtures("short")
def test_refused_events_say_what_the_server_said(script: Any, kind: Any) -> None:
    refused = answer(PROBLEM, "503 Service Unavailable")
    server = script(*[refused] * 30)
    with pytest.raises(ringback.Unavailable) as caught:
        take(kind, server.url, 1)
    error = caught.value
    assert (error.status, error.title, error.detail, error.request_id) == (
        503,
        "Service unavailable",
        "4096 listeners",
        "req_1",
    )
    assert 2 <= len(server.requests) < 30


@pytest.mark.usefixtures("short")
def test_refused_events_are_asked_for_again_when_the_server_says(
    script: Any, kind: Any, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    monkeypatch.setattr("ringback.calls.TRY_FOR", 10.0)
    refused = answer(PROBLEM, "503 Service Unavailable", b"retry-after: 1")
    server = script(refused, STREAM + message(1))
    (event,) = take(kind, server.url, 1)
    assert event.id == "evt_1"
    assert 1 <= clock() < 5


def test_events_are_not_asked_for_again_after_an_error_of_the_server(
    script: Any, kind: Any, clock: Any
) -> None:
    server = script(*[answer(PROBLEM, "500 Internal Server Error")] * 30)
    with pytest.raises(ringback.Unavailable) as caught:
        take(kind, server.url, 1)
    assert (caught.value.status, len(server.requests)) == (500, 1)
    assert clock() < 5
