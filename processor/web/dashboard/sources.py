"""Sources: pushes, polls, and what the schedule has learnt."""

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
            sources=await sources.views(self._context),
            origins=by_origin(dumps),
        )
