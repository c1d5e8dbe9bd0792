"""The head of a request: as given, and no name or value can add a line to it (header injection)."""

import pytest
from hypothesis import given, strategies as st

from processor.egress import Egress, NetworkScope, Policy, urls
from processor.egress.guard import authorize_url
from processor.egress.request_head import request_head, request_target
from processor.errors import BlockedTarget, RequestFailed

from .site import Site

URL = urls.split("https://example.com/a?b=c")
DEFAULTS = (("accept", "*/*"), ("user-agent", "Ringback/9"))
CONTROLS = [chr(code) for code in (*range(9), *range(10, 32), 127)]
NAMES = ["", "a b", "a:", "a\r\nb", "a\n", "\u00e9", "a\x00", "(a)", "a\tb", " a", "a "]
OURS = ["Host", "content-length", "Transfer-Encoding", "connection", "Expect", "upgrade"]


def lines(headers, url=URL, body=None, method="POST"):
    head = request_head(method, request_target(url), headers, DEFAULTS, body)
    assert head.endswith(b"\r\n\r\n")
    return head[:-4].decode().split("\r\n")


def test_headers_are_sent_as_given_after_ours():
    assert lines(
        {"X-A": "1 2\t3", "%s%": "d", "b": "caf\u00e9 %s %d \ufffd", "c": ""}, body=b"xyz"
    ) == [
        "POST /a?b=c HTTP/1.1",
        "host: example.com",
        "accept: */*",
        "user-agent: Ringback/9",
        "X-A: 1 2\t3",
        "%s%: d",
        "b: caf\u00e9 %s %d \ufffd",
        "c: ",
        "content-length: 3",
    ]


def test_a_callers_header_replaces_ours_however_it_is_written():
    assert lines({"User-Agent": "me", "ACCEPT": "x"})[2:] == ["User-Agent: me", "ACCEPT: x"]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://example.com/", "example.com"),
        ("https://example.com:443/", "example.com"),
        ("https://example.com:80/", "example.com:80"),
        ("http://example.com/", "example.com"),
        ("http://example.com:8080/", "example.com:8080"),
        ("https://[2606:4700::1111]/", "[2606:4700::1111]"),
        ("https://[2606:4700::1111]:8443/", "[2606:4700::1111]:8443"),
        ("https://b\u00fccher.example.com/", "xn--bcher-kva.example.com"),
    ],
)
def test_the_host_header_has_the_port_unless_it_is_the_schemes_own(url, host):
    assert lines({}, urls.split(url))[1] == f"host: {host}"


@pytest.mark.parametrize("body", [b"", b"x"])
def test_a_body_has_a_length_even_if_it_is_empty(body):
    assert lines({}, body=body)[-1] == f"content-length: {len(body)}"
    assert not any(line.startswith("content-length") for line in lines({}, body=None))


@pytest.mark.parametrize("control", [*CONTROLS, "\ud800", "\r\nx: y"], ids=ascii)
def test_a_control_character_in_a_value_is_refused_without_the_value(control):
    with pytest.raises(RequestFailed) as refused:
        request_head("POST", URL, {"a": "b", "x-key": f"hunter2{control}"}, DEFAULTS, None)
    assert str(refused.value) == "the header 'x-key' has a line break or another control character"


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_what_is_no_header_name_is_refused(name):
    with pytest.raises(RequestFailed, match="is not a header name"):
        request_head("POST", URL, {name: "x"}, DEFAULTS, None)


@pytest.mark.parametrize("name", OURS)
def test_a_header_that_says_where_the_request_ends_is_refused(name):
    with pytest.raises(RequestFailed, match="is set by the client alone"):
        request_head("POST", URL, {name: "x"}, DEFAULTS, None)


@given(st.dictionaries(st.text() | st.from_regex(r"[A-Za-z-]+", fullmatch=True), st.text()))
def test_any_headers_are_refused_or_become_one_line_each(headers):
    try:
        found = lines(headers)
    except RequestFailed:
        return
    given = {name.lower() for name in headers}
    ours = [name for name, _ in DEFAULTS if name not in given]
    assert found[2 + len(ours) :] == [f"{name}: {value}" for name, value in headers.items()]


@given(st.text(st.characters(codec="utf-8"), max_size=60).map("https://example.com/".__add__))
def test_any_url_is_refused_or_stays_in_the_first_line(url):
    try:
        parsed, _ = authorize_url(url, Policy(), NetworkScope.PUBLIC)
    except BlockedTarget:
        return
    first, host, *_ = lines({}, parsed)
    assert first.split(" ") == ["POST", parsed.tail, "HTTP/1.1"]
    assert host == "host: example.com"


@pytest.mark.parametrize("headers", [{"x": "a\r\nb: c"}, {"x\r\nb": "c"}, {"host": "evil"}])
async def test_of_a_request_with_a_bad_header_nothing_is_sent(headers):
    async with Site() as site, Egress(Policy()) as egress:
        for wanted in (True, False):
            with pytest.raises(RequestFailed):
                await egress.request(
                    "POST",
                    site.url,
                    headers=headers,
                    scope=NetworkScope.CONFIGURED,
                    body_wanted=wanted,
                )
        assert await site.visits() == 0
