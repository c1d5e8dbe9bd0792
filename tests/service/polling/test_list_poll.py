"""One request for many jobs: what a list answers, what it leaves open, and when it is not asked."""

from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace
from structlog.testing import capture_logs

from processor.config import load
from processor.egress import Egress
from processor.errors import BudgetSpent
from processor.model import Job, State
from processor.service.jobs import query, watch as jobs_watch
from processor.service.jobs.poll_sooner import poll_sooner
from processor.service.jobs.watch_request import WatchRequest
from processor.service.polling import budget
from processor.service.polling.last_answer import LastAnswer
from processor.service.polling.list_batches import by_kind
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import Metrics
from processor.service.runtime.outage import Outage
from processor.service.runtime.process import egress_policy
from processor.store import Store
from processor.store.change import Change
from processor.store.work_items import Claim
from workers import pumps

from .listing_provider import PROFILES, ListingProvider

Ids = Iterable[object]


class Bench:
    """Watched jobs, and the pump that polls them."""

    def __init__(self, context: Context, wait_until: Any) -> None:
        """Poll with the limits of a worker."""
        self.context, self.store = context, context.store
        self._pump = pumps.poll(context, Outage("test"))
        self._wait_until = wait_until

    async def watch(self, ids: Ids, source: str = "paged", **request: Any) -> None:
        """Watch jobs, which are due right now."""
        for job in ids:
            await jobs_watch.watch(self.context, source, str(job), WatchRequest(**request))
        await self.due(ids, source)

    async def due(self, ids: Ids, source: str = "paged", seconds: float = -1.0) -> None:
        """Have jobs be due in so many seconds, or since a moment ago."""
        redis, now = self.store.connection.redis, await self.store.now()
        for job in ids:
            keys, at = self.store.shard(source, str(job)), int((now + seconds) * 1000)
            await redis.zadd(keys.due("poll", source), {f"{source}/{job}": at}, xx=True)
            await redis.zadd(keys.lanes["poll"], {source: at}, lt=True)

    async def age(self, job: object, seconds: float, source: str = "paged") -> None:
        """Have a job be watched for longer."""
        keys = self.store.shard(source, str(job))
        lookup = await self.store.jobs.find(keys, f"{source}/{job}")
        assert lookup.job is not None
        older = replace(lookup.job, created_at=lookup.job.created_at - seconds)
        change = Change(older, lookup.version, save=True)
        assert await self.store.jobs.commit(keys, "0", [change]) == [True]

    async def poll(self) -> None:
        """Poll all that is due."""
        await self._pump.run()
        await self._wait_until(lambda: not self._pump._running)

    async def job(self, job: object, source: str = "paged") -> Job:
        """A job as it now is."""
        return (await query.find(self.context, source, str(job))).job

    async def states(self, ids: Ids, source: str = "paged") -> set[State]:
        """The states of jobs."""
        return {(await self.job(job, source)).state for job in ids}

    async def wait(self, job: object, source: str = "paged") -> float:
        """Seconds until a job is polled next."""
        keys = self.store.shard(source, str(job))
        redis = self.store.connection.redis
        at = await redis.zscore(keys.due("poll", source), f"{source}/{job}")
        assert at is not None
        return float(at) / 1000 - await self.store.now()

    async def mirrored(self, job: object, source: str = "paged") -> Any:
        """What the mirror would repeat."""
        keys = self.store.shard(source, str(job))
        stored = await self.store.jobs.answer(keys, f"{source}/{job}")
        return None if stored is None else LastAnswer.decode(stored)


