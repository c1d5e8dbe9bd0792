"""Who may call: a key; while none is set, only this machine's own user."""

import os
import subprocess
import sys
from typing import Any

import pytest

from processor.config import guard_keyless
from processor.errors import ConfigError

from .calling import Served, Web, refused
from .pushing import push, signed

KEYS = {"RINGBACK_API_KEYS": "k1,k2"}
GUARDED = ["/v1/jobs", "/v1/events", "/metrics", "/openapi.json", "/nothing", "/v1/jobs/feed/1"]
MIRROR = "/xrpc/app.bsky.video.getJobStatus?jobId=1"


@pytest.fixture
async def keyed(web_of: Any) -> Web:
    made: Web = await web_of("203.0.113.9", **KEYS)
    return made


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize(
    "authorization", [None, "", "k1", "Basic k1", "Bearer", "Bearer k3", "Bearer k1k2", "Bearer ü"]
)
async def test_without_a_good_key_nothing_is_told(
    keyed: Web, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"authorization": authorization.encode()}
    answer = await keyed("GET", path, headers=headers)
    refused(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("authorization", ["Bearer k1", "bearer k2", "Bearer  k2 "])
async def test_any_key_opens(keyed: Web, authorization: str) -> None:
    headers = {"authorization": authorization, "host": "ringback.example.com", "via": "1.1 proxy"}
    assert (await keyed("GET", "/v1/jobs", headers=headers)).status_code == 200


async def test_what_guards_itself_is_open(keyed: Web) -> None:
    assert (await keyed("GET", "/healthz")).status_code == 200
    assert (await keyed("GET", "/readyz")).status_code == 503  # no worker beats here
    assert (await keyed("POST", "/hooks/feed", content=push(), headers=signed(push()))).is_success
    refused(await keyed("POST", "/hooks/feed", content=push()), 415)


async def test_an_open_mirror_needs_no_key_and_takes_any(keyed: Web, provider: Any) -> None:
    provider.tell('{"jobId": "1", "state": "JOB_STATE_ENCODING"}')
    refused(await keyed("GET", f"/mirror/bluesky{MIRROR}"), 401)
    for headers in ({}, {"authorization": "Bearer of-an-sdk"}):
        assert (await keyed("GET", f"/mirror/open{MIRROR}", headers=headers)).status_code == 200
    refused(await keyed("GET", f"/mirror/open%2F..{MIRROR}"), 401)
    refused(await keyed("GET", f"/mirror/openly{MIRROR}"), 401)


@pytest.mark.parametrize(
    "host", ["x/mirror/open/", "localhost/mirror/open/?", "x:1/mirror/open/#", "@x/mirror/open"]
)
async def test_a_host_header_is_no_part_of_the_path(keyed: Web, host: str) -> None:
    refused(await keyed("GET", "/v1/jobs", headers={"host": host}), 401)


# --- no key is set --------------------------------------------------------------------------


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "127.0.0.1:9", "[::1]", "[::1]:80"]
)
async def test_this_machines_user_needs_none(web_of: Any, peer: str, host: str) -> None:
    web = await web_of(peer)
    assert (await web("GET", "/v1/jobs", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("peer", ["203.0.113.9", "::ffff:203.0.113.9", "10.0.0.1", "::2", ""])
async def test_nobody_else_is_served(web_of: Any, peer: str) -> None:
    web = await web_of(peer)
    for path in GUARDED:
        assert "RINGBACK_API_KEYS" in refused(await web("GET", path), 403)
    refused(await web("GET", f"/mirror/open{MIRROR}"), 403)
    assert (await web("GET", "/healthz")).status_code == 200
    assert (await web("POST", "/hooks/feed", content=push(), headers=signed(push()))).is_success


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},  # a name that was bound to 127.0.0.1
        {"host": "localhost.evil.example"},
        {"host": "127.0.0.1.evil.example:8080"},
        {"host": "[::2]"},
        {"host": ""},
        {"forwarded": "for=203.0.113.9"},
        {"x-forwarded-for": "127.0.0.1"},
        {"x-forwarded-host": "localhost"},
        {"x-forwarded-anything": ""},
        {"via": "1.1 proxy"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
async def test_what_others_can_make_this_machine_send_is_403(
    web: Web, headers: dict[str, str]
) -> None:
    assert "RINGBACK_API_KEYS" in refused(await web("GET", "/v1/jobs", headers=headers), 403)
    assert "RINGBACK_API_KEYS" in refused(
        await web("PUT", "/v1/jobs/feed/1", {}, headers=headers), 403
    )
    assert (await web("GET", "/healthz", headers=headers)).status_code == 200


@pytest.mark.parametrize("site", ["none", "same-origin"])
async def test_ones_own_pages_may_call(web: Web, site: str) -> None:
    answer = await web("GET", "/v1/jobs", headers={"sec-fetch-site": site})
    assert answer.status_code == 200


async def test_over_a_real_socket_too(served: Served) -> None:
    assert (await served.client.get("/v1/jobs")).status_code == 200
    refused(await served.client.get("/v1/jobs", headers={"host": "evil.example"}), 403)
    head = b"GET /v1/jobs HTTP/1.0\r\n\r\n"  # without any Host
    assert b" 403 " in (await served.raw(head)).split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("environ", "good"),
    [
        ({}, True),
        ({"RINGBACK_HOST": "::1"}, True),
        ({"RINGBACK_HOST": "0.0.0.0"}, False),  # noqa: S104 -- this must be refused
        ({"RINGBACK_HOST": "::"}, False),
        ({"RINGBACK_HOST": "ringback.internal"}, False),
        ({"RINGBACK_PUBLIC_URL": "https://ringback.example.com"}, False),
        ({"RINGBACK_HOST": "0.0.0.0", **KEYS}, True),  # noqa: S104 -- with a key it is meant
        ({"RINGBACK_PUBLIC_URL": "https://ringback.example.com", **KEYS}, True),
    ],
    ids=str,
)
def test_keyless_is_for_loopback(settings_of: Any, environ: dict[str, str], good: bool) -> None:  # noqa: FBT001 -- of a table
    if good:
        guard_keyless(settings_of(**environ))
        return
    with pytest.raises(ConfigError, match="RINGBACK_API_KEYS"):
        guard_keyless(settings_of(**environ))


def test_a_process_that_anybody_could_call_ends_with_2() -> None:
    """One line, naming the remedy, before anything listens."""
    theirs = {k: v for k, v in os.environ.items() if not k.startswith(("RINGBACK_", "REDIS_"))}
    done = subprocess.run(
        [sys.executable, "-m", "processor.web"],
        env=theirs | {"RINGBACK_HOST": "0.0.0.0"},  # noqa: S104 -- this must be refused
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "RINGBACK_API_KEYS" in line
