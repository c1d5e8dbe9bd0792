"""Errors: each is a problem document with a remedy; internal errors are logged with its id."""

import gzip
from typing import Any

import pytest
from structlog.testing import capture_logs

from processor.service.jobs import listing
from processor.web import request_body

from .calling import KEY, Served, Web, refused

WRITES = [
    ("PUT", "/v1/jobs/feed/1"),
    ("DELETE", "/v1/jobs/feed/1"),
    ("POST", "/v1/jobs/feed/1/poll"),
    ("POST", "/v1/subscriptions"),
    ("DELETE", "/v1/subscriptions/sub_x"),
    ("POST", "/v1/subscriptions/sub_x/rotate"),
    ("POST", "/v1/subscriptions/sub_x/test"),
    ("POST", "/v1/wait"),
    ("PUT", "/v1/groups/g/jobs/feed/1"),
    ("POST", "/v1/groups/g/close"),
    ("DELETE", "/v1/groups/g"),
]
NEEDED = {
    "/v1/subscriptions": {"url": "https://hooks.example.com/"},
    "/v1/wait": {"jobs": ["feed/1"]},
}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize("body", [b"{", b"nul", b"\xff{}", b"{}{}", b"[" * 100_000], ids=range(5))
async def test_bad_json_is_400(web: Web, method: str, path: str, body: bytes) -> None:
    assert "the body is" in refused(await web(method, path, content=body, headers=JSON), 400)


@pytest.mark.parametrize(("method", "path"), WRITES[:4])
async def test_a_body_that_is_nested_too_deeply_is_400(web: Web, method: str, path: str) -> None:
    """A worker that reads it later has less stack left than the receiver."""
    body = b'{"metadata": {"a": %b%b}}' % (b"[" * 300, b"]" * 300)
    assert "nested" in refused(await web(method, path, content=body, headers=JSON), 400)


@pytest.mark.parametrize("inside", [b"[[[]]]", b"[" * 90 + b"]" * 90, b"[" + b"[]," * 300 + b"1]"])
async def test_a_nested_or_long_body_within_limits_is_accepted(web: Web, inside: bytes) -> None:
    body = b'{"metadata": {"a": %b}}' % inside
    answer = await web("PUT", "/v1/jobs/feed/1", content=body, headers=JSON)
    assert answer.status_code == 201


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_an_unknown_key_is_422(web: Web, method: str, path: str) -> None:
    needed = {"url": "https://x.example/"} if path == "/v1/subscriptions" else {}
    assert "colour" in refused(await web(method, path, needed | {"colour": 1}), 422)


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize("mime", ["text/plain", "application/x-www-form-urlencoded", "json", None])
async def test_a_write_that_is_not_json_is_415(
    web: Web, method: str, path: str, mime: str | None
) -> None:
    headers = {"content-type": mime} if mime else {}
    assert "application/json" in refused(
        await web(method, path, content=b"{}", headers=headers), 415
    )


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_a_compressed_write_is_415(web: Web, method: str, path: str) -> None:
    headers = JSON | {"content-encoding": "gzip"}
    body = gzip.compress(b"{}")
    assert "uncompressed" in refused(await web(method, path, content=body, headers=headers), 415)


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_too_large_a_body_is_413(web: Web, method: str, path: str) -> None:
    body = b" " * (request_body.MAX_BODY + 1)
    refused(await web(method, path, content=body, headers=JSON), 413)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1"),
        ("GET", "/v1/"),
        ("GET", "/v1/jobs/"),
        ("GET", "/v1/jobs/feed"),
        ("GET", "/v1/jobs/feed/"),
        ("GET", "/v1/jobs/feed/1"),
        ("PUT", "/v1/jobs/nobody/1"),
        ("DELETE", "/v1/jobs/nobody/1"),
        ("POST", "/v1/jobs/feed/1/poll"),
        ("GET", "/v1/jobs/feed/1/history"),
        ("GET", "/v1/subscriptions/sub_x"),
        ("GET", "/v1/subscriptions/cb_x"),
        ("POST", "/v1/subscriptions/sub_x/rotate"),
        ("GET", "/v1/wait/"),
        ("GET", "/v1/groups/g"),
        ("GET", "/v1/groups/g/jobs"),
        ("GET", "/v1/groups/g/jobs/feed/"),
        ("PUT", "/v1/groups/g/jobs/nobody/1"),
        ("POST", "/v1/groups/g/close"),
        ("GET", "/healthz/"),
        ("GET", "//v1/jobs"),
    ],
)
async def test_an_unknown_object_is_404(web: Web, method: str, path: str) -> None:
    refused(await web(method, path, {} if method == "PUT" else None), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/jobs/feed/1", {"GET", "HEAD", "PUT", "DELETE"}),
        ("PUT", "/v1/subscriptions/sub_x", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("PUT", "/v1/subscriptions", {"GET", "HEAD", "POST"}),
        ("PUT", "/v1/groups", {"GET", "HEAD", "POST"}),
        ("PUT", "/v1/groups/g", {"GET", "HEAD", "DELETE"}),
        ("GET", "/v1/groups/g/close", {"POST"}),
        ("DELETE", "/v1/wait", {"GET", "HEAD", "POST"}),
        ("GET", "/v1/subscriptions/sub_x/rotate", {"POST"}),
        ("OPTIONS", "/v1/events", {"GET", "HEAD"}),
        ("POST", "/mirror/bluesky/x", {"GET", "HEAD"}),
        ("DELETE", "/healthz", {"GET", "HEAD"}),
    ],
)
async def test_another_method_is_405_naming_all_there_are(
    web: Web, method: str, path: str, allowed: set[str]
) -> None:
    answer = await web(method, path)
    refused(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs?colour=red",
        "/v1/jobs?after=x",
        "/v1/jobs/feed/1?history=1",
        "/v1/jobs/feed/1/history?wait=1",
        "/v1/subscriptions?state=x",
        "/v1/subscriptions/sub_fixed?limit=1",
        "/v1/deliveries?subscription=sub_fixed&after=x",
        "/v1/events?cursor=x",
        "/v1/sources?state=x",
        "/v1/jobs/feed/1/callbacks?state=x",
        "/v1/groups?state=x",
        "/v1/groups/g?limit=1",
        "/v1/groups/g/jobs?state=x",
        "/v1/wait?jobs=x",
    ],
)
async def test_an_unknown_query_parameter_is_422(web: Web, path: str) -> None:
    await web.push("1", "running")
    assert "Unknown query parameter" in refused(await web("GET", path), 422)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs?state=queued&state=running",
        "/v1/events?source=feed&source=asked",
        "/v1/jobs/feed/1?wait=0&wait=1",
        "/v1/wait?job=feed/1&mode=any&mode=all",
    ],
)
async def test_a_second_value_is_422_and_not_the_only_one_that_counts(web: Web, path: str) -> None:
    await web.push("1", "running")
    assert "more than once" in refused(await web("GET", path), 422)


