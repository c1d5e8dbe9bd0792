"""A bench with subscriptions, a subscriber on a real socket, and a deliverer."""

import asyncio
import json
from collections import Counter
from typing import Any

from aiohttp import web

from processor.model import Subscription
from processor.service.delivery import history
from processor.service.delivery.deliver import Deliverer
from processor.service.replay import replay as replay_replay
from processor.service.replay.replay import CreateWithReplay, ReplayRequest
from processor.store.work_items import LaneLimits

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Subscriber:
    """Receives events, and answers with a prepared status."""

    def __init__(self) -> None:
        """Answer 200."""
        self.url = ""
        self.status = 200
        self.headers: dict[str, str] = {}
        self.got: list[str] = []  # webhook-ids, in order of arrival
        self.bodies: list[Any] = []

    async def answer(self, request: web.Request) -> web.Response:
        """Receive an event."""
        self.bodies.append(json.loads(await request.read()))
        self.got.append(request.headers["webhook-id"])
        return web.Response(status=self.status, headers=self.headers)


class Desk:
    """A bench with subscriptions and a deliverer."""

    def __init__(self, bench: Any, subscriber: Any) -> None:
        """Take both."""
        self.bench, self.context, self.store = bench, bench.context, bench.store
        self.subscriber = subscriber
        self._deliverer = Deliverer(bench.context)

    async def subscribe(self, **request: Any) -> Subscription:
        """Make a subscription."""
        request = {"url": self.subscriber.url, "secret": SECRET} | request
        made, self.past = await replay_replay.create(self.context, CreateWithReplay(**request))
        return made

    async def finish(self, *jobs: str, status: str = "succeeded") -> None:
        """Receive pushes that finish jobs."""
        for job in jobs:
            await self.bench.push(id=job, status=status)

    async def replay(self, target: Subscription, **request: Any) -> tuple[int, int, int, int]:
        """Replay: queued, pending, delivered before, gone."""
        request = {"since": "24h"} | request if "after" not in request else request
        done = self.past = await replay_replay.replay(
            self.context, target.id, ReplayRequest(**request)
        )
        return done.queued, done.pending, done.delivered_before, done.gone

    async def waiting(self) -> int:
        """How many deliveries wait or are being made."""
        return int((await self.store.backlogs.depth("deliver"))[0])

    async def round(self) -> None:
        """Make the deliveries that are due."""
        for keys in self.store.shards:
            claims = await self.store.backlogs.claim(
                keys, "deliver", 200, lambda _: LaneLimits(1000)
            )
            if claims:
                posts = await self._deliverer.read(claims)
                await asyncio.gather(*map(self._deliverer.deliver, posts))

    async def deliver(self) -> None:
        """Make deliveries until none waits."""
        while await self.waiting():
            await self.round()

    async def states(self, target: Subscription) -> Counter[str]:
        """The states of a subscription's deliveries."""
        rows = await history.list_deliveries(self.context, target.id, None, 1000)
        return Counter(row["state"] for row in rows)

    async def kept(self) -> list[bytes]:
        """The keys of stored event bodies."""
        found = [key async for key in self.store.connection.redis.scan_iter("*}:event:*")]
        return sorted(found)

    async def ids(self) -> list[str]:
        """The ids of all completion events."""
        return [i for i, kind in await self.bench.events() if kind != "subscription.disabled"]
