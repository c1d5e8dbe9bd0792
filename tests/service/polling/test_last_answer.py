"""The last answer about a job: what is kept of its headers can be sent again."""

from functools import partial

import pytest

from processor.egress import Egress, NetworkScope, Policy
from processor.model import HttpResponse
from processor.service.polling.last_answer import LastAnswer
from tests.egress.server import Server, answers


@pytest.mark.parametrize(
    ("etag", "kept"),
    [
        ('W/"a b-1"', 'W/"a b-1"'),
        ('"a\x01b"', ""),
        ('"\x7f"', ""),
        ('"a\rb"', ""),
        ('"caf\ufffd"', ""),
        ('"caf\xe9"', ""),
        ("", ""),
    ],
)
def test_a_header_that_cannot_be_sent_again_is_not_kept(etag: str, kept: str):
    response = HttpResponse(200, {"etag": etag, "content-type": f"text/{etag}"}, b"{}", 0.5)
    answer = LastAnswer.from_response(response, 10.0)
    assert (answer.status, answer.body, answer.at) == (200, b"{}", 9.5)
    assert answer.etag == kept
    assert answer.conditional_headers() == ({"If-None-Match": kept} if kept else {})
    assert answer.content_type in {f"text/{kept}", "application/json"}
    assert answer.content_type.isascii()


@pytest.mark.parametrize("etag", [b'"a\x01b"', b'"\x7f"', b'"caf\xe9"', b'"a\r\n b"'])
async def test_the_next_conditional_request_can_be_sent(etag: bytes):
    raw = b"HTTP/1.1 200 OK\r\nETag: %b\r\nContent-Length: 2\r\n\r\n{}" % etag
    async with Server(partial(answers, raw)) as server, Egress(Policy()) as egress:
        conditional: dict[str, str] = {}
        for _ in range(2):
            response = await egress.request(
                "GET", server.url, headers=conditional, scope=NetworkScope.CONFIGURED, partial=True
            )
            assert response.status == 200
            conditional = {**LastAnswer.from_response(response, 1.0).conditional_headers()}
