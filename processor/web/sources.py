"""GET /v1/sources: the configured sources and their state."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from processor.config import Source
from processor.payload import utc
from processor.service.jobs.poll_interval import first_poll
from processor.service.runtime.context import Context
from processor.source_statistics import NO_STATISTICS, SourceStatistics
from processor.store.poll_errors import PollError
from processor.web.query_params import check_query, short_page
from processor.web.request_body import Json


class Sources:
    """The handler of /v1/sources."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def list(self, request: Request) -> Response:
        """Every source: how it receives pushes, how it is polled, whether it is stalled."""
        check_query(request, "limit", "cursor")
        return Json(short_page(request, await views(self._context)))


async def views(context: Context) -> list[dict[str, Any]]:
    """Every source as the API shows it."""
    store = context.store
    stalled = await store.stalled_sources.read()
    errors = await store.poll_errors.read(await store.now())
    known = await store.statistics.read()
    failing = await store.failing_jobs.counts([*context.settings.sources])
    return [
        {
            "name": source.name,
            "provider": source.profile.name,
            "push": f"/hooks/{source.name}" if source.takes_pushes else None,
            "scheme": source.profile.scheme,
            "track": source.track,
            "trust": source.trust,
            "poll": source.pollable,
            "mirror": [f"/mirror/{source.name}{p}" for p in source.mirror_paths.values()],
            "lacks": source.why_unusable,
            "stalled": stalled.get(source.name),
            "poll_error": _poll_error(errors.get(source.name)),
            "failing_polls": failing[source.name],
            "push_loss": _push_loss(source, known.get(source.name, NO_STATISTICS)),
            "learnt": _learnt(source, known.get(source.name, NO_STATISTICS)),
        }
        for source in context.settings.sources.values()
    ]


def _push_loss(source: Source, found: SourceStatistics) -> dict[str, Any] | None:
    if not source.pushed_and_polled:
        return None
    loss = found.push_loss
    return {
        "jobs": round(loss.jobs),
        "share": round(loss.share, 3),
        "poll_first": loss.poll_first,
    }


def _learnt(source: Source, found: SourceStatistics) -> list[dict[str, Any]]:
    """How long the last jobs of each kind took that is polled."""
    rows = [(kind, found.durations(kind)) for kind in source.profile.kinds if source.poll(kind)]
    return [
        {
            "kind": kind,
            "jobs": known.count,
            "median": known.quantile(0.5),
            "shortest": known.quantile(0.01),
            "first_poll": float(first_poll(source, kind, found)),
        }
        for kind, known in rows
        if known.count
    ]


def _poll_error(found: PollError | None) -> dict[str, Any] | None:
    return None if found is None else {"at": utc(found.at), "job": found.job, "error": found.error}
