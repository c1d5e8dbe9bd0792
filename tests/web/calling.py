"""The application called through ASGI, and as a process on a port."""

import asyncio
from typing import Any, Self

import httpx

from processor.config import Settings
from processor.egress import Egress
from processor.service.delivery.deliver import Deliverer
from processor.service.groups.apply_together import ApplyTogether
from processor.service.jobs import ingest as jobs_ingest
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import Metrics
from processor.service.runtime.process import egress_policy
from processor.store import Store
from processor.store.groups import LANE as GROUPS
from processor.store.work_items import Claim, LaneLimits
from processor.web.__main__ import run
from processor.web.app import build
from processor.web.health import Health

from .documented import check
from .pushing import push, signed

PACE = LaneLimits(1000)
KEY = "a-key-that-was-made-up"
BEARER = {"authorization": f"Bearer {KEY}"}


class Web:
    """The application, called straight through ASGI by a peer on this machine."""

    def __init__(self, settings: Settings, store: Store, peer: str) -> None:
        """Build it."""
        self.egress = Egress(egress_policy(settings))
        self.context = Context(settings, store, self.egress, Metrics())
        self.health = Health(self.context)
        self._app = build(self.context, self.health)
        transport = httpx.ASGITransport(self._app, client=(peer, 50_000))
        self.client = httpx.AsyncClient(
            transport=transport, base_url="http://localhost:8080", headers=BEARER
        )
        self._phases: asyncio.Queue[Any] = asyncio.Queue()
        self._reached: asyncio.Queue[Any] = asyncio.Queue()
        self.answered: set[tuple[str, str | None, int]] = set()
        self._pushes = 0

    async def __aenter__(self) -> Self:
        """Start, as a server would."""
        await self.egress.open()
        self._life = asyncio.create_task(
            self._app({"type": "lifespan"}, self._phases.get, self._reached.put)
        )
        await self._go("startup")
        return self

    async def _go(self, phase: str) -> None:
        await self._phases.put({"type": f"lifespan.{phase}"})
        assert (await self._reached.get())["type"] == f"lifespan.{phase}.complete"

    async def __aexit__(self, *_: object) -> None:
        """Stop, as a server would."""
        await self._go("shutdown")
        await self._life
        await self.client.aclose()
        await self.egress.close()

    async def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Call with the key; a body is sent as JSON, `content` as it stands. The answer must be
        documented.
        """
        return await self._call(method, path, body, more)

    async def without_key(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Call without a key, or with the one in `headers`; the response must be documented too."""
        return await self._call(method, path, body, more, keyless=True)

    async def _call(
        self, method: str, path: str, body: Any, more: dict[str, Any], *, keyless: bool = False
    ) -> Any:
        if body is not None:
            more["json"] = body
        request = self.client.build_request(method, path, **more)
        if keyless and "authorization" not in httpx.Headers(more.get("headers")):
            del request.headers["authorization"]
        answer = await self.client.send(request)
        described = check(method, answer.request.url.raw_path.partition(b"?")[0].decode(), answer)
        self.answered.add((method, described, answer.status_code))
        return answer

    async def push(self, job: str = "1", status: str = "running", **more: Any) -> None:
        """Send a push to `feed`, and process it as the workers would."""
        self._pushes += 1
        source = more.pop("source", "feed")
        body = push(job, status, **more)
        headers = signed(body, f"own_{self._pushes}")
        answer = await self("POST", f"/hooks/{source}", content=body, headers=headers)
        assert answer.status_code == 202, answer.text
        await self.ingest()

    async def ingest(self) -> None:
        """Do what the workers would do with accepted pushes."""
        while claims := await self._claim("ingest"):
            groups = [claim for claim in claims if claim.lane == GROUPS]
            await ApplyTogether(self.context, interval=0.0).add(groups)
            await jobs_ingest.ingest(self.context, [c for c in claims if c.lane != GROUPS])

    async def deliver(self) -> None:
        """Do what the workers would do with deliveries that are due."""
        deliverer = Deliverer(self.context)
        while claims := await self._claim("deliver"):
            for post in await deliverer.read(claims):
                await deliverer.deliver(post)

    async def _claim(self, backlog: str) -> list[Claim]:
        """What is due in the first shard that has something due."""
        store = self.context.store
        for keys in store.shards:
            if claims := await store.backlogs.claim(keys, backlog, 200, lambda _: PACE):
                return claims
        return []

    async def items(self, path: str, **query: Any) -> list[Any]:
        """All items of a list, page by page."""
        found: list[Any] = []
        name, after = "after" if path == "/v1/events" else "cursor", None
        while True:
            answer = await self("GET", path, params=query | ({name: after} if after else {}))
            assert answer.status_code == 200, answer.text
            page = answer.json()
            assert len(page["items"]) <= query.get("limit", 50)
            found += page["items"]
            after = page["next"]
            if after is None:
                return found


class Served:
    """The web process, in this loop: canceling its task is what a signal does."""

    def __init__(self, settings: Settings) -> None:
        """Start it."""
        self.port = settings.port
        self.task = asyncio.create_task(run(settings))
        url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.AsyncClient(base_url=url, timeout=120.0, headers=BEARER)

    async def __aexit__(self, *_: object) -> None:
        """End it."""
        await self.client.aclose()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def __aenter__(self) -> Self:
        """Nothing more to do."""
        return self

    async def up(self) -> bool:
        """Whether it has seen Redis and answers; fails if it never will."""
        try:
            return (await self.client.get("/v1/sources")).status_code in (200, 401)
        except httpx.TransportError:
            assert not self.task.done(), self.task
            return False

    async def raw(self, *parts: bytes) -> bytes:
        """Send bytes, part by part; all that comes back until the line is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for part in parts:
            writer.write(part)
            await writer.drain()
        try:
            return await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()


def refused(answer: httpx.Response, status: int) -> str:
    """The detail of a problem; fails unless it is one, whole."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "request_id"}
    assert problem["status"] == status
    assert all(problem.values())
    return str(problem["detail"])
