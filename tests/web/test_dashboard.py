"""The dashboard over HTTP: each page, each action, CSRF, escaping, headers."""

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from redis import Redis

from processor.model import Subscription
from processor.store.expiry_list import START
from processor.web.dashboard.jobs import MAX_SCANNED
from processor.web.dashboard.overview import NEWEST
from processor.web.dashboard.render import POLICY
from processor.web.dashboard.routes import routes

from .browsing import Browser
from .calling import Served, Web
from .pushing import SECRET

HTML = "<img src=x onerror=alert(1)>\"'&</title>{{ 7*7 }}"
END = "WzAsIiJd"  # the cursor of what expired in 1970
PAGES = ("/", *(f"/dashboard/{name}" for name in ("jobs", "groups", "subscriptions", "sources")))


@pytest.fixture
async def browser(served: Served) -> AsyncIterator[Browser]:
    async with Browser(served.port) as made:
        assert (await made.sign_in()).status_code == 303
        yield made


async def subscribe(web: Web, provider: Any, **more: Any) -> str:
    """A subscription at the provider, which is also a subscriber."""
    made = await web("POST", "/v1/subscriptions", {"url": f"{provider.url}/s", **more})
    assert made.status_code == 201, made.text
    found: str = made.json()["id"]
    return found


async def test_each_page_allows_only_our_own_files(browser: Browser):
    for path in (*PAGES, "/dashboard/nothing", "/dashboard/jobs/feed/none"):
        answer = await browser.client.get(path)
        if path == "/dashboard/nothing":
            assert answer.status_code == 404
            continue
        headers = answer.headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert not re.search(r"<script>|<style|\son\w+=|\sstyle=|javascript:", answer.text)
        assert not re.search(r'(?:src|href|action)="(?!/|#)', answer.text)
    for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert part in POLICY
    assert "unsafe" not in POLICY


async def test_the_overview_of_a_new_server_says_what_is_missing(browser: Browser):
    page = await browser.read("/")
    assert "start <code>ringback worker</code>" in page
    assert "None of the newest 500 jobs is unfinished" in page


async def test_the_overview_shows_live_jobs_and_events(browser: Browser, web: Web):
    await web.push("film", "running", progress=0.25)
    await web.push("done", "succeeded")
    page = await browser.read("/")
    assert '<progress max="1" value="0.25"' in page
    assert page.count('href="/dashboard/jobs/feed/film"') == 2  # the job and its event
    assert page.count('href="/dashboard/jobs/feed/done"') >= 1
    live = page.partition('id="live-jobs"')[2].partition("</section>")[0]
    assert "done" not in live


async def test_the_overview_finds_a_live_job_behind_finished_ones(
    browser: Browser, web: Web, redis_url: str
):
    await web.push("done", "succeeded")
    await web.push("film", "running")
    with Redis.from_url(redis_url) as redis:
        (jobs,) = redis.keys("*}:jobs")
        redis.zincrby(jobs, -3_600_000, "feed/film")  # the last one of the list
        copy_job(redis, "done", 300)
    live = (await browser.read("/")).partition('id="live-jobs"')[2].partition("</section>")[0]
    assert "/dashboard/jobs/feed/film" in live
    assert "copy" not in live


async def test_the_overview_finds_the_newest_live_jobs_of_all_shards(
    served_of: Any, web_of: Any, redis_url: str
):
    web = await web_of(RINGBACK_SHARDS="4")
    live = [f"film-{n}" for n in range(12)]
    for name in live:
        await web.push(name, "running")
    oldest = max(-row[0] for row in await web.context.store.jobs.listed(START, 99)) - 60_000
    keys = web.context.store.shards[0]
    with Redis.from_url(redis_url) as redis:  # more older ones in one shard than the page reads
        redis.zadd(keys.jobs, {f"feed/older-{n}": oldest - n for n in range(NEWEST)})
    async with Browser((await served_of(RINGBACK_SHARDS="4")).port) as browser:
        await browser.sign_in()
        page = await browser.read("/")
    shown = page.partition('id="live-jobs"')[2].partition("</section>")[0]
    assert all(f'href="/dashboard/jobs/feed/{name}"' in shown for name in live)


async def test_the_overview_names_what_needs_attention(browser: Browser, web: Web, provider: Any):
    gone = await subscribe(web, provider)
    provider.tell("", 410)
    await web.push("1", "succeeded")
    await web.deliver()
    await web.context.store.stalled_sources.note("bluesky", "the token is refused")
    page = await browser.read("/")
    attention = page.partition('id="attention"')[2].partition("</section>")[0]
    assert f'href="/dashboard/subscriptions/{gone}"' in attention
    assert "Disabled: " in attention
    assert "1 dead letter" in attention
    assert "Polls are stalled: the token is refused" in attention
    assert attention.index("Disabled: ") < attention.index("1 dead letter")


