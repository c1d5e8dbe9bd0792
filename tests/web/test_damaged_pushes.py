"""Damaged pushes: a final status is accepted although another part is damaged; what is stored is valid."""

import json
from typing import Any

import pytest

from .calling import Web, refused
from .pushing import signed

DAMAGED = [
    rb'{"id": "a", "status": "succeeded", "result": {"text": "cut \ud83d"}}',
    rb'{"id": "a", "status": "succeeded", "result": {"text": "x", "\ude00": 1}}',
    b'{"id": "a", "status": "succeeded", "result": {"score": NaN, "n": [-Infinity, 1e400]}}',
    b'{"id": "a", "status": "succeeded", "result": {"n": %b}}' % (b"9" * 5_000),
    b'{"id": "a", "status": "succeeded", "result": {"n": %b}}' % (b"9" * 400),
    b'{"id": "a", "status": "succeeded", "result": "caf\xe9"}',
    b'{"id": "a", "status": "succeeded", "result": "line\nline\x00"}',
    rb'{"id": "a", "status": "succeeded", "result": "nul \u0000"}',
    rb'{"id": "a", "status": "succeeded", "result": "C:\Users\new"}',
    b'{"id": "a", "status": "succeeded", "progress": NaN, "attempt": NaN, "occurred_at": NaN}',
    rb'{"id": "a", "status": "succeeded", "error": {"message": "cut \ud83d", "code": "\ud83d"}}',
    b'\xef\xbb\xbf{"id": "a", "status": "succeeded"}',
    '{"id": "a", "status": "succeeded"}'.encode("utf-16"),
    b'{"id": "a", "status": "succeeded"}\x00',
]
UNREADABLE = [
    (rb'{"id": "a\ud83d", "status": "succeeded"}', "`/id`"),
    (b'{"id": "caf\xe9", "status": "succeeded"}', "`/id`"),
    (b'{"id": NaN, "status": "succeeded"}', "`/id`"),
    (b'{"id": %b, "status": "succeeded"}' % (b"9" * 5_000), "`/id`"),
    (rb'{"id": "a", "status": "succeeded\ud83d"}', "`/status`"),
    (b'{"id": "a", "status": [[[]]]}', "`/status`"),
    (b'{"id": "a", "status": "succeeded", "attempt": "x"}', "`/attempt`"),
    (b'{"id": "a", "status": "succeeded"', "byte 33"),
    (b'{"id": "a", "status": "succeeded"} {"id": "b", "status": "failed"}', "byte 35"),
]
DEEP = b'{"id": "a", "status": "succeeded", "result": {"x": %b%b}}'


@pytest.mark.parametrize("body", DAMAGED, ids=range(len(DAMAGED)))
async def test_a_damaged_value_does_not_hide_a_final_word(web: Web, body: bytes) -> None:
    answer = await web("POST", "/hooks/feed", content=body, headers=signed(body))
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    await web.ingest()
    answer = await web("GET", "/v1/jobs/feed/a")
    job = json.loads(answer.content.decode(), parse_constant=pytest.fail)
    assert (job["state"], job["flags"]) == ("succeeded", [])
    (event,) = await web.items("/v1/events")
    assert event["data"]["result"] == job["result"]


@pytest.mark.parametrize("depth", [300, 5_000, 50_000])
async def test_a_result_that_is_too_deep_is_flagged_and_the_update_accepted(
    web: Web, depth: int
) -> None:
    body = DEEP % (b"[" * depth, b"]" * depth)
    await web("POST", "/hooks/feed", content=body, headers=signed(body))
    await web.ingest()
    job = (await web("GET", "/v1/jobs/feed/a")).json()
    flag = "result_truncated" if depth < 900 else "result_unreadable"
    assert (job["state"], job["result"], job["flags"]) == ("succeeded", None, [flag])


@pytest.mark.parametrize(("body", "place"), UNREADABLE, ids=range(len(UNREADABLE)))
async def test_an_unreadable_push_is_400_with_the_position(
    web: Web, body: bytes, place: str
) -> None:
    answer = await web("POST", "/hooks/feed", content=body, headers=signed(body))
    assert place in refused(answer, 400)
    await web.ingest()
    assert await web.items("/v1/jobs") == []


@pytest.mark.parametrize(
    "bad",
    [b"7", b'{"id": "b"}', rb'{"id": "\ud83d", "status": "failed"}', b"null", b"[]", b"[" * 500],
)
async def test_the_readable_parts_of_a_batch_are_accepted(web: Web, bad: bytes) -> None:
    bad += b"]" * (500 if len(bad) == 500 else 0)
    parts = (rb'{"id": "a", "status": "succeeded"}', bad, b'{"id": "c", "status": "failed"}')
    body = b"[%b, %b, %b]" % parts
    for accepted in (2, 0):
        answer = await web("POST", "/hooks/feed", content=body, headers=signed(body))
        counts = {"accepted": accepted, "duplicates": 2 - accepted, "ignored": 0, "unreadable": 1}
        assert (answer.status_code, answer.json()) == (202, counts)
    await web.ingest()
    assert {job["id"]: job["state"] for job in await web.items("/v1/jobs")} == {
        "a": "succeeded",
        "c": "failed",
    }


async def test_the_signature_is_over_the_bytes_as_they_came(web: Web) -> None:
    body = b'\xef\xbb\xbf{"id": "a", "status": "succeeded", "result": NaN}'
    headers = signed(body.removeprefix(b"\xef\xbb\xbf"))
    refused(await web("POST", "/hooks/feed", content=body, headers=headers), 401)


async def test_a_submitted_response_may_be_damaged(web: Web) -> None:
    inner = rb'{"id": "a", "status": "running", "result": "cut \ud83d", "progress": NaN}'
    for number, submitted in enumerate((inner, json.dumps(inner.decode()).encode())):
        body = b'{"submitted": {"body": %b}}' % submitted
        headers = {"content-type": "application/json"}
        answer = await web("PUT", f"/v1/jobs/asked/mine{number}", content=body, headers=headers)
        assert answer.status_code in {200, 201}, answer.text
        assert answer.json()["id"] == "a"


async def test_a_callers_own_damage_is_refused_with_its_place(web: Web) -> None:
    body = rb'{"metadata": {"name": "cut \ud83d"}}'
    answer = await web(
        "PUT", "/v1/jobs/feed/a", content=body, headers={"content-type": "application/json"}
    )
    assert "`/metadata/name`" in refused(answer, 400)


async def test_a_mark_in_front_of_a_callers_body_is_read_past(web: Web) -> None:
    headers = {"content-type": "application/json"}
    for mark, code in ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le")):
        body = mark + '{"metadata": {"name": "é"}}'.encode(code)
        answer = await web("PUT", "/v1/jobs/feed/a", content=body, headers=headers)
        assert answer.json()["metadata"] == {"name": "é"}


async def test_ids_with_different_undecodable_bytes_are_refused(web: Web) -> None:
    wanted: list[Any] = []
    for byte in (b"\xe9", b"\xe8"):
        body = b'{"id": "caf%b", "status": "succeeded"}' % byte
        refused(await web("POST", "/hooks/feed", content=body, headers=signed(body)), 400)
    await web.ingest()
    assert await web.items("/v1/jobs") == wanted