@pytest.fixture
async def provider() -> AsyncIterator[ListingProvider]:
    ours = ListingProvider()
    runner = web.AppRunner(ours.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ours.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield ours
    await runner.cleanup()


@pytest.fixture
async def bench(
    tmp_path: Path,
    redis_url: str,
    store_of: Callable[..., Store],
    provider: ListingProvider,
    wait_until: Any,
) -> AsyncIterator[Bench]:
    sources = ['providers = "."']
    for name, text in PROFILES.items():
        (tmp_path / f"{name}.toml").write_text(text)
        sources.append(f'[sources.{name}]\nprovider = "{name}"\nbase_url = "{provider.url}"')
    (tmp_path / "ringback.toml").write_text("\n".join(sources))
    settings = load(tmp_path / "ringback.toml", {"REDIS_URL": redis_url})
    egress = Egress(egress_policy(settings))
    await egress.open()
    yield Bench(Context(settings, store_of(), egress, Metrics()), wait_until)
    await egress.close()


# --- what a list answers --------------------------------------------------------------------


async def test_one_page_answers_all_jobs_of_a_claim(bench: Bench, provider: ListingProvider):
    provider.says(range(30), status="running")
    provider.says(range(30, 40), status="succeeded", result="done")
    await bench.watch(range(40))
    await bench.poll()
    assert provider.asked == ["/jobs"]
    assert await bench.states(range(30)) == {State.RUNNING}
    assert await bench.states(range(30, 40)) == {State.SUCCEEDED}
    assert bytes((await bench.job(35)).result) == b'"done"'
    assert await bench.wait(0) > 30


async def test_each_job_of_a_list_has_a_span_that_begins_with_the_request(
    bench: Bench, provider: ListingProvider, wait_until: Any
):
    sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="`otel` is not installed")
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    export = pytest.importorskip("opentelemetry.sdk.trace.export")
    from processor.service.runtime.otel import OtelTracer  # noqa: PLC0415 - needs the extra

    tracers, kept = sdk.TracerProvider(), memory.InMemorySpanExporter()
    tracers.add_span_processor(export.SimpleSpanProcessor(kept))
    traced = Bench(bench.context._replace(tracer=OtelTracer(tracers)), wait_until)
    provider.says(range(30), status="succeeded")
    await traced.watch(range(30))
    await traced.poll()
    assert provider.asked == ["/jobs"]
    polls = {s.attributes["ringback.job"]: s for s in kept.get_finished_spans() if s.name == "poll"}
    steps = [s for s in kept.get_finished_spans() if s.name == "advance"]
    assert set(polls) == {s.attributes["ringback.job"] for s in steps} == set(map(str, range(30)))
    for step in steps:
        assert step.parent.span_id == polls[step.attributes["ringback.job"]].context.span_id
    assert len({span.start_time for span in polls.values()}) == 1
    lateness = bench.context.metrics.registry.get_sample_value(
        "ringback_poll_lateness_seconds_count", {"source": "paged"}
    )
    assert lateness == 30


async def test_further_pages_are_asked_for_while_there_are_jobs_enough(
    bench: Bench, provider: ListingProvider
):
    provider.says(range(2000), status="running")
    await bench.watch([*range(150, 160), *range(400, 405), *range(1990, 2000)])
    await bench.poll()
    pages = [f"/jobs?page={number}" for number in range(2, 6)]
    assert provider.lists == ["/jobs", *pages]  # for ten jobs not more than five pages in vain
    assert provider.single == [str(job) for job in range(1990, 2000)]
    assert await bench.states([150, 404, 1999]) == {State.RUNNING}


async def test_the_last_page_is_the_one_with_room(bench: Bench, provider: ListingProvider):
    provider.says(range(150), status="running")
    provider.unlisted = set(map(str, range(20)))
    await bench.watch(range(60))
    await bench.poll()
    assert provider.lists == ["/jobs", "/jobs?page=2"]
    assert len(provider.single) == 20
    assert await bench.states(range(60)) == {State.RUNNING}


async def test_jobs_can_be_named_in_the_request(bench: Bench, provider: ListingProvider):
    provider.says(range(1000), status="succeeded")
    await bench.watch(range(0, 1000, 10), "named")
    await bench.poll()
    assert len(provider.lists) == len(provider.asked) == 1
    assert await bench.states(range(0, 1000, 10), "named") == {State.SUCCEEDED}


async def test_a_job_is_found_by_an_id_that_only_the_provider_used(
    bench: Bench, provider: ListingProvider
):
    provider.says(["k2"], status="running")
    provider.says([2], status="running")
    await bench.watch(["mine"], aliases=("k2",))
    await bench.watch([2])
    await bench.poll()
    assert provider.asked == ["/jobs"]
    assert (await bench.job("mine")).state is State.RUNNING