async def test_the_overview_lists_fifty_things_and_counts_the_rest(browser: Browser, web: Web):
    made = [
        Subscription(
            id=f"sub_{n:04}", url=f"https://{n}.example", secrets=(SECRET,), disabled="410"
        )
        for n in range(60)
    ]
    for one in made:
        await web.context.store.subscriptions.save(one)
    page = await browser.read("/")
    attention = page.partition('id="attention"')[2].partition("</section>")[0]
    assert attention.count("<li") == 50
    assert re.search(r"And 1\d more\.", attention)


async def test_a_jobs_name_full_of_html_stays_text(browser: Browser, web: Web):
    path = f"/v1/jobs/feed/{quote(HTML, safe='')}"
    made = await web("PUT", path, {"metadata": {"m": HTML}, "aliases": [HTML + "2"]})
    assert made.status_code == 201
    await web.push(HTML, "running", error={"code": HTML, "message": HTML})
    for page in ("/", "/dashboard/jobs", f"/dashboard/jobs/feed/{quote(HTML, safe='')}"):
        text = await browser.read(page)
        assert "&lt;img src=x" in text
        assert "<img" not in text
        assert "49" not in re.sub(r"\d\d:\d\d:\d\d", "", text) or "{{ 7*7 }}" in text
    for query in (f"?source={quote(HTML)}", f"?group={quote(HTML)}", f"?metadata=a:{quote(HTML)}"):
        assert "<img" not in await browser.read(f"/dashboard/jobs{query}")
    answer = await browser.client.get("/dashboard/jobs", params={"state": HTML})
    assert answer.status_code == 422
    assert "<img" not in answer.text


async def test_jobs_are_filtered_and_come_in_pages(browser: Browser, web: Web):
    for number in range(5):
        await web.push(f"job-{number}", "running" if number % 2 else "succeeded")
    page = await browser.read("/dashboard/jobs?state=running&source=&metadata=&group=")
    assert [f"job-{n}" in page for n in range(5)] == [False, True, False, True, False]
    path, seen = "/dashboard/jobs?limit=2", []
    while True:
        page = await browser.read(path)
        seen += re.findall(r'<th scope="row"><a [^>]*>(job-\d)</a>', page)
        following = re.search(r'href="([^"]*)">Next page', page)
        if not following:
            break
        path = following[1].replace("&amp;", "&")
        assert "limit=2" in path
    assert sorted(seen) == [f"job-{n}" for n in range(5)]


async def test_a_jobs_page_has_its_timeline_and_deliveries(
    browser: Browser, web: Web, provider: Any
):
    await subscribe(web, provider)
    provider.tell("no", 500)
    await web.push("a/b", "running", progress=0.5)
    await web.push("a/b", "succeeded")
    await web.push("a/b", "running")
    await web.deliver()
    page = await browser.read("/dashboard/jobs/feed/a%2Fb")
    timeline = page.partition('id="timeline"')[2].partition("</section>")[0]
    assert "queued → " in timeline
    assert " ignored: " in timeline
    assert len(re.findall(r">[^<]+ later</time>", timeline)) == 2
    deliveries = page.partition('id="deliveries"')[2].partition("</section>")[0]
    assert "job.succeeded" in deliveries
    assert '<strong class="bad">500</strong>' in deliveries
    assert f">{provider.url}/s</a>" in deliveries
    provider.tell("")
    back = await browser.press(
        "/dashboard/jobs/feed/a%2Fb",
        re.search(r'action="(/dashboard/deliveries/[^"]*)"', deliveries)[1],
    )
    assert "being sent again" in back
    await web.deliver()
    assert '<strong class="good">200</strong>' in await browser.read("/dashboard/jobs/feed/a%2Fb")


async def test_a_filter_that_nothing_matches_is_searched_for_in_parts(
    browser: Browser, web: Web, redis_url: str
):
    await web.push("original", "running", progress=0.5)
    await web.push("found", "failed")
    with Redis.from_url(redis_url) as redis:
        (jobs,) = redis.keys("*}:jobs")
        redis.zincrby(jobs, -3_600_000, "feed/found")  # the last one of the list
        copy_job(redis, "original", 1_200)
    path, pages = "/dashboard/jobs?state=failed", 0
    while found := re.search(r'<a data-search-on href="([^"]*)">', await browser.read(path)):
        path, pages = unescape(found[1]), pages + 1
    assert pages == 1_200 // MAX_SCANNED
    assert 'data-key="feed/found"' in await browser.read(path)
    assert "No job matches." in await browser.read(
        f"/dashboard/jobs?source=asked&state=failed&cursor={END}"
    )


