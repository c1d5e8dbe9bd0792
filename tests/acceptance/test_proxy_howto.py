"""What docs/howto.md shows for nginx and Caddy, behind TLS, with nothing replaced but names and ports."""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from .conftest import standard
from .feed import push
from .processes import BEARER, KEY, free_port
from .reverse_proxies import CADDY, NGINX, caddy, nginx
from .system import System
from .waiting import until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(150)]
HOWTO = (Path(__file__).parents[2] / "docs" / "howto.md").read_text("utf-8")
SHOWN = dict(re.findall(r"^### (\w+)\n.*?^```text\n(.*?)^```$", HOWTO, re.MULTILINE | re.DOTALL))
MIB = 1024 * 1024
LARGEST = 32 * MIB
PUBLIC = "https://ringback.example.com"
SERVER = """
server {{
    listen 127.0.0.1:{port} ssl;
    server_name localhost;
    ssl_certificate {pem};
    ssl_certificate_key {pem};
    {shown}
}}
"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    config = standard("feed") + f'largest = "32MiB"\n{standard("small")}'
    folder = tmp_path_factory.mktemp("ringback")
    with System(folder, config, RINGBACK_PUBLIC_URL=PUBLIC) as system:
        yield system.start_all()


class Behind(NamedTuple):
    """A proxy, and a session that trusts it and has no key."""

    url: str
    session: aiohttp.ClientSession

    async def call(self, method: str, path: str, **more: Any) -> tuple[int, str]:
        """The status and text of an answer."""
        headers = BEARER | more.pop("headers", {})
        url = self.url + path
        async with self.session.request(method, url, headers=headers, **more) as answer:
            return answer.status, await answer.text()

    async def serves(self) -> bool:
        """Whether Ringback answers through the proxy."""
        try:
            return (await self.call("GET", "/healthz"))[0] == 200
        except aiohttp.ClientConnectorError:
            return False


def on_this_machine(shown: str, port: int) -> str:
    """The page's configuration with Ringback's port."""
    assert "127.0.0.1:8080" in shown
    return shown.replace("127.0.0.1:8080", f"127.0.0.1:{port}")


def run_nginx(folder: Path, pem: Path, port: int, target: int) -> Any:
    shown = on_this_machine(SHOWN["nginx"], target)
    return nginx(folder, SERVER.format(port=port, pem=pem, shown=shown))


def run_caddy(folder: Path, pem: Path, port: int, target: int) -> Any:
    site = f"https://localhost:{port} {{\n    bind 127.0.0.1\n    tls {pem} {pem}"
    shown = on_this_machine(SHOWN["Caddy"], target)
    return caddy(folder, shown.replace("ringback.example.com {", site))


PROXIES = [
    pytest.param(run, id=name, marks=pytest.mark.skipif(not there, reason=f"needs {name}"))
    for name, run, there in [("nginx", run_nginx, NGINX), ("caddy", run_caddy, CADDY)]
]


@pytest.fixture(params=PROXIES)
async def behind(
    request: pytest.FixtureRequest,
    system: System,
    tmp_path: Path,
    tls_for: Callable[[str], tuple[ssl.SSLContext, ssl.SSLContext]],
) -> AsyncIterator[Behind]:
    _, trust = tls_for("localhost")
    port = free_port()
    with request.param(tmp_path, tmp_path / "localhost.pem", port, system.port):
        connector = aiohttp.TCPConnector(ssl=trust)
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
            behind = Behind(f"https://localhost:{port}", session)
            await until_it(behind.serves, 20, f"the proxy answers: {tmp_path / 'log'}")
            yield behind


async def test_pushes_and_paths_arrive_unchanged(behind: Behind) -> None:
    for job in ("a/b", "a%2Fb", "a+b é", "a//b", "..b"):
        signed = push("feed", job, "running")
        arrived = await behind.call("POST", "/hooks/feed", data=signed.body, headers=signed.headers)
        assert arrived[0] == 202, arrived

        async def found(job: str = job) -> bool:
            path = URL(f"{behind.url}/v1/jobs/feed/{quote(job, safe='')}", encoded=True)
            async with behind.session.get(path, headers=BEARER) as answer:
                return answer.status == 200 and (await answer.json())["id"] == job

        await until_it(found, 20, f"the job {job}")


async def test_bodies_arrive_up_to_the_largest(behind: Behind) -> None:
    empty = push("feed", "large", "running", result="")
    signed = push("feed", "large", "running", result="x" * (LARGEST - len(empty.body)))

    async def send(path: str, body: str, **headers: str) -> tuple[int, str]:
        headers = {"content-type": "application/json"} | headers
        return await behind.call("POST", path, data=BytesIO(body.encode()), headers=headers)

    assert len(signed.body) == LARGEST
    assert (await send("/hooks/feed", signed.body, **signed.headers))[0] == 202
    assert (await send("/hooks/small", "x" * (2 * MIB)))[0] == 413
    members = [f"feed/{'n' * 380}{n}" for n in range(9_000)]
    group = json.dumps({"jobs": [*members, "nowhere/1"]})
    assert len(group) > 3 * MIB
    status, text = await send("/v1/groups", group)
    assert (status, "nowhere" in text) == (422, True), text


async def test_a_wait_of_a_minute_is_answered(behind: Behind) -> None:
    assert (await behind.call("PUT", "/v1/jobs/feed/slow", json={}))[0] in (200, 201)
    waits = await asyncio.gather(
        behind.call("GET", "/v1/wait?job=feed/slow&timeout=60"),
        behind.call("GET", "/v1/jobs/feed/slow?wait=60"),
    )
    assert [status for status, _ in waits] == [200, 200]


async def test_events_arrive_while_the_stream_is_open(behind: Behind) -> None:
    headers = BEARER | {"accept": "text/event-stream", "accept-encoding": "gzip"}
    async with behind.session.get(f"{behind.url}/v1/events", headers=headers) as stream:
        assert stream.status == 200
        assert (await stream.content.readline()).startswith(b"retry:")
        for status, event in (("running", b"job.started"), ("succeeded", b"job.succeeded")):
            signed = push("feed", behind.url, status)
            await behind.call("POST", "/hooks/feed", data=signed.body, headers=signed.headers)
            async with asyncio.timeout(20):
                while await stream.content.readline() != b"event: %b\n" % event:
                    pass
        async with asyncio.timeout(40):
            while await stream.content.readline() != b": ping\n":
                pass


async def test_a_wait_of_an_agent_sends_progress_meanwhile(behind: Behind) -> None:
    await behind.call("PUT", "/v1/jobs/feed/agent", json={})
    arguments = {"source": "feed", "id": "agent", "timeout": 45}
    params = {"name": "wait_for_job", "arguments": arguments, "_meta": {"progressToken": "p"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = BEARER | {"accept": "application/json, text/event-stream", "origin": PUBLIC}
    url = f"{behind.url}/mcp"
    async with behind.session.post(url, headers=headers, json=message) as stream:
        assert stream.status == 200
        async with asyncio.timeout(20):
            while b"notifications/progress" not in await stream.content.readline():
                pass
        signed = push("feed", "agent", "succeeded")
        await behind.call("POST", "/hooks/feed", data=signed.body, headers=signed.headers)
        assert b'"done":true' in await stream.read()
    foreign = {"origin": "https://elsewhere.example.com"}
    assert (await behind.call("POST", "/mcp", headers=foreign, json=message))[0] == 403


async def test_a_browser_signs_in_and_its_cookie_stays_on_https(behind: Behind) -> None:
    session, url = behind.session, behind.url
    async with session.get(f"{url}/dashboard/jobs", allow_redirects=False) as away:
        assert (away.status, away.headers["location"]) == (303, "/?next=/dashboard/jobs")
    form = {"key": KEY, "next": "/dashboard/jobs"}
    async with session.post(f"{url}/session", data=form, allow_redirects=False) as signed_in:
        assert (signed_in.status, signed_in.headers["location"]) == (303, "/dashboard/jobs")
        cookie = signed_in.cookies["ringback_session"]
        assert cookie["secure"]
        assert cookie["httponly"]
    async with session.get(f"{url}/dashboard/jobs") as page:
        (token, *_) = re.findall(r'name="csrf_token" value="(\w+)"', await page.text())
    for given, status in [("", 403), (token, 303)]:
        form = {"csrf_token": given, "source": "feed", "id": "by-hand"}
        async with session.post(
            f"{url}/dashboard/jobs", data=form, allow_redirects=False
        ) as answer:
            assert answer.status == status, await answer.text()
