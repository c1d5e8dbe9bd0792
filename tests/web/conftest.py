"""What tests of the web share.

web_of      makes an application from an environment, for calls without a socket; `away`: its
            Redis does not answer
web         one with the sources below, and one key, which its calls carry
served_of   makes a whole web process on a loopback port
served      one with the sources below, and the same key
provider    a provider on the loopback, for the sources that are polled
"""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web as aio

from processor.config import Settings, load
from processor.store import Store

from .calling import KEY, Served, Web
from .pushing import SECRET, WISTIA_SECRET

AWAY = "redis://127.0.0.1:1/0"  # nothing listens there

CHALLENGER = """
[push]
id = "/id"
status = "/status"
echo = { at = "/challenge", as = "answer" }

[push.verify]
scheme = "token"
header = "X-Token"

[states]
done = "succeeded"
"""

CONFIGURATION = """
providers = "providers"

[sources.feed]                       # pushes only
provider = "standard"
webhook_secret = "{secret}"

[sources.registered]                 # holds what is not registered
provider = "standard"
webhook_secret = "{secret}"
track = "registered"

[sources.asked]                      # answers too
provider = "standard"
webhook_secret = "{secret}"
status_url = "{url}/jobs/{{id}}"

[sources.wistia]                     # two kinds, batches, and events that are not about a job
provider = "wistia"
webhook_secret = "{wistia}"
token = "made-up"
base_url = "{url}/modern"

[sources.ci]                         # requires 200
provider = "gitlab"
webhook_secret = "a token that was made up"

[sources.clouds]                     # asks first
provider = "cloudevents"
webhook_secret = "a token that was made up"

[sources.forms]
provider = "transloadit"
webhook_secret = "made up"

[sources.topic]                      # signs with keys that are not ours alone
provider = "aws-sns"
senders = ["arn:aws:sns:eu-west-1:123456789012:jobs"]

[sources.anyones]
provider = "aws-sns"

[sources.challenger]
provider = "challenger"
webhook_secret = "made up"

[sources.unsigned]                   # its provider signs, but it has no webhook_secret
provider = "wistia"
token = "made-up"

[sources.bluesky]                    # pushes nothing
provider = "bluesky"
base_url = "{url}"

[sources.open]                       # SDKs read its mirror without a token
provider = "bluesky"
base_url = "{url}"
mirror = "open"

[sources.recent]                     # its answers are refreshed after a minute, for all readers
provider = "bluesky"
base_url = "{url}"
mirror = "open"
mirror_max_age = "1m"

[sources.commanded]                  # only workers poll it
provider = "wistia"
token = ["exec", "false"]
base_url = "{url}/modern"

[egress]
allow = ["127.0.0.1/32"]

[subscriptions.fixed]
url = "https://hooks.example.com/"
secret = "{secret}"
sources = ["asked"]
"""


class Provider:
    """Answers as the test says, and remembers each call with its token; also used as a subscriber."""

    def __init__(self) -> None:
        """Say nothing of use."""
        self.url = ""
        self.asked: list[tuple[str, str | None]] = []
        self.got: list[tuple[bytes, dict[str, str]]] = []  # bodies, with lower-case headers
        self.headers: list[dict[str, str]] = []
        self.tell("", 500)

    def tell(self, text: str, status: int = 200, **headers: str) -> None:
        """Answer so from now on; a `_` in a header's name is a `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def answer() -> aio.Response:
            return aio.Response(body=text.encode(), status=status, headers=named)

        self.says: Callable[[], Awaitable[aio.Response]] = answer

    async def answer(self, request: aio.Request) -> aio.Response:
        """Answer one question."""
        if request.method == "POST":
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.got.append((await request.read(), headers))
        self.headers.append(dict(request.headers))
        self.asked.append((request.path_qs, request.headers.get("authorization")))
        return await self.says()


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    ours, app = Provider(), aio.Application()
    app.router.add_route("*", "/{path:.*}", ours.answer)
    runner = aio.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await aio.TCPSite(runner, "127.0.0.1", 0).start()
    ours.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield ours
    await runner.cleanup()


@pytest.fixture
def settings_of(tmp_path: Path, redis_url: str, provider: Provider) -> Callable[..., Settings]:
    """Settings from the configuration above and an environment."""

    def make(**environ: str) -> Settings:
        file = tmp_path / "ringback.toml"
        (tmp_path / "providers").mkdir(exist_ok=True)
        (tmp_path / "providers" / "challenger.toml").write_text(CHALLENGER)
        file.write_text(CONFIGURATION.format(secret=SECRET, wistia=WISTIA_SECRET, url=provider.url))
        return load(file, {"REDIS_URL": redis_url, "RINGBACK_API_KEYS": KEY, **environ})

    return make


@pytest.fixture
async def web_of(settings_of: Any, store_of: Any) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as made:

        async def make(
            peer: str = "127.0.0.1",
            *,
            away: bool = False,
            settings: Settings | None = None,
            **environ: str,
        ) -> Web:
            settings = settings or settings_of(**environ)
            store = store_of(shards=settings.shards, static=settings.subscriptions)
            if away:
                store = Store(AWAY)
                made.push_async_callback(store.close)
            return await made.enter_async_context(Web(settings, store, peer))

        yield make


@pytest.fixture
async def web(web_of: Any) -> Web:
    made: Web = await web_of()
    return made


@pytest.fixture
async def served_of(
    settings_of: Any, store_of: Any, wait_until: Any
) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as made:

        async def make(**environ: str) -> Served:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = str(probe.getsockname()[1])
            served = await made.enter_async_context(Served(settings_of(PORT=port, **environ)))
            await wait_until(served.up)
            return served

        yield make


@pytest.fixture
async def served(served_of: Any) -> Served:
    made: Served = await served_of()
    return made