async def test_a_result_is_shown_if_there_is_one(browser: Browser, web: Web):
    await web.push("1", "succeeded", result={"url": "https://cdn.example/1"})
    await web.push("2", "succeeded")
    assert "https://cdn.example/1" in await browser.read("/dashboard/jobs/feed/1")
    assert "<summary>Result" not in await browser.read("/dashboard/jobs/feed/2")


async def test_groups_and_their_members_are_shown(browser: Browser, web: Web):
    group = {"id": "night/1", "jobs": ["feed/1", "feed/2"], "metadata": {"a": 1}}
    assert (await web("POST", "/v1/groups", group)).status_code == 201
    await web.push("1", "succeeded")
    assert "1 of 2" in await browser.read("/dashboard/groups")
    page = await browser.read("/dashboard/groups/night%2F1")
    assert 'href="/dashboard/jobs/feed/2"' in page
    assert "1 of 2" in page
    await browser.read("/dashboard/groups/none", 404)


async def test_a_subscriptions_page_has_its_health_and_deliveries(
    browser: Browser, web: Web, provider: Any
):
    target = await subscribe(web, provider)
    provider.tell("")
    await web.push("1", "succeeded")
    await web.deliver()
    assert "1 of the last 1 arrived" in await browser.read("/dashboard/subscriptions")
    page = await browser.read(f"/dashboard/subscriptions/{target}")
    assert "job.succeeded" in page
    assert "None." in await browser.read(f"/dashboard/subscriptions/{target}?state=failed")


async def test_sources_show_pushes_polls_and_what_is_missing(browser: Browser, web: Web):
    await web.context.store.stalled_sources.note("bluesky", "the token is refused")
    page = await browser.read("/dashboard/sources")
    for name in web.context.settings.sources:
        assert f'id="{name}"' in page
    assert "the token is refused" in page
    assert "held until registered" in page
    assert page.index('id="bluesky"') < page.index('id="asked"')  # what is in trouble comes first


# --- actions ----------------------------------------------------------------------------------


async def test_a_job_is_watched_polled_and_watched_no_more(browser: Browser, web: Web):
    page = await browser.press("/dashboard/jobs", "/dashboard/jobs", source="asked", id=" a/b ")
    assert "The job is watched." in page
    job = "/dashboard/jobs/asked/a%2Fb"
    assert "The provider is being asked." in await browser.press(job, f"{job}/poll")
    assert "not watched any more" in await browser.press(job, f"{job}/unwatch")
    assert (await web("GET", "/v1/jobs/asked/a%2Fb")).status_code == 404
    await browser.read(job, 404)


async def test_a_subscription_is_tested_enabled_and_replayed(
    browser: Browser, web: Web, provider: Any
):
    target = await subscribe(web, provider)
    path = f"/dashboard/subscriptions/{target}"
    provider.tell("", 410)
    await web.push("1", "succeeded")
    await web.deliver()
    assert "disabled" in await browser.read(path)
    assert "The subscription is enabled." in await browser.press(path, f"{path}/enable")
    provider.tell("")
    before = len(provider.got)
    assert "A test event is on its way." in await browser.press(path, f"{path}/test")
    assert "being sent again" in await browser.press(path, f"{path}/retry")
    assert "being sent again" in await browser.press(path, f"{path}/replay", since="1h")
    await web.deliver()
    types = sorted(re.search(rb'"type":"([^"]*)"', body)[1] for body, _ in provider.got[before:])
    assert types == [b"job.succeeded", b"subscription.test"]


async def test_a_new_secret_is_shown_once(browser: Browser, web: Web, provider: Any):
    target = await subscribe(web, provider)
    path = f"/dashboard/subscriptions/{target}"
    answer = await browser.submit(path, f"{path}/rotate")
    assert answer.status_code == 200
    assert "whsec_" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "whsec_" not in await browser.read(path)


