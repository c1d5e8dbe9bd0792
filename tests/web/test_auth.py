"""Authentication: every caller with a key may call, from any address, and no other."""

import os
import subprocess
import sys
from typing import Any

import pytest

from processor.config import require_keys
from processor.errors import ConfigError

from .calling import BEARER, KEY, Served, Web, refused
from .pushing import push, signed

KEYS = {"RINGBACK_API_KEYS": "k1,k2"}
GUARDED = [
    "/v1/jobs",
    "/v1/events",
    "/v1/sources",
    "/v1/subscriptions",
    "/v1/deliveries",
    "/v1/jobs/feed/1",
    "/metrics",
    "/openapi.json",
    "/mirror/bluesky/xrpc/app.bsky.video.getJobStatus?jobId=1",
    "/nothing",
]
OTHER_SPELLINGS = [
    "//v1/jobs",
    "/v1//jobs",
    "/v1/../v1/jobs",
    "/V1/jobs",
    "/v1/jobs/",
    "/v1%2Fjobs",
    "/%76%31/jobs",
    "/hooks",
    "/hook/../v1/jobs",
    "/healthz/",
    "/healthz/../v1/jobs",
    "/healthz%2F..%2Fv1/jobs",
    "/healthzz",
    "/readyz/",
    "/readyz;/v1/jobs",
    "/./healthz",
    "/mirror/open",
    "/mirror/openly/x",
    "/mirror/open%2F../v1/jobs",
    "/mirror/OPEN/xrpc/app.bsky.video.getJobStatus?jobId=1",
    "/v1/jobs?key=k1",
    "/v1/jobs?authorization=Bearer%20k1",
    "/v1/jobs?access_token=k1",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "MADE-UP"]
FROM_HERE: list[dict[str, str]] = [
    {},
    {"host": "localhost"},
    {"host": "127.0.0.1:8080"},
    {"host": "[::1]"},
    {"host": "evil.example"},
    {"host": "x/mirror/open/"},
    {"host": "localhost/healthz?"},
    {"host": "x:1/mirror/open/#"},
    {"host": "@x/hooks/feed"},
    {"x-real-ip": "127.0.0.1"},
    {"x-forwarded-for": "127.0.0.1"},
    {"forwarded": "for=127.0.0.1"},
    {"sec-fetch-site": "same-origin"},
    {"origin": "http://localhost:8080"},
    {"cookie": "key=k1; session=k1"},
    {"x-api-key": "k1"},
    {"x-original-url": "/healthz"},
    {"x-http-method-override": "GET"},
    {"proxy-authorization": "Bearer k1"},
]
MIRROR = "/xrpc/app.bsky.video.getJobStatus?jobId=1"


@pytest.fixture
async def keyed(web_of: Any) -> Web:
    made: Web = await web_of(**KEYS)
    return made


@pytest.mark.parametrize("path", GUARDED)
async def test_without_a_key_every_path_is_401(keyed: Web, path: str) -> None:
    answer = await keyed.without_key("GET", path)
    refused(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/feed/1", "/nothing", "/mirror/bluesky/x"])
async def test_without_a_key_every_method_is_401(keyed: Web, method: str, path: str) -> None:
    assert (await keyed.without_key(method, path)).status_code == 401


@pytest.mark.parametrize("headers", FROM_HERE, ids=str)
@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "203.0.113.9"])
async def test_no_peer_address_or_header_replaces_a_key(
    web_of: Any, peer: str, headers: dict[str, str]
) -> None:
    web = await web_of(peer, **KEYS)
    refused(await web.without_key("GET", "/v1/jobs", headers=headers), 401)
    refused(await web.without_key("PUT", "/v1/jobs/feed/1", {}, headers=headers), 401)
    good = {"authorization": "Bearer k1"} | headers
    assert (await web.without_key("GET", "/v1/jobs", headers=good)).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        " ",
        "k1",
        "Basic k1",
        "Basic azE6",
        "Bearer",
        "Bearer ",
        "Bearer \t ",
        "Bearer\tk1",
        "Bearer k3",
        "Bearer k",
        "Bearer k11",
        "Bearer k1k2",
        "Bearer k1,k2",
        "Bearer k1 k2",
        "Bearer K1",
        'Bearer "k1"',
        "Bearer: k1",
        "Bearer Bearer k1",
        "Bearerk1",
        "Bearer \x00k1",
        "Bearer k1\xa0",
        "Bearer ü",
    ],
)
async def test_calls_without_a_valid_key_are_401(keyed: Web, authorization: str) -> None:
    headers = [(b"authorization", authorization.encode("latin-1"))]
    refused(await keyed.without_key("GET", "/v1/jobs", headers=headers), 401)
    refused(await keyed.without_key("GET", "/nothing", headers=headers), 401)


async def test_two_authorizations_are_none(keyed: Web) -> None:
    """A proxy in front may have checked the other one."""
    for pair in (["Bearer k1", "Bearer k3"], ["Bearer k3", "Bearer k1"], ["Bearer k1"] * 2):
        headers = [(b"authorization", one.encode()) for one in pair]
        refused(await keyed.without_key("GET", "/v1/jobs", headers=headers), 401)


@pytest.mark.parametrize("authorization", ["Bearer k1", "bearer k2", "BEARER k2", "Bearer  k2 "])
async def test_each_key_is_accepted(keyed: Web, authorization: str) -> None:
    headers = {"authorization": authorization, "host": "ringback.example.com", "via": "1.1 proxy"}
    assert (await keyed.without_key("GET", "/v1/jobs", headers=headers)).status_code == 200


