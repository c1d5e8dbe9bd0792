"""Fixtures of the use cases' tests: a context on a real Redis, a provider on a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from inspect import signature
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from msgspec.structs import replace

from processor.config import load
from processor.egress import Egress
from processor.group import Group
from processor.model import Job, Push
from processor.service.groups import create as groups_create
from processor.service.groups.apply_together import ApplyTogether
from processor.service.groups.group_request import GroupRequest
from processor.service.jobs import ingest as jobs_ingest, query, watch as jobs_watch
from processor.service.jobs.query import Found
from processor.service.jobs.watch_request import WatchRequest
from processor.service.polling.run import run as run_poll
from processor.service.pushes.receive import Receipt, Receiver
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import Metrics
from processor.service.runtime.process import egress_policy
from processor.store.change import Change
from processor.store.expiry_list import START
from processor.store.groups import LANE as GROUPS
from processor.store.keys import Keys
from processor.store.work_items import Claim, LaneLimits

from .desk import Desk, Subscriber

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # Standard Webhooks' own example
WIDE = LaneLimits(1000)

LAB = """
base_url = "http://127.0.0.1:9"

[push]
id = "/id"
aliases = ["/alias"]
status = "/status"
attempt = "/attempt"
time = "/time"
event_id = "/event"
error = { message = "/note" }

[poll]
request = "GET /jobs/{id}"
id = "/id"
aliases = ["/alias"]
status = "/status"
progress = { at = "/progress" }
every = ["50ms", "1s"]
%s

[states]
queued = "queued"
running = "running"
succeeded = "succeeded"
failed = "failed"
"""

PUSHES = """
[push]
trust = "refetch"
id = "/id"
status = "/status"

[states]
succeeded = "succeeded"
"""

CONFIGURATION = """
providers = "profiles"

[sources.lab]
provider = "lab"
base_url = "{url}"
track = "all"
trust = "event"

[sources.other]
provider = "lab"
base_url = "{url}"
track = "all"
trust = "event"

[sources.dropper]
provider = "dropper"
base_url = "{url}"
track = "all"
trust = "event"

[sources.hints]
provider = "lab"
base_url = "{url}"
trust = "refetch"
track = "all"

[sources.cautious]
provider = "cautious"
base_url = "{url}"
track = "all"
trust = "event"

[sources.renewed]
provider = "renewed"
base_url = "{url}"
token = "file:token"
track = "all"
trust = "event"

[sources.commanded]
provider = "renewed"
base_url = "{url}"
token = ["exec", "./print-token", "-q"]
track = "all"
trust = "event"

[sources.brisk]
provider = "brisk"
base_url = "{url}"
track = "all"
trust = "event"

[sources.coded]
provider = "coded"
base_url = "{url}"
track = "all"
trust = "event"

[sources.small]
provider = "lab"
base_url = "{url}"
largest = "64KiB"
track = "all"
trust = "event"

[sources.single]
provider = "single"
base_url = "{url}"
track = "all"
trust = "event"

[sources.paced]
provider = "paced"
base_url = "{url}"
token = "shared"
track = "all"
trust = "event"

[sources.paced-too]
provider = "paced"
base_url = "{url}/"
token = "shared"
track = "all"
trust = "event"

[sources.paced-alone]
provider = "paced"
base_url = "{url}"
token = "another"
track = "all"
trust = "event"

[sources.forgetful]
provider = "dropper"
base_url = "{url}"
trust = "refetch"
track = "all"

[sources.signed]
provider = "signed"
base_url = "{url}"
trust = "refetch"
webhook_secret = "shh"

[sources.numbered]
provider = "numbered"
base_url = "{url}"
trust = "refetch"
track = "all"

[sources.again]
provider = "again"
base_url = "{url}"
track = "all"
trust = "event"

[sources.reruns]
provider = "again"
base_url = "{url}"
trust = "refetch"
track = "all"

[sources.registered]
provider = "lab"
base_url = "{url}"
track = "registered"
trust = "event"

[sources.anybodys]
provider = "lab"
base_url = "{url}"

[sources.gitlab]
provider = "gitlab"
webhook_secret = ["a token", "{secret}"]

[sources.gitlab-polled]
provider = "gitlab"
base_url = "{url}/jobs"
token = "t"
webhook_secret = "a token"