async def test_each_link_beside_a_new_secret_leads_to_a_page(
    browser: Browser, web: Web, provider: Any, monkeypatch: pytest.MonkeyPatch
):
    """Its address takes no GET, so it has no pages of its own."""
    monkeypatch.setattr("processor.web.query_params.LIMIT", 1)
    target = await subscribe(web, provider)
    for job in ("1", "2"):
        await web.push(job, "succeeded")
    path = f"/dashboard/subscriptions/{target}"
    assert "Next page" in await browser.read(path)
    page = (await browser.submit(path, f"{path}/rotate")).text
    for href in re.findall(r'<a [^>]*href="([^"]*)"', page):
        if href.startswith("/"):
            await browser.read(unescape(href))


async def test_no_action_runs_without_the_csrf_token(browser: Browser, web: Web, served: Served):
    await web("PUT", "/v1/jobs/asked/1", {})
    await browser.read("/")
    paths = {
        path.format(source="asked", id="1", group="g")
        for path, handlers in routes(web.context, web.health).items()
        if "POST" in handlers and path != "/session"
    }
    assert len(paths) == 10
    for path in paths:
        for fields in ({}, {"csrf_token": ""}, {"csrf_token": "0" * 64}):
            answer = await browser.client.post(path, data={"source": "asked", "id": "2", **fields})
            assert answer.status_code == 403, path
    async with Browser(served.port) as stranger:
        for path in paths:
            assert (await stranger.client.post(path, data={})).status_code == 401
    assert (await web("GET", "/v1/jobs/asked/1")).status_code == 200
    assert (await web("GET", "/v1/jobs/asked/2")).status_code == 404


async def test_a_form_must_be_a_small_form(browser: Browser):
    answer = await browser.client.post("/dashboard/jobs", json={})
    assert answer.status_code == 415
    answer = await browser.client.post("/dashboard/jobs", data={"id": "x" * 70_000})
    assert answer.status_code == 413


async def test_an_error_is_a_page_with_its_remedy(browser: Browser):
    page = await browser.read("/dashboard/subscriptions/sub_none", 404)
    assert "No subscription" in page
    assert "subscriptions list" in page
    answer = await browser.submit("/dashboard/jobs", "/dashboard/jobs", source="none", id="1")
    assert answer.status_code == 404
    answer = await browser.submit("/dashboard/jobs", "/dashboard/jobs", source="feed", id="..")
    assert answer.status_code == 422


async def test_a_mirrored_answer_is_no_page_of_ours(web: Web, provider: Any):
    """A provider's answer must not run in the origin of the dashboard."""
    provider.tell("<script>1</script>", content_type="text/html")
    answer = await web("GET", "/mirror/open/xrpc/app.bsky.video.getJobStatus?jobId=1")
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"


# --- cost -------------------------------------------------------------------------------------


def copy_job(redis: Redis, job: str, count: int) -> None:
    """So many records like that of a job."""
    (key,) = redis.keys(f"*:job:feed/{job}")
    tag = key[: key.index(b"job:")]
    record, score = redis.get(key), redis.zscore(tag + b"jobs", f"feed/{job}")
    pipe = redis.pipeline(transaction=False)
    for number in range(count):
        name = f"feed/copy-{number}".encode()
        text = record.replace(f'"id":"{job}"'.encode(), b'"id":"copy-%d"' % number)
        pipe.set(tag + b"job:" + name, text, px=3_600_000)
        pipe.zadd(tag + b"jobs", {name: score - number})
        if number % 5_000 == 0:
            pipe.execute()
    pipe.execute()


async def cost(browser: Browser, redis: Redis, path: str) -> tuple[int, int]:
    """How many commands Redis runs for a page, and how many bytes it answers."""
    await browser.read(path)  # what is cached is not counted
    before = redis.info("stats")
    await browser.read(path)
    after = redis.info("stats")
    names = ("total_commands_processed", "total_net_output_bytes")
    commands, size = (after[name] - before[name] for name in names)
    return commands, size


async def test_a_page_costs_the_same_however_many_jobs_there_are(
    browser: Browser, web: Web, redis_url: str
):
    """A page reads one page of a list: what Redis does for it does not grow with the jobs."""
    await web.push("original", "running", progress=0.5)
    pages = (*PAGES, "/dashboard/jobs/feed/original", "/dashboard/jobs?state=running")
    with Redis.from_url(redis_url) as redis:
        copy_job(redis, "original", 200)
        few = {page: await cost(browser, redis, page) for page in pages}
        copy_job(redis, "original", 20_000)
        many = {page: await cost(browser, redis, page) for page in pages}
    for page in pages:
        (commands, size), (commands_of_many, size_of_many) = few[page], many[page]
        assert commands_of_many < commands + 40, page  # some are those of other tasks
        assert size_of_many < 1.2 * size + 20_000, page