async def test_jobs_that_are_nearly_due_are_answered_too(bench: Bench, provider: ListingProvider):
    """So polls gather: however many jobs there are, few lists are asked for."""
    provider.says(range(50), status="running")
    await bench.watch(range(50))
    await bench.due(range(1, 40), seconds=29.0)
    await bench.due(range(40, 50), seconds=31.0)  # more than half of the shortest interval
    await bench.poll()
    assert provider.asked == ["/jobs"]
    assert await bench.states(range(40)) == {State.RUNNING}
    assert await bench.states(range(40, 50)) == {State.QUEUED}
    assert min([await bench.wait(job) for job in range(40)]) > 40


async def test_a_job_that_is_waited_for_stays_ahead(bench: Bench, provider: ListingProvider):
    provider.says([1, 2], status="running")
    await bench.watch([1, 2], "unlearnt")
    for job in (1, 2):
        await bench.age(job, 86_400, "unlearnt")
    keys = bench.store.shard("unlearnt", "1")
    await poll_sooner(bench.context, [(keys, await bench.job(1, "unlearnt"))], 60)
    await bench.due([1, 2], "unlearnt")
    await bench.poll()
    assert provider.asked == ["/jobs"]
    assert await bench.wait(1, "unlearnt") < 61
    assert await bench.wait(2, "unlearnt") > 600


async def test_a_job_that_the_provider_wants_later_is_not_asked_about_sooner(
    bench: Bench, provider: ListingProvider
):
    provider.says(range(4), status="running")
    provider.list_headers = {"Retry-After": "300"}
    await bench.watch([1, 2])
    await bench.poll()
    assert await bench.wait(1) > 290
    await bench.due([1, 2], seconds=10.0)
    await bench.watch([0, 3])
    provider.says([1, 2], status="succeeded")
    await bench.poll()
    assert provider.asked == ["/jobs", "/jobs"]
    assert await bench.states([1, 2]) == {State.RUNNING}


async def test_more_jobs_than_may_be_claimed_are_answered(bench: Bench, provider: ListingProvider):
    provider.says(range(90), status="succeeded")
    await bench.watch(range(90), "slow")  # its budget starts two polls at once
    await bench.poll()
    assert provider.asked == ["/jobs"]
    assert await bench.states(range(90), "slow") == {State.SUCCEEDED}


async def test_a_list_takes_one_request_of_the_budget(bench: Bench, provider: ListingProvider):
    provider.says(range(20), status="running")
    await bench.watch(range(20), "slow")  # its budget has two requests at once
    await bench.poll()
    assert provider.asked == ["/jobs"]
    source = bench.context.settings.sources["slow"]
    await budget.take(bench.context, source)
    with pytest.raises(BudgetSpent):
        await budget.take(bench.context, source)


async def test_without_budget_no_list_is_asked_for(bench: Bench, provider: ListingProvider):
    provider.says(range(20), status="running")
    source = bench.context.settings.sources["slow"]
    for _ in range(2):  # its budget has two requests at once
        await budget.take(bench.context, source)
    await bench.watch(range(20), "slow")
    await bench.poll()
    assert provider.asked == []
    assert await bench.states(range(20), "slow") == {State.QUEUED}


# --- what it leaves open --------------------------------------------------------------------


async def test_a_job_that_is_not_listed_is_polled_alone(bench: Bench, provider: ListingProvider):
    provider.says(range(20), status="succeeded")
    provider.unlisted = {"3", "7"}
    await bench.watch(range(20))
    await bench.poll()
    assert (provider.lists, provider.single) == (["/jobs"], ["3", "7"])
    assert await bench.states(range(20)) == {State.SUCCEEDED}


@pytest.mark.parametrize(
    "element",
    [None, 7, {}, {"id": "5"}, {"id": "5", "status": ""}, {"id": "5", "status": {}}, {"status": 1}],
)
async def test_a_job_whose_element_is_malformed_is_polled_alone(
    bench: Bench, provider: ListingProvider, element: Any
):
    provider.says(range(10), status="succeeded")
    provider.elements = {"5": element}
    await bench.watch(range(10))
    await bench.poll()
    assert (provider.lists, provider.single) == (["/jobs"], ["5"])
    assert await bench.states(range(10)) == {State.SUCCEEDED}


