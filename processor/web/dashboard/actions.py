"""What the buttons do: the use cases of the API, then a page that says so."""

from urllib.parse import quote

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from processor.service.jobs import watch
from processor.service.jobs.watch_request import WatchRequest
from processor.service.replay import replay as replay_replay, retry as replay_retry
from processor.service.replay.replay import ReplayRequest
from processor.service.runtime.context import Context
from processor.service.subscriptions import manage, update
from processor.web.auth import PAGES
from processor.web.dashboard.forms import read_own_form
from processor.web.dashboard.render import HEADERS
from processor.web.dashboard.sign_in import is_page
from processor.web.dashboard.subscriptions import Subscriptions
from processor.web.query_params import checked_name, job_name, segment

MAX_SCANS = 20  # parts of the event log that one press of a button replays


class Actions:
    """The handlers of the forms. Each reads its form first, which checks the CSRF token."""

    def __init__(self, context: Context, subscriptions: Subscriptions) -> None:
        self._context = context
        self._subscriptions = subscriptions

    async def watch(self, request: Request) -> Response:
        """Watch a job."""
        form = await read_own_form(request)
        sources = self._context.settings.sources
        name = checked_name(sources, form.get("source", ""), form.get("id", "").strip())
        found, _ = await watch.watch(self._context, *name, WatchRequest())
        return _to(f"jobs/{_path(found.job.source, found.job.id)}", "watched")

    async def unwatch(self, request: Request) -> Response:
        """Stop watching a job."""
        await read_own_form(request)
        await watch.unwatch(self._context, *self._name(request))
        return _to("jobs", "unwatched")

    async def poll(self, request: Request) -> Response:
        """Poll a job now."""
        await read_own_form(request)
        await watch.poll_now(self._context, *(name := self._name(request)))
        return _to(f"jobs/{_path(*name)}", "polled")

    async def retry(self, request: Request) -> Response:
        """Retry a delivery, and go back to the page that shows it."""
        form = await read_own_form(request)
        await replay_retry.retry(self._context, segment(request, "id"))
        back = form.get("back", "")
        return _to(back.removeprefix(PAGES) if is_page(back) else "subscriptions", "retried")

    async def retry_all(self, request: Request) -> Response:
        """Retry the dead letters of a subscription whose events are still in the log."""
        await read_own_form(request)
        since = f"{self._context.settings.keep.events:.0f}s"
        return await self._replay(request, ReplayRequest(since=since, state="failed"))

    async def replay(self, request: Request) -> Response:
        """Deliver what a subscription missed since a time."""
        form = await read_own_form(request)
        return await self._replay(request, ReplayRequest(since=form.get("since")))

    async def _replay(self, request: Request, wanted: ReplayRequest) -> Response:
        target = segment(request, "id")
        done = await replay_replay.replay(self._context, target, wanted)
        for _ in range(MAX_SCANS):
            if not done.next:
                break
            done = await replay_replay.replay(
                self._context, target, replace(wanted, since=None, after=done.next)
            )
        return _to(f"subscriptions/{_path(target)}", "replayed-partly" if done.next else "replayed")

    async def enable(self, request: Request) -> Response:
        """Enable a subscription."""
        await read_own_form(request)
        target = segment(request, "id")
        await update.enable(self._context, target)
        return _to(f"subscriptions/{_path(target)}", "enabled")

    async def test(self, request: Request) -> Response:
        """Send a test event."""
        await read_own_form(request)
        target = segment(request, "id")
        await manage.test(self._context, target)
        return _to(f"subscriptions/{_path(target)}", "tested")

    async def rotate(self, request: Request) -> Response:
        """Create a new secret; this page alone shows it."""
        await read_own_form(request)
        target = segment(request, "id")
        new = await manage.rotate(self._context, target)
        secret = manage.view_with_secret(new)["secret"]
        return await self._subscriptions.shown(request, target, secret)

    def _name(self, request: Request) -> tuple[str, str]:
        return job_name(request, self._context.settings.sources)


def _path(*segments: str) -> str:
    return "/".join(quote(segment, safe="") for segment in segments)


def _to(page: str, notice: str) -> Response:
    """Go to a page, which shows a notice."""
    return RedirectResponse(f"{PAGES}{page}?notice={notice}", 303, HEADERS)
