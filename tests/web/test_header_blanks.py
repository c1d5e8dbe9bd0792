"""Blanks after the value of a header do not belong to it (RFC 9110, 5.5)."""

import json

import pytest

from .calling import BEARER, Served
from .pushing import push, signed

BLANKS = [" ", "\t", " \t "]


def request(line: str, body: bytes, headers: dict[str, str]) -> bytes:
    names = {"host": "localhost", "connection": "close", "content-length": str(len(body))}
    lines = [f"{line} HTTP/1.1", *(f"{n}: {v}" for n, v in (names | headers).items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def length(body: bytes, digits: int = 0) -> dict[str, str]:
    return {"content-length": f"{len(body):0{digits}}"}


@pytest.mark.parametrize("blanks", BLANKS, ids=repr)
@pytest.mark.parametrize("name", [*signed(b""), "content-length", "content-encoding"])
async def test_they_are_cut_from_a_push(served: Served, name: str, blanks: str) -> None:
    body = push()
    headers = signed(body) | length(body) | {"content-encoding": "identity"}
    headers[name] += blanks
    response = await served.raw(request("POST /hooks/feed", body, headers))
    assert response.startswith(b"HTTP/1.1 202 "), response


@pytest.mark.parametrize("blanks", BLANKS, ids=repr)
@pytest.mark.parametrize("name", ["authorization", "content-type", "content-length"])
async def test_they_are_cut_from_a_call(served: Served, name: str, blanks: str) -> None:
    body = b'{"metadata":{"order":42}}'
    headers = BEARER | {"content-type": "application/json"} | length(body)
    headers[name] += blanks
    response = await served.raw(request("PUT /v1/jobs/feed/1", body, headers))
    assert response.startswith(b"HTTP/1.1 201 "), response
    assert json.loads(response.rpartition(b"\r\n\r\n")[2])["metadata"] == {"order": 42}


@pytest.mark.parametrize("empty", ["0 ", "00", "000000000000"])
async def test_a_call_without_a_body_may_say_so(served: Served, empty: str) -> None:
    """It needs no content type then: the 404 is of a job that is not there."""
    headers = BEARER | {"content-length": empty}
    response = await served.raw(request("POST /v1/jobs/feed/nobody/poll", b"", headers))
    assert response.startswith(b"HTTP/1.1 404 "), response


@pytest.mark.parametrize("digits", [9, 10, 12, 5000])
async def test_zeros_before_a_length_do_not_count(served: Served, digits: int) -> None:
    body = push()
    call = request("POST /hooks/feed", body, signed(body) | length(body, digits))
    assert (await served.raw(call)).startswith(b"HTTP/1.1 202 ")


async def test_a_length_of_many_digits_is_too_large(served: Served) -> None:
    headers = signed(b"") | {"content-length": "1" + "0" * 12}
    response = await served.raw(request("POST /hooks/feed", b"", headers))
    assert response.startswith(b"HTTP/1.1 413 ")