LISTS = ["/v1/jobs", "/v1/groups", "/v1/jobs/feed/1/history", "/v1/subscriptions", "/v1/events"]
LISTS += ["/v1/deliveries?subscription=sub_fixed", "/v1/sources", "/v1/jobs/feed/1/callbacks"]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("limit", ["0", "201", "-1", "1.5", "many", "", "nan", "1e400"])
async def test_a_limit_is_1_to_200(web: Web, path: str, limit: str) -> None:
    await web.push("1", "running")
    asked = f"{path}{'&' if '?' in path else '?'}limit={limit}"
    assert "limit" in refused(await web("GET", asked), 422)


@pytest.mark.parametrize("path", [path for path in LISTS if path != "/v1/events"])
@pytest.mark.parametrize("cursor", ["", "x", "0.+inf", "WzEsMl0", "bnVsbA", "%ff", "ü"])
async def test_an_invented_cursor_is_400(web: Web, path: str, cursor: str) -> None:
    await web.push("1", "running")
    asked = f"{path}{'&' if '?' in path else '?'}cursor={cursor}"
    assert "cursor" in refused(await web("GET", asked), 400)


@pytest.mark.parametrize("cursor", ["0.+inf.-5", "-1.+inf.0", "0.5." + "9" * 30])
async def test_a_cursor_that_redis_does_not_accept_is_400(web: Web, cursor: str) -> None:
    assert "cursor" in refused(await web("GET", "/v1/jobs", params={"cursor": cursor}), 400)


async def test_a_redis_outage_is_503_with_retry_after(web_of: Any) -> None:
    web = await web_of(away=True)
    for method, path in (*WRITES, ("GET", "/v1/jobs"), ("GET", "/v1/sources"), ("GET", "/metrics")):
        answer = await web(method, path, NEEDED.get(path, {} if method == "PUT" else None))
        assert "Redis" in refused(answer, 503)
        assert answer.headers["retry-after"] == "5"


# --- what the log says ----------------------------------------------------------------------


async def test_the_request_id_of_an_internal_error_is_logged(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug = ZeroDivisionError("with secrets in it")

    async def fail(*_: object) -> None:
        raise bug

    monkeypatch.setattr(listing, "jobs", fail)
    with capture_logs() as lines:
        answer = await web("GET", "/v1/jobs")
    refused(answer, 500)
    (line,) = lines
    assert line["request_id"] == answer.json()["request_id"]
    assert (line["log_level"], line["exc_info"]) == ("error", bug)
    assert "secrets" not in answer.text


async def test_invalid_requests_are_not_logged(web: Web) -> None:
    with capture_logs() as lines:
        refused(await web("GET", "/v1/jobs/feed/1"), 404)
        refused(await web("POST", "/hooks/feed", content=b"{", headers=JSON), 401)
        refused(await web("PUT", "/v1/jobs/feed/1", content=b"{", headers=JSON), 400)
    assert [line for line in lines if line["event"] != "redis_misconfigured"] == []


async def test_an_internal_error_is_a_500_and_one_traceback(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not a second one of the server's, which knows no request_id."""

    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(listing, "jobs", fail)
    refused(await served.client.get("/v1/jobs"), 500)
    assert (await served.client.get("/healthz")).status_code == 200
    assert caplog.records == []


async def test_a_head_is_a_get_without_its_body(served: Served) -> None:
    for path, status in (("/healthz", 200), ("/v1/jobs", 200), ("/v1/jobs/feed/1", 404)):
        answer = await served.client.head(path)
        assert (answer.status_code, answer.content) == (status, b"")


async def test_a_head_of_the_stream_ends_and_leaves_its_connection_usable(served: Served) -> None:
    head = b" HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nauthorization: Bearer %b\r\n"
    asked = b"HEAD /v1/events" + head % KEY.encode() + b"\r\n"
    then = b"GET /v1/sources" + head % KEY.encode() + b"connection: close\r\n\r\n"
    stream, _, rest = (await served.raw(asked, then)).partition(b"\r\n\r\n")
    assert b"content-type: text/event-stream" in stream
    assert rest.startswith(b"HTTP/1.1 200")
    assert b'"items"' in rest
