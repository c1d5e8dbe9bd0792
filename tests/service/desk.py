"""A bench with subscriptions, a subscriber on a real socket, and somebody who delivers."""

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
    """Takes events, and answers as it was told to."""

    def __init__(self) -> None:
        """Be content."""
        self.url = ""
        self.status = 200
        self.headers: dict[str, str] = {}
        self.got: list[str] = []  # webhook-ids, in the order in which they came
        self.bodies: list[Any] = []

    async def answer(self, request: web.Request) -> web.Response:
        """Take one."""
        self.bodies.append(json.loads(await request.read()))
        self.got.append(request.headers["webhook-id"])
        return web.Response(status=self.status, headers=self.headers)


class Desk:
    """A bench with subscriptions, and somebody who delivers."""

    def __init__(self, bench: Any, subscriber: Any) -> None:
        """Take both."""
        self.bench, self.context, self.store = bench, bench.context, bench.store
        self.subscriber = subscriber
        self._deliverer = Deliverer(bench.context)

    async def subscribe(self, **wish: Any) -> Subscription:
        """Make a subscription."""
        wish = {"url": self.subscriber.url, "secret": SECRET} | wish
        made, self.past = await replay_replay.create(self.context, CreateWithReplay(**wish))
        return made

    async def finish(self, *jobs: str, status: str = "succeeded") -> None:
        """Have jobs end."""
        for job in jobs:
            await self.bench.push(id=job, status=status)

    async def replay(self, target: Subscription, **wish: Any) -> tuple[int, int, int, int]:
        """Replay: queued, pending, delivered before, gone."""
        wish = {"since": "24h"} | wish if "after" not in wish else wish
        done = self.past = await replay_replay.replay(
            self.context, target.id, ReplayRequest(**wish)
        )
        return done.queued, done.pending, done.delivered_before, done.gone

    async def waiting(self) -> int:
        """How many deliveries wait or are under way."""
        return int((await self.store.backlogs.depth("deliver"))[0])

    async def round(self) -> None:
        """Deliver what is due."""
        for keys in self.store.shards:
            claims = await self.store.backlogs.claim(
                keys, "deliver", 200, lambda _: LaneLimits(1000)
            )
            if claims:
                posts = await self._deliverer.read(claims)
                await asyncio.gather(*map(self._deliverer.deliver, posts))

    async def deliver(self) -> None:
        """Deliver until nothing waits."""
        while await self.waiting():
            await self.round()

    async def states(self, target: Subscription) -> Counter[str]:
        """How the deliveries of a subscription stand."""
        rows = await history.list_deliveries(self.context, target.id, None, 1000)
        return Counter(row["state"] for row in rows)

    async def kept(self) -> list[bytes]:
        """The keys of bodies that are kept."""
        found = [key async for key in self.store.connection.redis.scan_iter("*}:event:*")]
        return sorted(found)

    async def ids(self) -> list[str]:
        """The ids of all completions told."""
        return [i for i, kind in await self.bench.events() if kind != "subscription.disabled"]
