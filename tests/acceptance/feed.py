"""Signed pushes of a `standard` service, and the API's own calls."""

import asyncio
import itertools
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
import standardwebhooks

from .processes import BEARER
from .sink import SECRET as SINK_SECRET, Sink

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSBzZXJ2aWNlLCBtYWRlIHVwIHRvbw=="
_signer = standardwebhooks.Webhook(SECRET)
_number = itertools.count()


class Push(NamedTuple):
    """One push, whole: sent again it is a duplicate."""

    source: str
    id: str
    body: str
    headers: dict[str, str]


def push(source: str, job: str, status: str, **more: object) -> Push:
    """Sign one push as the service would."""
    body = json.dumps({"id": job, "status": status, **more})
    name, now = f"msg_{next(_number)}", datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": _signer.sign(name, now, body),
    }
    return Push(source, job, body, headers)


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    text: str


class Caller:
    """Speaks to the web process, with its key."""

    def __init__(self, url: str) -> None:
        """Remember where it is."""
        self.url = url

    async def __aenter__(self) -> Self:
        """Open connections as needed."""
        lines = aiohttp.TCPConnector(limit=64)
        self._session = aiohttp.ClientSession(connector=lines, headers=BEARER)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close them."""
        await self._session.close()

    async def push(self, one: Push) -> int:
        """Send one push; the answer's status."""
        return (await self.send(one)).status

    async def send(self, one: Push) -> Answer:
        """Send one push; the whole answer."""
        async with self._session.post(
            f"{self.url}/hooks/{one.source}", data=one.body, headers=one.headers
        ) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.text())

    async def push_all(self, pushes: Iterable[Push]) -> None:
        """Send pushes from 32 senders at a time, in order; all must be accepted."""
        feed = iter(pushes)

        async def sender() -> None:
            for one in feed:
                assert await self.push(one) == 202

        async with asyncio.TaskGroup() as group:
            for _ in range(32):
                group.create_task(sender())

    async def ask(self, path: str, **headers: str) -> Answer:
        """Get something that may be no JSON, or refused; a `_` in a header's name is a `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.get(f"{self.url}{path}", headers=named) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.text())

    async def serves(self) -> bool:
        """Whether the receiver has found its Redis, and answers."""
        try:
            return (await self.ask("/v1/sources")).status == HTTPStatus.OK
        except OSError:
            return False

    async def metric(self, sample: str) -> float:
        """One sample of /metrics, by its name and labels as they stand there."""
        lines = (await self.ask("/metrics")).text.splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample))

    async def ready(self) -> bool:
        """Whether /readyz says so."""
        return (await self.ask("/readyz")).status == HTTPStatus.OK

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Call the API; the answer's status and document."""
        async with self._session.request(method, f"{self.url}{path}", json=body) as answer:
            is_json = answer.content_type.endswith("json")
            return answer.status, await (
                answer.json(content_type=None) if is_json else answer.text()
            )

    async def get(self, path: str) -> Any:
        """What a GET gives, which must be good."""
        status, document = await self.call("GET", path)
        assert status == 200, document
        return document

    async def subscribe(self, sink: Sink, source: str, *events: str) -> str:
        """Subscribe a sink to the jobs of a source; the subscription's id."""
        wish = {"url": sink.url, "secret": SINK_SECRET, "sources": [source]}
        if events:
            wish["events"] = list(events)
        status, made = await self.call("POST", "/v1/subscriptions", wish)
        assert status == 201, made
        found: str = made["id"]
        return found

    async def items(self, path: str) -> list[Any]:
        """All items of a list, page by page."""
        found = []
        cursor: str | None = ""
        while cursor is not None:
            page = await self.get(f"{path}{'&' if '?' in path else '?'}limit=200{cursor}")
            found += page["items"]
            after = "after" if path.startswith("/v1/events") else "cursor"
            cursor = f"&{after}={page['next']}" if page["next"] else None
        return found