[sources.placed]
provider = "placed"
base_url = "{url}"
track = "all"
trust = "event"

[sources.giver]
provider = "giver"
base_url = "{url}"
cancel = true
track = "all"
trust = "event"

[sources.costly]
provider = "costly"
base_url = "{url}"
token = ["exec", "./print-token", "-q"]
cancel = true
track = "all"
trust = "event"

[sources.rare]
provider = "rare"
base_url = "{url}"
track = "all"
trust = "event"

[sources.deaf]
provider = "pushes"
track = "all"

[sources.mute]
provider = "standard"
webhook_secret = "{secret}"

[egress]
allow = ["127.0.0.1"]
"""


class Provider:
    """A provider on the loopback, with prepared answers; it records the polls."""

    def __init__(self) -> None:
        """Know no job."""
        self.url = ""
        self.asked: list[str] = []
        self.canceled: list[str] = []
        self.cancel_status = 200
        self.cancel_headers: dict[str, str] = {}
        self.headers: list[dict[str, str]] = []  # of each poll
        self._answers: dict[str, Callable[..., Any]] = {}
        self._wanted: str | None = None  # the Authorization, if only one is accepted
        self._refusal = ""

    def says(self, job: str, code: int = 200, /, **body: Any) -> None:
        """Answer polls of a job with this body from now on; `headers` are headers."""
        headers = body.pop("headers", {})
        text = json.dumps({"id": job} | body)
        self._answers[job] = lambda: web.json_response(text=text, status=code, headers=headers)

    def raw(self, job: str, text: str) -> None:
        """Answer polls of a job with this text."""
        self._answers[job] = lambda: web.Response(text=text)

    def stream(self, job: str, handler: Callable[[web.Request], Any]) -> None:
        """Answer polls of a job with this handler."""
        self._answers[job] = handler

    def hold(self, job: str, until: asyncio.Event, code: int = 200, /, **body: Any) -> None:
        """Answer a poll of a job only once an event is set; `headers` are headers."""
        headers = body.pop("headers", {})

        async def wait() -> web.Response:
            await until.wait()
            return web.json_response({"id": job} | body, status=code, headers=headers)

        self._answers[job] = wait

    def wants(self, authorization: str, says: str = "no") -> None:
        """Answer 401 to polls and cancel calls without this header from now on."""
        self._wanted, self._refusal = authorization, says

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one poll."""
        job = request.match_info["id"]
        self.asked.append(job)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if self._wanted not in (None, request.headers.get("authorization")):
            return web.Response(text=self._refusal, status=401)
        make = self._answers.get(job, lambda: web.json_response({}, status=404))
        answer = make(request) if signature(make).parameters else make()
        return await answer if asyncio.iscoroutine(answer) else answer

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel a job."""
        self.canceled.append(request.match_info["id"])
        if self._wanted not in (None, request.headers.get("authorization")):
            return web.Response(text=self._refusal, status=401)
        text, headers = "no more of this", self.cancel_headers
        return web.Response(text=text, status=self.cancel_status, headers=headers)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    ours, app = Provider(), web.Application()
    app.router.add_get("/jobs/{id:.+}", ours.answer)
    app.router.add_post("/jobs/{id}/cancel", ours.cancel)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    ours.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield ours
    await runner.cleanup()


class Bench:
    """The use cases, in short calls."""

    def __init__(self, context: Context) -> None:
        """Take pushes too."""
        self.context = context
        self.store = context.store
        self._receiver = Receiver(context)

    async def push(self, source: str = "lab", **body: Any) -> Receipt:
        """Receive a push, and ingest all updates."""
        receipt = await self.accept(source, **body)
        await self.ingest()
        return receipt

    async def accept(self, source: str = "lab", **body: Any) -> Receipt:
        """Receive a push."""
        push = Push({}, json.dumps(body).encode())
        return await self._receiver.receive(self._receiver.source(source), push)

    async def take(self, source: str, push: Push) -> Receipt:
        """Receive a push with these headers and bytes, and ingest all updates."""
        receipt = await self._receiver.receive(self._receiver.source(source), push)
        await self.ingest()
        return receipt

    async def ingest(self) -> None:
        """Ingest until nothing is due in any shard."""
        while some := [await self.claim(keys, "ingest") for keys in self.store.shards]:
            if not any(some):
                return
            for claims in filter(None, some):
                groups = [claim for claim in claims if claim.lane == GROUPS]
                await ApplyTogether(self.context, interval=0.0).add(groups)
                updates = [claim for claim in claims if claim.lane != GROUPS]
                await jobs_ingest.ingest(self.context, updates)

    async def claim(self, keys: Keys, backlog: str) -> list[Claim]:
        """Claim all that is due."""
        return await self.store.backlogs.claim(keys, backlog, 200, lambda _: WIDE)

    async def poll(self) -> list[str]:
        """Poll every job that is due; their names."""
        claims = [c for k in self.store.shards for c in await self.claim(k, "poll")]
        for claim in claims:
            await run_poll(self.context, claim)
        return sorted(claim.item for claim in claims)

    async def poll_at_once(self) -> list[str]:
        """Poll every job that is due, all at the same time; their names."""
        claims = [c for k in self.store.shards for c in await self.claim(k, "poll")]
        await asyncio.gather(*(run_poll(self.context, claim) for claim in claims))
        return sorted(claim.item for claim in claims)

    async def watch(self, job: str, source: str = "lab", **request: Any) -> tuple[Found, bool]:
        """PUT a job."""
        return await jobs_watch.watch(self.context, source, job, WatchRequest(**request))

    async def group(self, *jobs: Any, **request: Any) -> tuple[Group, bool]:
        """POST a group."""
        body = msgspec.convert({"id": "g", "jobs": jobs} | request, GroupRequest)
        return await groups_create.create(self.context, body, None)

    async def job(self, job: str, source: str = "lab") -> Job:
        """A job as it now is."""
        return (await query.find(self.context, source, job)).job

    async def fail_longer(self, job: str, source: str, seconds: float) -> None:
        """Have the series of a job's failed polls be so much older."""
        keys = self.store.shard(source, job)
        found = await self.store.jobs.find(keys, f"{source}/{job}")
        series = found.job.failed_polls
        unseen = series.unseen_since and series.unseen_since - seconds
        series = replace(series, since=series.since - seconds, unseen_since=unseen)
        older = replace(found.job, failed_polls=series)
        change = Change(older, found.version, save=True)
        assert await self.store.jobs.commit(keys, "0", [change]) == [True]

    async def jobs(self) -> list[str]:
        """The names of all jobs."""
        return sorted(name for _, name in await self.store.jobs.listed(START, 1000))

    async def due(self, backlog: str, item: str, source: str = "lab", job: str = "") -> Any:
        """When an item that waits is due; None if it does not wait."""
        keys = self.store.shard(source, job or item.rsplit("/", 1)[-1])
        redis = self.store.connection.redis
        for waiting in (keys.due(backlog, source), keys.retries(backlog, source)):
            if (at := await redis.zscore(waiting, item)) is not None:
                return at / 1000
        return None

    async def make_due(self, backlog: str, item: str, source: str = "lab", job: str = "") -> None:
        """Have a waiting item be due now."""
        keys = self.store.shard(source, job or item.rsplit("/", 1)[-1])
        redis, now = self.store.connection.redis, int(await self.store.now() * 1000)
        await redis.zadd(keys.due(backlog, source), {item: now}, xx=True)
        await redis.zadd(keys.lanes[backlog], {source: now}, lt=True)

    async def events(self) -> list[tuple[str, str]]:
        """Id and type of every event."""
        found = await self.store.events.page(self.store.events.start(), 1000)
        return [(event.id, event.type) for event in found]

    async def deliveries(self) -> list[str]:
        """Every delivery that is due; they are claimed, so that they are not made."""
        rows = [await self.claim(keys, "deliver") for keys in self.store.shards]
        return sorted(claim.item for row in rows for claim in row)

    async def reasons(self, job: str) -> list[str | None]:
        """Why each update of a job was ignored, if it was."""
        return [line.get("ignored") for line in await query.history(self.context, "lab", job)]


