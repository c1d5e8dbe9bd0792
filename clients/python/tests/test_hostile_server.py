"""Both clients against servers that break off, or are not Ringback."""

import asyncio
import gzip
import json
import time
from typing import Any

import pytest

import ringback
from ringback import AsyncRingback, Event, Ringback

from .scripted_server import answer

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


def message(number: int, text: str = "x") -> bytes:
    data = {"id": f"evt_{number}", "type": "job.failed", "timestamp": "2026-11-22T10:00:00Z"}
    body = json.dumps(data | {"data": {"text": text}}, ensure_ascii=False)
    return f"id: {number}\nevent: job.failed\ndata: {body}\n\n".encode()


def take(kind: Any, url: str, count: int, seconds: float = 0.0, **options: Any) -> list[Event]:
    """The first events of a stream; each is handled for so many seconds."""

    def handled(event: Event) -> Event:
        time.sleep(seconds)
        return event

    if kind is Ringback:
        with Ringback(url, "key") as client:
            stream = client.events(**options)
            return [handled(next(stream)) for _ in range(count)]

    async def read() -> list[Event]:
        async with AsyncRingback(url, "key") as client:
            stream = client.events(**options)
            return [handled(await anext(stream)) for _ in range(count)]

    return asyncio.run(read())


@pytest.mark.parametrize("text", ["\u2028", "\u0085", "\x7f", "ä\u2029"])
def test_an_event_may_hold_any_character(script: Any, kind: Any, text: str) -> None:
    (event,) = take(kind, script(STREAM + message(1, text)).url, 1)
    assert event.data == {"text": text}


@pytest.mark.parametrize("kept", [4, 9, 25, len(message(2)) - 1])
def test_an_event_that_breaks_off_comes_after_reconnecting(
    script: Any, kind: Any, kept: int
) -> None:
    server = script(STREAM + message(1) + message(2)[:kept], STREAM + message(2) + message(3))
    events = take(kind, server.url, 3)
    assert [event.id for event in events] == ["evt_1", "evt_2", "evt_3"]
    assert server.requests[1].startswith(b"GET /v1/events?after=1 ")


def test_events_are_selected_by_the_server(script: Any, kind: Any) -> None:
    server = script(STREAM + message(1), STREAM + message(2))
    types = iter(["job.completed", "group.completed"])
    events = take(kind, server.url, 2, types=types)
    assert [event.type for event in events] == ["job.failed", "job.failed"]
    asked = b"type=job.completed&type=group.completed"
    assert [request.split()[1] for request in server.requests] == [
        b"/v1/events?" + asked,
        b"/v1/events?" + asked + b"&after=1",
    ]


def test_types_are_no_single_text(kind: Any) -> None:
    with pytest.raises(TypeError, match="list"):
        take(kind, "http://127.0.0.1:1", 1, types="job.completed")


def test_any_cursor_is_for_the_server_to_judge(script: Any, kind: Any) -> None:
    server = script(answer(b"{}", "400 Bad Request"))
    with pytest.raises(ringback.Invalid):
        take(kind, server.url, 1, after="1\nä")
    assert server.requests[0].startswith(b"GET /v1/events?after=1%0A%C3%A4 ")


@pytest.mark.parametrize(
    "wrong",
    [
        answer(b"<h1>Welcome</h1>"),
        answer(b"\xff"),
        answer(b"[" * 100_000),
        answer(b"[1]"),
        answer(b""),
        answer(b"", "307 Temporary Redirect", b"location: http://127.0.0.1:1/"),
        answer(b'{"detail": {}, "title": []}', "418 Teapot"),
    ],
    ids=["HTML", "bytes", "deep", "list", "empty", "redirect", "odd problem"],
)
def test_what_is_not_ringback_is_an_error_of_ours(script: Any, kind: Any, wrong: bytes) -> None:
    with pytest.raises(ringback.RingbackError), Ringback(script(wrong).url, "key") as client:
        client.get("encoder", "1")
    with pytest.raises(ringback.RingbackError):
        take(kind, script(wrong).url, 1)


def test_a_body_that_cannot_be_unpacked_is_an_error_of_ours(script: Any) -> None:
    broken = answer(gzip.compress(b"{}")[:-9] + b"x" * 9, "200 OK", b"content-encoding: gzip")
    with (
        Ringback(script(broken).url, "key") as client,
        pytest.raises(ringback.Unavailable),
    ):
        client.subscribe("https://one.example/")


@pytest.mark.parametrize("name", [".", ".."])
def test_dots_are_a_name_and_lead_nowhere_else(script: Any, name: str) -> None:
    server = script(answer(b"{}", "422 Unprocessable Content"))
    with Ringback(server.url, "key") as client, pytest.raises(ringback.Invalid):
        client.get("encoder", name)
    dots = name.replace(".", "%2E").encode()
    assert server.requests[0].startswith(b"GET /v1/jobs/encoder/" + dots + b" ")
