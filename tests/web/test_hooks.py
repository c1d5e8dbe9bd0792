"""POST /hooks/{source}: the order of refusals; a 202 means that Redis has stored the push."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from processor.web import request_body

from .calling import Served, Web, refused
from .pushing import medium, push, signed, wistia

BIG = b" " * (request_body.MAX_BODY + 1)
BODY = push()

Fault = Callable[[dict[str, Any]], None]


def nowhere(call: dict[str, Any]) -> None:
    call["path"] = "/hooks/nobody"


def too_large(call: dict[str, Any]) -> None:
    call["content"] = BIG


def compressed(call: dict[str, Any]) -> None:
    call["headers"]["content-encoding"] = "gzip"


def not_json(call: dict[str, Any]) -> None:
    call["headers"]["content-type"] = "text/plain"


def forged(call: dict[str, Any]) -> None:
    call["headers"]["webhook-signature"] = "v1,Zm9yZ2Vk"


def unreadable(call: dict[str, Any]) -> None:
    call["content"] = b"[1"
    call["headers"] |= signed(b"[1") | {
        name: value for name, value in call["headers"].items() if name.startswith("content-")
    }


ORDER: list[tuple[Fault, int]] = [
    (nowhere, 404),
    (too_large, 413),
    (compressed, 415),
    (not_json, 415),
    (forged, 401),
    (unreadable, 400),
]


@pytest.mark.parametrize("place", range(len(ORDER)), ids=[f.__name__ for f, _ in ORDER])
async def test_refusals_come_in_their_order(web: Web, place: int) -> None:
    call = {"path": "/hooks/feed", "content": BODY, "headers": signed(BODY)}
    for fault, _ in reversed(ORDER[place:]):
        fault(call)
    path = call.pop("path")
    assert refused(await web("POST", path, **call), ORDER[place][1])
    assert await web.items("/v1/jobs") == []


@pytest.mark.parametrize("source", ["nobody", "bluesky", "unsigned", "", "feed/", "feed%2f", "%ff"])
async def test_only_sources_that_are_pushed_to_and_can_be_verified_are_there(
    web: Web, source: str
) -> None:
    refused(await web("POST", f"/hooks/{source}", content=BODY, headers=signed(BODY)), 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_pushes_are_posted(web: Web, method: str) -> None:
    answer = await web(method, "/hooks/feed")
    refused(answer, 405)
    assert answer.headers["allow"] == "POST, OPTIONS"


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook-id": ""},
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1a," + "A" * 86},
    ],
    ids=str,
)
async def test_a_wrong_signature_is_401(web: Web, wrong: dict[str, str]) -> None:
    headers = signed(BODY) | wrong
    refused(await web("POST", "/hooks/feed", content=BODY, headers=headers), 401)


@pytest.mark.parametrize("wrong", [600, -600, 3000])
async def test_a_fresh_push_is_accepted_despite_a_wrong_redis_clock(
    web: Web, monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    async def now() -> float:
        return time.time() + wrong

    monkeypatch.setattr(web.context.store, "now", now)
    answer = await web("POST", "/hooks/feed", content=BODY, headers=signed(BODY))
    assert answer.status_code == 202
    late = signed(BODY, now=time.time() - 10_000)
    refused(await web("POST", "/hooks/feed", content=BODY, headers=late), 401)


@pytest.mark.parametrize("age", [-400, 400])
async def test_an_old_or_early_push_is_401(web: Web, age: float) -> None:
    headers = signed(BODY, now=time.time() - age)
    refused(await web("POST", "/hooks/feed", content=BODY, headers=headers), 401)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"status": "running"}',
        b'{"id": "1"}',
        b'{"id": "", "status": "running"}',
        b'{"id": ".", "status": "running"}',
        b'{"id": "..", "status": "running"}',
        b'{"id": "a\\u0000b", "status": "running"}',
        b'{"id": "a\\nb", "status": "running"}',
        b'{"id": "\\u0085", "status": "running"}',
        b'{"id": "' + b"x" * 513 + b'", "status": "running"}',
        b'[{"id": "2"}, {"status": "running"}]',
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_an_unreadable_push_is_400_and_nothing_is_accepted(web: Web, body: bytes) -> None:
    refused(await web("POST", "/hooks/feed", content=body, headers=signed(body)), 400)
    await web.ingest()
    assert await web.items("/v1/jobs") == []


@pytest.mark.parametrize(
    "mime", ["application/json", "application/json; charset=utf-8", "application/cloudevents+json"]
)
async def test_each_json_media_type_is_accepted(web: Web, mime: str) -> None:
    headers = signed(BODY) | {"content-type": mime, "content-encoding": "identity"}
    answer = await web("POST", "/hooks/feed", content=BODY, headers=headers)
    assert (answer.status_code, answer.json()) == (
        202,
        {"accepted": 1, "duplicates": 0, "ignored": 0},
    )


async def test_a_push_about_an_unknown_job_of_a_registered_source_is_held(web: Web) -> None:
    for counts in ((0, 0, 0, 1), (0, 1, 0, 0)):
        answer = await web("POST", "/hooks/registered", content=BODY, headers=signed(BODY))
        names = ("accepted", "duplicates", "ignored", "held")
        assert (answer.status_code, answer.json()) == (202, dict(zip(names, counts, strict=True)))
    await web.ingest()
    refused(await web("GET", "/v1/jobs/registered/1"), 404)
    assert (await web("PUT", "/v1/jobs/registered/1", json={})).status_code == 201
    await web.ingest()
    assert (await web("GET", "/v1/jobs/registered/1")).json()["state"] == "running"
    metrics = (await web("GET", "/metrics")).text
    assert 'ringback_pushes_total{outcome="held",source="registered"} 1.0' in metrics.replace(
        'process="web",', ""
    )


async def test_a_full_hold_answers_503_and_when_to_send_again(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processor.store.inbox.MOST_HELD", 0)
    answer = await web("POST", "/hooks/registered", content=BODY, headers=signed(BODY))
    refused(answer, 503)
    assert answer.headers["retry-after"]
    assert "PUT the jobs" in answer.json()["detail"]


async def test_a_repeated_push_is_a_duplicate(web: Web) -> None:
    for receipt in ((1, 0), (0, 1)):
        answer = await web("POST", "/hooks/feed", content=BODY, headers=signed(BODY))
        assert answer.status_code == 202
        assert tuple(answer.json().values()) == (*receipt, 0)
    await web.ingest()
    assert len(await web.items("/v1/jobs/feed/1/history")) == 1


async def test_a_batch_is_accepted_and_its_parts_are_deduped(web: Web) -> None:
    body = b"[" + b",".join([push("1"), push("2"), push("3")]) + b"]"
    for receipt in ((3, 0), (0, 3)):
        answer = await web("POST", "/hooks/feed", content=body, headers=signed(body))
        assert tuple(answer.json().values()) == (*receipt, 0)
    await web.ingest()
    assert {job["id"] for job in await web.items("/v1/jobs")} == {"1", "2", "3"}


async def test_updates_that_are_not_about_a_job_are_ignored(web: Web) -> None:
    body, headers = wistia(
        medium("media.ready", "a", "u1"),
        medium("media.updated", "b", "u2"),
        medium("media.failed", "c", "u3"),
        {"uuid": "u4", "type": "viewing_session.play", "payload": {}},
    )
    answer = await web("POST", "/hooks/wistia", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (
        202,
        {
            "accepted": 2,
            "duplicates": 0,
            "ignored": 2,
            "ignored_because": [
                "`/type` is `media.updated`, which the profile's `about` does not list",
                "`/type` is `viewing_session.play`, which the profile's `about` does not list",
            ],
        },
    )
    found = (await web("GET", "/metrics")).text
    labels = 'at="/type",process="web",reason="not_listed",source="wistia"'
    assert f"ringback_pushes_ignored_total{{{labels}}} 2.0" in found
    await web.ingest()
    found = {(job["id"], job["kind"], job["state"]) for job in await web.items("/v1/jobs")}
    assert found == {("media:a", "media", "succeeded"), ("media:c", "media", "failed")}


async def test_a_push_with_only_ignored_updates_is_accepted(web: Web) -> None:
    body, headers = wistia(medium("media.deleted", "a", "u1"))
    answer = await web("POST", "/hooks/wistia", content=body, headers=headers)
    assert (answer.status_code, answer.json()["ignored"]) == (202, 1)


async def test_wistia_without_its_signature_is_401(web: Web) -> None:
    body, headers = wistia(medium("media.ready", "a", "u1"))
    del headers["x-wistia-signature"]
    refused(await web("POST", "/hooks/wistia", content=body, headers=headers), 401)


def request(body: bytes, *more: str, **headers: str) -> bytes:
    """A push as bytes, for a line that is closed behind it."""
    names = signed(body) | {"host": "x", "connection": "close"} | headers
    lines = ["POST /hooks/feed HTTP/1.1", *(f"{n}: {v}" for n, v in names.items()), *more]
    return "\r\n".join([*lines, "", ""]).encode()


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))


async def test_a_body_in_pieces_is_one_body(served: Served) -> None:
    head = request(BODY, f"content-length: {len(BODY)}")
    answer = await served.raw(head, BODY[:7], BODY[7:20], BODY[20:])
    assert answer.startswith(b"HTTP/1.1 202 ")
    head = request(BODY, "transfer-encoding: chunked")
    answer = await served.raw(head, chunked(BODY[:5], BODY[5:]))
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert b'"duplicates":1' in answer


@pytest.mark.parametrize(
    "sent",
    [
        [request(b"", f"content-length: {request_body.MAX_BODY + 1}")],
        [request(b"", "content-length: 999999999999")],
        [request(b"", f"content-length: {'0' * 5000}999999999999")],
        [request(b"", "transfer-encoding: chunked"), chunked(*[b" " * 65_536] * 17)[:-5]],
    ],
    ids=["promised", "boasted", "a number too long to read", "without a promise"],
)
async def test_a_body_over_the_limit_is_413_before_it_has_arrived(
    served: Served, sent: list[bytes]
) -> None:
    answer = await served.raw(*sent)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in answer


async def test_a_body_shorter_than_its_content_length_is_never_accepted(
    served: Served, store: Any, wait_until: Any
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(request(BODY, f"content-length: {len(BODY) + 1}") + BODY)
    writer.write_eof()
    assert not (await reader.read()).startswith(b"HTTP/1.1 2")
    writer.close()
    assert await store.backlogs.depth("ingest") == (0, 0.0)


async def test_a_push_is_503_while_redis_is_nearly_full(
    web: Web,
) -> None:
    """The receiver checks each second; here it checked while Redis was at 95 %."""
    hooks, redis = web.client._transport.app._hooks, web.context.store.connection.redis  # type: ignore[attr-defined]
    try:
        await redis.config_set("maxmemory", int((await redis.info("memory"))["used_memory"] / 0.95))
        await hooks._receiver.refresh()
        answer = await web("POST", "/hooks/feed", content=BODY, headers=signed(BODY))
        assert "maxmemory" in refused(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
    finally:
        await redis.config_set("maxmemory", 0)


async def test_a_push_is_503_while_redis_is_unavailable(web_of: Any) -> None:
    web = await web_of(away=True)
    answer = await web("POST", "/hooks/feed", content=BODY, headers=signed(BODY))
    assert "Redis" in refused(answer, 503)
    assert int(answer.headers["retry-after"]) > 0