@pytest.fixture
async def bench_of(
    tmp_path: Path, redis_url: str, store_of: Any, provider: Provider
) -> AsyncIterator[Any]:
    """Makes benches; the options are those of the store."""
    opened: list[Egress] = []
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "lab.toml").write_text(LAB % "")
    (tmp_path / "profiles" / "dropper.toml").write_text(LAB % "gone = true")
    (tmp_path / "profiles" / "cautious.toml").write_text(LAB % "etag = true\nreopens = true")
    placed = LAB.replace("/jobs/{id}", "/jobs/{+repo}/{id}")
    placed = placed.replace("[poll]", 'params = { repo = "/repo" }\n\n[poll]')
    (tmp_path / "profiles" / "placed.toml").write_text(placed % "")
    (tmp_path / "profiles" / "renewed.toml").write_text(LAB % 'auth = "bearer"')
    (tmp_path / "profiles" / "brisk.toml").write_text(LAB % 'budget = "20/1s"')
    (tmp_path / "profiles" / "single.toml").write_text(LAB % 'budget = "5/1s"')
    paced = LAB % 'budget = "10/1h"\nauth = "bearer"'
    (tmp_path / "profiles" / "paced.toml").write_text(paced)
    (tmp_path / "token").write_text("first")
    rule = '[push.verify]\nscheme = "hmac-sha256"\nheader = "X-Sign"\n\n[poll]'
    signed = (LAB % "gone = true").replace("[poll]", rule)
    (tmp_path / "profiles" / "signed.toml").write_text(signed)
    numbered = LAB % 'attempt = "/attempt"'
    (tmp_path / "profiles" / "numbered.toml").write_text(numbered)
    again = LAB.replace('attempt = "/attempt"', 'reopens = "/ended"')
    (tmp_path / "profiles" / "again.toml").write_text(again % "")
    rare = LAB.replace('every = ["50ms", "1s"]', 'every = ["10m", "1h"]')
    (tmp_path / "profiles" / "rare.toml").write_text(rare % "")
    giver = LAB % 'cancel = "POST /jobs/{id}/cancel"'
    (tmp_path / "profiles" / "giver.toml").write_text(giver)
    costly = LAB % 'cancel = "POST /jobs/{id}/cancel"\nauth = "bearer"'
    (tmp_path / "profiles" / "costly.toml").write_text(costly)
    read = 'id = "/id"\naliases = ["/alias"]\nstatus = "/status"\nprogress'
    coded = (LAB % "").replace(read, 'status = ["/status", "code"]\nprogress')
    (tmp_path / "profiles" / "coded.toml").write_text(coded + '200 = "succeeded"\n')
    (tmp_path / "profiles" / "pushes.toml").write_text(PUSHES)
    (tmp_path / "ringback.toml").write_text(CONFIGURATION.format(url=provider.url, secret=SECRET))

    async def make(*, callback_secret: str = SECRET, without: str = "", **options: Any) -> Bench:
        environ = {
            "REDIS_URL": redis_url,
            "RINGBACK_CALLBACK_SECRET": callback_secret,
            "RINGBACK_SHARDS": str(options.get("shards", 1)),
        }
        settings = load(tmp_path / "ringback.toml", environ)
        settings.sources.pop(without, None)
        egress = Egress(egress_policy(settings))
        await egress.open()
        opened.append(egress)
        return Bench(Context(settings, store_of(**options), egress, Metrics()))

    yield make
    for egress in opened:
        await egress.close()


