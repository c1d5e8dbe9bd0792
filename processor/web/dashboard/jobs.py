"""Jobs: the list, and one job with its timeline and its deliveries."""

from starlette.requests import Request
from starlette.responses import Response

from processor.model import State
from processor.service.delivery import history as delivery_history
from processor.service.jobs import listing, query as jobs_query
from processor.service.runtime.context import Context
from processor.store.jobs import name_of
from processor.web.dashboard.render import render
from processor.web.dashboard.timeline import timeline
from processor.web.jobs import page_of_jobs
from processor.web.query_params import choice, job_name, key_and_value, limit

MAX_SCANNED = 250  # jobs that a page looks at to find those of its filter; its script searches on


class Jobs:
    """The handlers of /dashboard/jobs."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def list(self, request: Request) -> Response:
        """A page of jobs; empty fields of the filter count as none."""
        query = request.query_params
        state = choice(request, "state", list(State)) if query.get("state") else None
        metadata = [key_and_value(text) for text in query.getlist("metadata") if text]
        source, group = query.get("source") or None, query.get("group") or None
        wanted = listing.JobFilter(source, state, metadata, group)
        cursor = query.get("cursor") or None
        found = await page_of_jobs(self._context, wanted, limit(request), cursor, MAX_SCANNED)
        sources = sorted(self._context.settings.sources)
        return render(
            request,
            "jobs.html",
            jobs=found.items,
            next=found.next,
            states=list(State),
            sources=sources,
        )

    async def get(self, request: Request) -> Response:
        """One job."""
        name = job_name(request, self._context.settings.sources)
        found = await jobs_query.find(self._context, *name)
        entries = await self._context.store.jobs.history(found.keys, name_of(found.job))
        subscriptions = await self._context.store.subscriptions.current(found.keys)
        return render(
            request,
            "job.html",
            job=await jobs_query.view(self._context, found),
            timeline=timeline(entries),
            deliveries=await delivery_history.of_job(self._context, found, entries),
            urls={one.id: one.url for one in subscriptions.listed},
            has_result=bytes(found.job.result) != b"null",
            pollable=_can_be_polled(self._context, found),
        )


def _can_be_polled(context: Context, found: jobs_query.Found) -> bool:
    source = context.settings.sources.get(found.job.source)
    return source is not None and source.poll(found.job.kind) is not None