async def test_a_removed_key_is_refused(web_of: Any) -> None:
    web = await web_of(RINGBACK_API_KEYS="k2,k3")
    refused(await web.without_key("GET", "/v1/jobs", headers={"authorization": "Bearer k1"}), 401)


async def test_health_and_pushes_need_no_key(keyed: Web) -> None:
    assert (await keyed.without_key("GET", "/healthz")).status_code == 200
    assert (await keyed.without_key("GET", "/readyz")).status_code == 503  # no worker is alive here
    body = push()
    taken = await keyed.without_key("POST", "/hooks/feed", content=body, headers=signed(body))
    assert taken.is_success
    refused(await keyed.without_key("POST", "/hooks/feed", content=body), 415)


async def test_an_open_mirror_is_read_without_a_key_or_with_any(keyed: Web, provider: Any) -> None:
    provider.tell('{"jobId": "1", "state": "JOB_STATE_ENCODING"}')
    for headers in ({}, {"authorization": "Bearer of-an-sdk"}):
        answer = await keyed.without_key("GET", f"/mirror/open{MIRROR}", headers=headers)
        assert answer.status_code == 200
    for method in set(METHODS) - {"GET", "HEAD"}:
        refused(await keyed.without_key(method, f"/mirror/open{MIRROR}"), 401)


# --- over a socket, where nobody tidies the path up before it is sent -------------------------


async def test_no_spelling_of_a_path_gets_around_the_key(served: Served) -> None:
    for path in OTHER_SPELLINGS:
        for method in ("GET", "POST", "OPTIONS"):
            line = f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
            response = await served.raw(line.encode())
            assert response.startswith(b"HTTP/1.1 401 "), (path, method, response)


@pytest.mark.parametrize(
    "path", ["/hooks/../v1/jobs", "/hooks/feed/../../v1/jobs", "/hooks/%2e%2e/v1/jobs", "/hooks/"]
)
async def test_under_hooks_there_is_only_the_receiver(served: Served, path: str) -> None:
    for method, status in (("POST", b" 404 "), ("GET", b" 405 ")):
        line = f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        assert status in (await served.raw(line.encode())).split(b"\r\n")[0]


@pytest.mark.parametrize(
    "line",
    [
        b"GET /v1/jobs HTTP/1.0",
        b"GET http://127.0.0.1:8080/v1/jobs HTTP/1.1",
        b"GET http://x/healthz/../v1/jobs HTTP/1.1",
        b"GET //healthz/v1/jobs HTTP/1.1",
        b"GET /v1/jobs?/healthz HTTP/1.1",
        b"OPTIONS /v1/jobs HTTP/1.1",
        b"GET /v1/jobs HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade",
        b"GET /v1/jobs HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings",
        b"GET /v1/jobs HTTP/1.1\r\nAuthorization : Bearer " + KEY.encode(),
        b"GET /v1/jobs HTTP/1.1\r\nX: y\r\n Authorization: Bearer " + KEY.encode(),
        b"GET * HTTP/1.1",
        b"CONNECT 127.0.0.1:8080 HTTP/1.1",
    ],
)
async def test_no_request_line_gets_around_the_key(served: Served, line: bytes) -> None:
    head = line + b"\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    response = await served.raw(head)
    assert response.split(b" ")[1] in (b"400", b"401"), response


async def test_a_key_is_accepted_over_a_socket(served: Served) -> None:
    assert (await served.client.get("/v1/jobs")).status_code == 200
    head = f"GET /v1/jobs HTTP/1.0\r\nauthorization: {BEARER['authorization']}\r\n\r\n"
    assert b" 200 " in (await served.raw(head.encode())).split(b"\r\n")[0]


# --- at the start -----------------------------------------------------------------------------


@pytest.mark.parametrize("keys", ["", " ", ",", " , "])
def test_a_server_without_keys_does_not_start(settings_of: Any, keys: str) -> None:
    with pytest.raises(ConfigError, match="RINGBACK_API_KEYS"):
        require_keys(settings_of(RINGBACK_API_KEYS=keys))
    require_keys(settings_of())


async def test_without_configured_keys_every_call_is_401(web_of: Any) -> None:
    web = await web_of(RINGBACK_API_KEYS="")
    for headers in ({}, {"authorization": ""}, {"authorization": "Bearer "}):
        refused(await web.without_key("GET", "/v1/jobs", headers=headers), 401)


def test_a_web_process_without_keys_ends_with_2() -> None:
    """One line, naming the remedy, before anything listens."""
    theirs = {k: v for k, v in os.environ.items() if not k.startswith(("RINGBACK_", "REDIS_"))}
    done = subprocess.run(
        [sys.executable, "-m", "processor.web"],
        env=theirs,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "RINGBACK_API_KEYS" in line


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
async def test_a_key_beyond_ascii_is_known_as_callers_write_it(web_of: Any, encoding: str) -> None:
    """Ringback's own commands send Latin-1, a terminal's curl UTF-8."""
    web = await web_of(RINGBACK_API_KEYS="clé")
    sent = {"authorization": b"Bearer " + "clé".encode(encoding)}
    assert (await web.without_key("GET", "/v1/jobs", headers=sent)).status_code == 200
    wrong = {"authorization": b"Bearer " + "cle".encode(encoding)}
    refused(await web.without_key("GET", "/v1/jobs", headers=wrong), 401)
