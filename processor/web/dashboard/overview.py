"""The overview: what needs attention, live jobs, the newest events."""

from itertools import chain
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from processor.service.delivery import history
from processor.service.events.selection import Selection, newest
from processor.service.jobs import listing
from processor.service.runtime.context import Context
from processor.store.events import LoggedEvent
from processor.store.keys import BACKLOGS
from processor.web import sources
from processor.web.dashboard import attention
from processor.web.dashboard.render import render
from processor.web.health import Health

NEWEST = 500  # jobs among which the overview looks for live ones
MAX_JOBS = 25
MAX_EVENTS = 20


class Overview:
    """The handler of `/`."""

    def __init__(self, context: Context, health: Health) -> None:
        self._context = context
        self._health = health

    async def get(self, request: Request) -> Response:
        """One page of jobs and of events, and counts that Redis keeps: no list is read whole."""
        live = listing.JobFilter(live=True)
        jobs = await listing.jobs(self._context, live, MAX_JOBS, most=NEWEST)
        found = await newest(self._context.store.events, Selection(), MAX_EVENTS)
        depths = {b: await self._context.store.backlogs.depth(b) for b in BACKLOGS}
        workers = len(await self._context.store.workers())
        return render(
            request,
            "overview.html",
            items=await self._attention(workers, {b: late for b, (_, late) in depths.items()}),
            jobs=jobs.items,
            newest=NEWEST,
            events=[shown(event) for event in reversed(found.events)],
            depths=depths,
            workers=workers,
        )

    async def _attention(self, workers: int, late: dict[str, float]) -> list[attention.Item]:
        store = self._context.store
        subscriptions = await store.subscriptions.listed()
        health = await history.health(self._context, subscriptions)
        warnings = [problem.detail for problem in self._health.redis_check.problems]
        fullness = await store.fullness()
        return attention.by_urgency(
            chain(
                attention.of_server(workers, fullness, late, warnings),
                attention.of_subscriptions(subscriptions, health),
                attention.of_sources(await sources.views(self._context)),
            )
        )


def shown(event: LoggedEvent) -> dict[str, Any]:
    """An event as the list shows it: its payload, with its id."""
    return {"id": event.id, **msgspec.json.decode(event.body)}
