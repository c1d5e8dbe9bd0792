"""A reverse proxy on the same machine, as plainly configured as can be, makes nobody our user."""

from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from .conftest import Shared
from .feed import push
from .processes import BEARER, free_port
from .reverse_proxies import NGINX, nginx
from .waiting import until_it

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(60),
    pytest.mark.skipif(NGINX is None, reason="needs nginx on the PATH"),
]

# As in countless manuals: HTTP/1.0, `Host: 127.0.0.1:8080`, and not a word about who calls.
PLAIN = "server {{ listen 127.0.0.1:{own}; location / {{ proxy_pass http://127.0.0.1:{port}; }} }}"
WITH_ADDRESS = (
    "server {{ listen 127.0.0.1:{own}; location / {{ proxy_pass http://127.0.0.1:{port}; "
    "proxy_http_version 1.1; proxy_set_header Host localhost; "
    "proxy_set_header X-Real-IP $remote_addr; proxy_set_header CF-Connecting-IP $remote_addr; }} }}"
)
GUARDED = [
    ("GET", "/v1/jobs"),
    ("GET", "/v1/sources"),
    ("GET", "/v1/subscriptions"),
    ("POST", "/v1/subscriptions"),
    ("GET", "/v1/events"),
    ("GET", "/v1/deliveries?subscription=x"),
    ("PUT", "/v1/jobs/s1/1"),
    ("DELETE", "/v1/jobs/s1/1"),
    ("POST", "/v1/jobs/s1/1/poll"),
    ("GET", "/mirror/bluesky/xrpc/app.bsky.video.getJobStatus?jobId=1"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("POST", "/dashboard/jobs"),
    ("GET", "/nothing"),
    ("OPTIONS", "/v1/jobs"),
]


@pytest.fixture(scope="module", params=[PLAIN, WITH_ADDRESS], ids=["plain", "with an address"])
def proxied(
    request: pytest.FixtureRequest, shared: Shared, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The shared Ringback behind nginx; the proxy's URL."""
    folder: Path = tmp_path_factory.mktemp("nginx")
    own = free_port()
    with nginx(folder, request.param.format(own=own, port=shared.system.port)):
        yield f"http://127.0.0.1:{own}"


async def test_a_stranger_behind_it_gets_401_everywhere(proxied: str, source: str) -> None:
    async with aiohttp.ClientSession() as session:

        async def status(method: str, path: str, **more: object) -> int:
            try:
                async with session.request(method, proxied + path, **more) as answer:  # type: ignore[arg-type]
                    return answer.status
            except aiohttp.ClientConnectorError:
                return 0

        async def up() -> bool:
            return await status("GET", "/healthz") == 200

        await until_it(up, 10, "nginx answers")
        refused = {call: await status(*call) for call in GUARDED}
        assert refused == dict.fromkeys(GUARDED, 401)
        for page in ("/", "/dashboard/jobs"):
            async with session.get(proxied + page) as shown:
                assert 'action="/session"' in await shown.text()  # the form to sign in
        body = {"url": "https://hooks.example.com/"}
        assert await status("POST", "/v1/subscriptions", json=body) == 401
        assert await status("GET", "/v1/jobs", headers=BEARER) == 200
        signed = push(source, "proxied", "running")
        answer = await status("POST", f"/hooks/{source}", data=signed.body, headers=signed.headers)
        assert answer == 202
