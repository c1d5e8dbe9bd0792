"""/metrics: what each gauge shows, and that no label grows without bound."""

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from processor.job_durations import Durations
from processor.push_loss import PushLoss
from processor.service.polling.budget import credential_of
from processor.service.runtime.metrics import CALLBACK, MAX_SUBSCRIPTIONS, OTHER, Metrics
from processor.source_statistics import SourceStatistics
from processor.store.keys import STATISTICS
from processor.store.stream_ids import position_at

from .calling import Web
from .pushing import push, signed


async def metrics(web: Web) -> dict[tuple[str, ...], float]:
    """All samples, by name and labels' values."""
    answer = await web("GET", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *(v for k, v in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_pushes_are_counted_by_their_result(web: Web) -> None:
    for _ in range(2):
        await web("POST", "/hooks/feed", content=push(), headers=signed(push()))
    await web("POST", "/hooks/feed", content=push(), headers=signed(b"another"))
    await web("POST", "/hooks/nobody", content=push(), headers=signed(push()))
    found = await metrics(web)
    pushes = {key[1:]: n for key, n in found.items() if key[0] == "ringback_pushes_total"}
    assert pushes == {("accepted", "web", "feed"): 1, ("duplicate", "web", "feed"): 1}
    refusals = {key[1:]: n for key, n in found.items() if key[0] == "ringback_pushes_refused_total"}
    assert refusals == {("web", "feed", "401"): 1, ("web", "", "404"): 1}


async def test_workers_and_backlogs_are_counted_too(web: Web) -> None:
    theirs = Metrics()
    theirs.polled("wistia", "answered")
    await web.context.store.heartbeat("w1", theirs.dump())
    await web.context.store.stalled_sources.note("wistia", "401")
    await web("POST", "/hooks/feed", content=push(), headers=signed(push()))
    found = await metrics(web)
    assert found["ringback_polls_total", "answered", "worker-1", "wistia"] == 1
    assert found["ringback_workers",] == 1
    assert found["ringback_backlog_items", "ingest"] == 1
    assert found["ringback_source_stalled", "wistia"] == 1
    (wistia,) = [s for s in await web.items("/v1/sources") if s["name"] == "wistia"]
    assert wistia["stalled"] == "401"


async def test_what_a_source_has_shown_is_shown(web: Web) -> None:
    loss = PushLoss(arrived=30.0, lost=10.0, poll_first=True)
    took = {"": Durations(((8.0, 12.0), (20.0, 20.0), (30.0, 30.0)))}
    text = msgspec.json.encode(SourceStatistics(await web.context.store.now(), loss, took))
    redis = web.context.store.connection.redis
    await redis.hset(STATISTICS, mapping={"asked": text, "removed": text})
    await redis.pexpire(STATISTICS, 10_000)
    sources = await web.items("/v1/sources")
    (learnt,) = next(source["learnt"] for source in sources if source["name"] == "asked")
    assert learnt.pop("first_poll") > 0
    assert learnt == {"kind": None, "jobs": 3, "median": 20.0, "shortest": 10.0}
    found = {source["name"]: source["push_loss"] for source in sources}
    assert found["asked"] == {"jobs": 40, "share": 0.25, "poll_first": True}
    assert (found["feed"], found["wistia"]["jobs"]) == (None, 0)
    samples = await metrics(web)
    assert samples["ringback_source_push_loss_ratio", "asked"] == 0.25
    assert samples["ringback_source_poll_first", "asked"] == 1
    assert ("ringback_source_push_loss_ratio", "removed") not in samples


async def test_trouble_of_sources_is_shown(web: Web) -> None:
    store = web.context.store
    wistia = web.context.settings.sources["wistia"]
    await store.buckets.park(credential_of(wistia), await store.now() + 100)
    await web("POST", "/hooks/registered", content=push(), headers=signed(push()))
    found = await metrics(web)
    assert 0 < found["ringback_source_throttled_seconds", "wistia"] < 101
    assert found["ringback_source_held_updates", "registered"] == 1
    assert ("ringback_source_held_updates", "feed") not in found


async def test_trouble_of_subscriptions_is_shown(web: Web) -> None:
    store, ids = web.context.store, []
    for _ in range(3):
        body = {"url": "https://203.0.114.9/hooks"}
        ids.append((await web("POST", "/v1/subscriptions", body)).json()["id"])
    fine, disabled, failing = ids
    keys, now = store.shards[0], await store.now()
    await store.subscriptions.change(
        disabled, lambda s: msgspec.structs.replace(s, disabled="answered 410")
    )
    await store.connection.redis.hset(keys.overflow, fine, f"{position_at(now - 50)} 9-9")
    for lane in (failing, "cb:http://a.example", "cb:http://b.example"):
        await store.failure_scores.record(lane, "unavailable", 10, now)
        await store.backlogs.pause("deliver", lane, now + 100)
    await store.backlogs.pause("deliver", fine, now + 100)  # by its rate: it has not failed
    found = await metrics(web)
    assert 49 < found["ringback_subscription_overflow_seconds", fine] < 60
    assert found["ringback_subscription_disabled", disabled] == 1
    assert ("ringback_subscription_disabled", fine) not in found
    known = await web.items("/v1/subscriptions")
    assert found["ringback_subscriptions", "enabled"] == len(known) - 1
    assert found["ringback_subscriptions", "disabled"] == 1
    breakers = {key[1]: n for key, n in found.items() if key[0] == "ringback_circuit_breaker_open"}
    assert breakers == {failing: 1, CALLBACK: 2}


async def test_who_fails_is_shown_between_two_attempts_while_a_delivery_waits(web: Web) -> None:
    """Retries are hours apart, and a pause takes minutes at most."""
    store, url = web.context.store, "https://203.0.114.9/hooks"
    failing, disabled, idle = [
        (await web("POST", "/v1/subscriptions", {"url": url, "sources": [source]})).json()["id"]
        for source in ("feed", "feed", "wistia")
    ]
    body = {"callback_url": f"{url}?job=1", "callback_secret": "whsec_" + 32 * "A"}
    assert (await web("PUT", "/v1/jobs/feed/1", body)).status_code == 201
    await web.push("1", "succeeded")
    await store.subscriptions.change(
        disabled, lambda s: msgspec.structs.replace(s, disabled="answered 410")
    )
    now = await store.now()
    ages = {failing: 5000, disabled: 6000, idle: 7000, "sub_removed": 8000}
    ages |= {"cb:https://203.0.114.9": 3000, "cb:https://nothing-waits.example": 9000}
    health = {lane: f"1 {(now - age) * 1000:.0f} 1 0" for lane, age in ages.items()}
    await store.connection.redis.hset(store.shards[0].failure_scores, mapping=health)
    await store.connection.redis.expire(store.shards[0].failure_scores, 100)
    name, expected = "ringback_subscription_failing_seconds", {failing: 5000, CALLBACK: 3000}
    waiting = {key[1]: n for key, n in (await metrics(web)).items() if key[0] == name}
    assert waiting == pytest.approx(expected, abs=20)
    assert await web._claim("deliver")  # the attempts are in flight
    claimed = {key[1]: n for key, n in (await metrics(web)).items() if key[0] == name}
    assert claimed == pytest.approx(expected, abs=20)
    await store.failure_scores.record(failing, "ok", 10, now)
    assert (name, failing) not in await metrics(web)


async def test_a_gauge_shows_at_most_a_hundred_subscriptions_the_worst_ones(web: Web) -> None:
    store = web.context.store
    now = await store.now()
    ages = {f"sub_{n}": f"{position_at(now - n)} 9-9" for n in range(1, 300)}
    await store.connection.redis.hset(store.shards[0].overflow, mapping=ages)
    found = await metrics(web)
    shown = {key[1] for key in found if key[0] == "ringback_subscription_overflow_seconds"}
    assert shown == {f"sub_{n}" for n in range(200, 300)}


def outcomes(ours: Metrics) -> dict[tuple[str, str], float]:
    (family,) = [f for f in ours.registry.collect() if f.name == "ringback_delivery_attempts"]
    return {
        (s.labels["subscription"], s.labels["outcome"]): s.value
        for s in family.samples
        if s.name.endswith("_total")
    }


def test_attempts_are_counted_by_the_ids_of_so_many_subscriptions() -> None:
    ours = Metrics()
    for n in range(MAX_SUBSCRIPTIONS + 5):
        ours.attempted(f"sub_{n}", "delivered", 0.1)
        ours.attempted(f"cb_{n}", "failed", 0.1)
    ours.attempted("sub_0", "delivered", 0.1)
    found = outcomes(ours)
    assert found.pop((OTHER, "delivered")) == 5
    assert found.pop((CALLBACK, "failed")) == MAX_SUBSCRIPTIONS + 5
    assert found.pop(("sub_0", "delivered")) == 2
    assert found == {(f"sub_{n}", "delivered"): 1 for n in range(1, MAX_SUBSCRIPTIONS)}


async def test_a_dead_letter_is_counted_by_its_subscription(web: Web) -> None:
    body = {"url": "https://203.0.114.9/hooks", "sources": ["feed"]}
    made = await web("POST", "/v1/subscriptions", body)
    target = made.json()["id"]
    await web.push("1", "succeeded")
    await web.context.store.subscriptions.change(
        target, lambda s: msgspec.structs.replace(s, disabled="answered 410")
    )
    await web.deliver()
    found = await metrics(web)
    assert found["ringback_dead_letters_total", "canceled", "web", target] == 1
