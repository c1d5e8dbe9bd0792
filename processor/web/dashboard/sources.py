"""Sources: pushes, polls, and what the schedule has learnt."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from processor.service.runtime.context import Context
from processor.web import sources
from processor.web.dashboard.origins import by_origin
from processor.web.dashboard.render import render


class Sources:
    """The handler of /dashboard/sources."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def list(self, request: Request) -> Response:
        """Every source."""
        workers = await self._context.store.workers()
        dumps = [("web", self._context.metrics.dump()), *workers.items()]
        return render(
            request,
            "sources.html",
            sources=sorted(await sources.views(self._context), key=_is_well),
            origins=by_origin(dumps),
        )


def _is_well(source: Mapping[str, Any]) -> bool:
    """Whether a source has none of the problems that the page shows: these stand first."""
    return not (source["stalled"] or source["lacks"] or source["poll_error"])