@pytest.fixture
async def bench(bench_of: Any) -> Bench:
    made: Bench = await bench_of()
    return made


@pytest.fixture
def polled(wait_until: Any) -> Any:
    """Wait until some polls were due and made: the names of their jobs."""

    async def ask(bench: Bench) -> list[str]:
        found: list[str] = []

        async def some() -> list[str]:
            found.extend(await bench.poll())
            return found

        await wait_until(some)
        return found

    return ask


@pytest.fixture
def subscriber_is() -> type[Subscriber]:
    """The class of the subscriber; a file of tests may use another."""
    return Subscriber


@pytest.fixture
async def subscriber(subscriber_is: type[Subscriber]) -> AsyncIterator[Subscriber]:
    ours, app = subscriber_is(), web.Application()
    app.router.add_post("/{path:.*}", ours.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ours.url = f"http://127.0.0.1:{runner.addresses[0][1]}/in"
    yield ours
    await runner.cleanup()


@pytest.fixture
def desk(bench: Any, subscriber: Subscriber) -> Desk:
    return Desk(bench, subscriber)


@pytest.fixture
def desk_of(bench_of: Any, subscriber: Subscriber) -> Callable[..., Any]:
    async def make(**options: Any) -> Desk:
        return Desk(await bench_of(**options), subscriber)

    return make