async def test_the_end_of_a_job_in_an_excerpt_is_confirmed_by_a_poll_of_its_own(
    bench: Bench, provider: ListingProvider
):
    provider.says([1, 2], status="running")
    provider.says([3], status="succeeded", result="done")
    provider.elements = {"3": {"id": "3", "status": "succeeded"}}
    await bench.watch([1, 2, 3], "excerpt")
    await bench.poll()
    assert (provider.lists, provider.single) == (["/jobs"], ["3"])
    job = await bench.job(3, "excerpt")
    assert (job.state, bytes(job.result)) == (State.SUCCEEDED, b'"done"')
    assert await bench.states([1, 2], "excerpt") == {State.RUNNING}


async def test_whether_a_job_runs_again_only_a_poll_of_its_own_can_say(
    bench: Bench, provider: ListingProvider
):
    """A list may be a little old, and would run the job again that has just ended."""
    provider.says([1], status="succeeded")
    provider.says([2, 3], status="running")
    await bench.watch([1, 2, 3], "reruns")
    await bench.poll()
    provider.elements = {"1": {"id": "1", "status": "running"}}
    await jobs_watch.poll_now(bench.context, "reruns", "1")
    await bench.due([1, 2, 3], "reruns")
    await bench.poll()
    assert (provider.lists, provider.single) == (["/jobs", "/jobs"], ["1"])
    assert await bench.states([1], "reruns") == {State.SUCCEEDED}


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_token_costs_one_list_and_one_poll_a_pause_and_no_list_rests(
    bench: Bench, provider: ListingProvider, status: int
):
    provider.says(range(5), status="running")
    provider.list_status = provider.single_status = status
    await bench.watch(range(5))
    for times in (1, 2):
        await bench.poll()
        assert (len(provider.lists), len(provider.single)) == (times, times)
        assert await bench.store.backlogs.paused("poll", "paged")
        await bench.store.connection.redis.delete(bench.store.shards[0].paused["poll"])
        await bench.due(range(5))
    provider.list_status = provider.single_status = 200
    await bench.poll()
    assert (len(provider.lists), len(provider.single)) == (3, 2)
    assert await bench.states(range(5)) == {State.RUNNING}


@pytest.mark.parametrize("place", range(100, 200, 9))
async def test_a_failed_list_logs_no_part_of_the_token(
    bench: Bench, provider: ListingProvider, place: int
):
    sources, token = bench.context.settings.sources, "sk-live-A1b2C3d4E5f6G7h8I9j0K1l2M3n4"
    account = sources["paged"].account._replace(token=token)
    sources["paged"] = replace(sources["paged"], account=account)
    provider.says(range(5), status="x " * (place // 2) + token)
    provider.list_status = 500
    await bench.watch(range(5))
    with capture_logs() as logs:
        await bench.poll()
    (reason,) = [entry["reason"] for entry in logs if entry["event"] == "list_failed"]
    assert reason.startswith("HTTP 500: ")
    assert token[:9] not in reason


async def test_a_refused_list_of_one_due_job_rests_if_the_job_can_be_polled(
    bench: Bench, provider: ListingProvider
):
    provider.says(range(2), status="running")
    provider.list_status = 403
    await bench.watch(range(2))
    for _ in range(2):
        await bench.due([1], seconds=20.0)  # nearly due
        await bench.due([0])
        await bench.poll()
    assert (provider.lists, provider.single) == (["/jobs"], ["0", "0"])


@pytest.mark.parametrize("status", [401, 403, 404, 500])
async def test_after_a_list_that_fails_all_jobs_are_polled_alone_and_it_rests(
    bench: Bench, provider: ListingProvider, status: int
):
    provider.says(range(5), status="running")
    provider.list_status = status
    await bench.watch(range(5))
    await bench.poll()
    assert (provider.lists, provider.single) == (["/jobs"], ["0", "1", "2", "3", "4"])
    assert await bench.states(range(5)) == {State.RUNNING}
    assert (
        await bench.store.stalled_sources.read() == {}
    )  # the token may be good for jobs, and not for lists
    await bench.due(range(5))
    await bench.poll()
    assert provider.lists == ["/jobs"]
    assert len(provider.single) == 10


async def test_a_list_without_our_jobs_rests(bench: Bench, provider: ListingProvider):
    provider.says(range(5), status="running")
    provider.unlisted = {"1", "2", "3"}
    await bench.watch([1, 2, 3])
    for _ in range(2):
        await bench.poll()
        await bench.due([1, 2, 3])
    assert provider.lists == ["/jobs"]
    assert len(provider.single) == 6


async def test_a_list_that_answers_fewer_than_two_jobs_a_request_rests(
    bench: Bench, provider: ListingProvider
):
    provider.says(range(2000), status="running")
    old = range(1990, 2000)
    for _ in range(2):
        await bench.watch([0, 1, *old])
        await bench.poll()
        assert len(provider.lists) == 5
    assert await bench.states([0, *old]) == {State.RUNNING}


@pytest.mark.parametrize("more", [{}, {"Content-Encoding": "br"}], ids=["plain", "br"])
async def test_a_429_of_a_list_pauses_the_source_and_no_job_is_polled(
    bench: Bench, provider: ListingProvider, more: dict[str, str]
):
    provider.says(range(5), status="running")
    provider.list_status, provider.list_headers = 429, {"Retry-After": "60"} | more
    await bench.watch(range(5))
    await bench.poll()
    assert provider.asked == ["/jobs"]
    assert await bench.store.backlogs.paused("poll", "paged")
    assert await bench.states(range(5)) == {State.QUEUED}
    await bench.poll()
    assert provider.asked == ["/jobs"]


# --- which jobs one list is asked about -----------------------------------------------------


async def test_one_job_is_polled_alone(bench: Bench, provider: ListingProvider):
    provider.says([1, 2], status="running")
    await bench.watch([1])
    await bench.poll()
    assert provider.asked == ["/jobs/1"]


async def test_each_kind_has_a_list_of_its_own(bench: Bench, provider: ListingProvider):
    provider.says(range(6), status="running")
    await bench.watch([0, 1, 2], "both")
    await bench.watch(["part:3", "part:4", "part:5"], "both")
    await bench.poll()
    assert sorted(provider.asked) == ["/jobs", "/parts"]
    assert await bench.states([0, 1, 2, "part:3", "part:4", "part:5"], "both") == {State.RUNNING}


async def test_each_value_of_a_param_has_a_list_of_its_own(bench: Bench, provider: ListingProvider):
    provider.says(range(6), status="running")
    await bench.watch([0, 1], "placed", params={"repo": "a"})
    await bench.watch([2, 3], "placed", params={"repo": "b"})
    await bench.watch([4], "placed", params={"repo": "c"})
    await bench.poll()
    assert sorted(provider.asked) == ["/a/jobs", "/b/jobs", "/c/jobs/4"]
    assert await bench.states(range(5), "placed") == {State.RUNNING}


def test_a_cancel_call_belongs_to_no_list(bench: Bench):
    claims = [Claim(0, "poll", "paged", item, b"", 0) for item in ("paged/1", "cancel:paged/1")]
    assert by_kind(bench.context, claims) == ([claims[:1]], claims[1:])


# --- the mirror -----------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "body"), [("paged", b"%b"), ("wrapped", b'{"job":%b}')])
async def test_the_mirror_repeats_an_element_as_the_answer_of_a_poll(
    bench: Bench, provider: ListingProvider, source: str, body: bytes
):
    provider.says([1, 2], status="running", more=[1, {"a": None}])
    provider.list_headers = {"ETag": '"of the list"'}
    await bench.watch([1, 2], source)
    await bench.poll()
    assert provider.asked == ["/jobs"]
    answer = await bench.mirrored(1, source)
    element = b'{"id":"1","status":"running","more":[1,{"a":null}]}'
    assert (answer.status, answer.body) == (200, body % element)
    assert (answer.content_type, answer.etag) == ("application/json; charset=utf-8", "")


async def test_the_mirror_keeps_its_answer_if_the_list_has_excerpts(
    bench: Bench, provider: ListingProvider
):
    provider.says([1], status="running", more=True)
    await bench.watch([1], "excerpt")
    await bench.poll()
    before = await bench.mirrored(1, "excerpt")
    await bench.watch([1, 2], "excerpt")
    provider.says([2], status="running")
    await bench.poll()
    assert provider.asked == ["/jobs/1", "/jobs"]
    assert await bench.mirrored(1, "excerpt") == before
    assert await bench.mirrored(2, "excerpt") is None
