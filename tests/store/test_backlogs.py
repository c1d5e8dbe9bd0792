"""Backlogs: no item is lost, none is claimed by two workers, and no lane delays another."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from processor.store import Store
from processor.store.keys import BACKLOGS, Keys, day_of
from processor.store.read_size import PIECE
from processor.store.work_items import NOW, Claim, LaneLimits, Settlement

LEASE = 0.15  # seconds, in tests that wait until a lease ends


def items(claims: list[Claim]) -> list[str]:
    return sorted(claim.item for claim in claims)


async def settle(store: Store, *claims: Claim, at: float | None = None) -> list[bool]:
    return await store.backlogs.settle([Settlement(c, at, b"later") for c in claims])


@pytest.fixture
def brief(store_of: Any, work_on: Any) -> Any:
    """The `poll` backlog with a short lease."""
    return work_on(store_of(lease=LEASE))


# --- claiming -----------------------------------------------------------------------------


async def test_a_due_item_is_claimed_with_its_payload_and_lane(work: Any):
    await work.put("a", "a/1", payload=b"\x00\xff")
    claim = await work.one()
    assert (claim.backlog, claim.lane, claim.item) == ("poll", "a", "a/1")
    assert claim.payload == b"\x00\xff"


async def test_an_item_is_not_claimed_before_its_time(work: Any, wait_until: Any):
    await work.put("a", "soon", at=await work.store.now() + 0.1)
    await work.put("a", "late", at=await work.store.now() + 60)
    assert await work.claim() == []
    claims: list[Claim] = []

    async def claimed() -> list[Claim]:
        claims.extend(await work.claim())
        return claims

    await wait_until(claimed)
    assert items(claims) == ["soon"]


@pytest.mark.parametrize("places", [1, 5, 10, 25, 64])
async def test_new_items_go_before_retries_except_for_a_tenth(
    work_on: Any, store: Store, places: int
):
    work, new = work_on(store, "deliver"), [f"new {n}" for n in range(100)]
    await work.put("sub_1", *(f"old {n}" for n in range(100)))
    failed = [Settlement(claim, NOW, b"0", failed=True) for claim in await work.claim()]
    assert await store.backlogs.settle(failed) == [True] * 100
    await work.put("sub_1", *new)
    claims = await work.claim(limit=places)
    old = [claim for claim in claims if claim.item.startswith("old")]
    assert len(claims) == places
    assert places // 10 <= len(old) <= places // 10 + 1
    rest = await work.claim(limit=200, capacity=200)  # nothing else waits
    assert len(claims) + len(rest) == 200


async def test_a_claimed_item_is_not_claimed_by_another_worker(work: Any):
    await work.put("a", "a/1")
    assert items(await work.claim()) == ["a/1"]
    assert await work.claim() == []


async def test_of_many_claimers_one_gets_an_item(store_of: Any, work_on: Any):
    claimers = [work_on(store_of()) for _ in range(5)]
    names = [f"{n:03}" for n in range(100)]
    await claimers[0].put("a", *names)
    found = await asyncio.gather(*(claimer.claim(40) for claimer in claimers))
    assert sorted(claim.item for claims in found for claim in claims) == names


async def test_an_item_replaces_one_of_the_same_name(work: Any, store: Store, keys: Keys):
    await work.put("a", "a/1", at=await store.now() + 60, payload=b"old")
    await work.put("a", "a/1", payload=b"new")
    claim = await work.one()
    assert claim.payload == b"new"
    assert await settle(store, claim) == [True]
    assert await store.backlogs.depth("poll") == (0, 0.0)


# --- leases -------------------------------------------------------------------------------


async def test_a_lost_claim_falls_due_when_its_lease_ends(brief: Any, wait_until: Any):
    await brief.put("a", "a/1", payload=b"p")
    lost = await brief.one()
    found: list[Claim] = []

    async def reclaimed() -> list[Claim]:
        found.extend(await brief.claim())
        return found

    await wait_until(reclaimed)
    assert (found[0].item, found[0].payload) == ("a/1", b"p")
    assert found[0].token - lost.token >= LEASE * 1000


async def test_a_lease_that_is_renewed_does_not_end(brief: Any):
    await brief.put("a", "a/1")
    claim = await brief.one()
    first, ends = claim.token, claim.token / 1000 + 3 * LEASE
    while await brief.store.now() < ends:
        await brief.store.backlogs.renew([claim])
        assert await brief.claim() == []
    assert claim.token > first
    assert await settle(brief.store, claim) == [True]


async def lapsed(brief: Any, wait_until: Any) -> tuple[Claim, Claim]:
    """A claim whose lease ended, and the one that came after it."""
    await brief.put("a", "a/1")
    late, found = await brief.one(), []

    async def reclaimed() -> list[Claim]:
        found.extend(await brief.claim())
        return found

    await wait_until(reclaimed)
    return late, found[0]


async def test_a_lost_lease_cannot_be_renewed(brief: Any, wait_until: Any):
    late, holder = await lapsed(brief, wait_until)
    token, theirs = late.token, holder.token
    await brief.store.backlogs.renew([late, holder])
    assert late.token == token
    assert holder.token >= theirs
    assert await settle(brief.store, holder, at=0.001) == [True]


async def test_an_end_that_is_reported_late_counts_once(brief: Any, wait_until: Any):
    late, holder = await lapsed(brief, wait_until)
    assert await settle(brief.store, late) == [True]
    assert await settle(brief.store, holder) == [False]
    assert await brief.store.backlogs.depth("poll") == (0, 0.0)


async def test_only_the_holder_of_a_lease_may_postpone(brief: Any, wait_until: Any):
    late, holder = await lapsed(brief, wait_until)
    later = await brief.store.now() + 60
    assert await settle(brief.store, late, at=later) == [False]
    assert await settle(brief.store, holder, at=later) == [True]
    due = await brief.store.connection.redis.zscore(brief.keys.due("poll", "a"), "a/1")
    assert due == pytest.approx(later * 1000, abs=1)


# --- settling -----------------------------------------------------------------------------


async def test_a_settled_item_leaves_no_key(
    work: Any, store: Store, everything: Callable[[], dict[str, Any]]
):
    await work.put("a", "a/1", "a/2")
    await work.put("b", "b/1")
    assert all(await settle(store, *await work.claim()))
    await store.connection.redis.delete(work.keys.nudge["poll"], work.keys.busy["poll"])
    assert everything() == {}


async def test_a_postponed_item_returns_with_its_new_payload(work: Any, store: Store):
    await work.put("a", "a/1")
    assert await settle(store, await work.one(), at=await store.now()) == [True]
    assert (await work.one()).payload == b"later"


async def test_now_is_by_redis_clock_whatever_ours_shows(work: Any, store: Store, keys: Keys):
    await work.put("a", "a/1")
    claim = await work.one()
    store.connection._offset += 3600  # type: ignore[operator]
    assert await settle(store, claim, at=NOW) == [True]
    due = await store.connection.redis.zscore(keys.due("poll", "a"), "a/1")
    seconds, micros = await store.connection.redis.time()
    assert due == pytest.approx(seconds * 1000 + micros / 1000, abs=1000)
    assert (await work.one()).payload == b"later"


class Slow:
    """A Redis whose answers to renewals arrive late."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """Wrap the store's `run`."""
        self._run = store.connection.run
        self.renewed, self.settled, self.answer = (asyncio.Event() for _ in range(3))
        self.calls: list[str] = []
        monkeypatch.setattr(store.connection, "run", self.run)

    async def run(self, name: str, *given: Any, **options: Any) -> Any:
        """Run a script, and count it once Redis has answered."""
        found = await self._run(name, *given, **options)
        self.calls.append(name)
        if name == "settle":
            self.settled.set()
        if name == "renew":
            self.renewed.set()
            await self.answer.wait()
        return found

    async def overtaken(self, store: Store, renewed: list[Claim], *settled: Settlement) -> Any:
        """Settle after Redis has renewed, before the answer arrives; the result, and how many tries."""
        claimed = max(claim.token for claim in renewed) / 1000 - 30
        await asyncio.sleep(claimed + 0.005 - await store.now())  # else the token stays the same
        renewing = asyncio.create_task(store.backlogs.renew(renewed))
        await self.renewed.wait()
        settling = asyncio.create_task(store.backlogs.settle(settled))
        await self.settled.wait()
        self.answer.set()
        await renewing
        return await settling, self.calls.count("settle")


@pytest.fixture
def slow(store: Store, work: Any, monkeypatch: pytest.MonkeyPatch) -> Slow:
    return Slow(store, monkeypatch)


async def test_a_postponement_that_a_renewal_overtook_is_repeated(
    work: Any, store: Store, slow: Slow
):
    """Otherwise the work would wait until a lease ends that no worker has."""
    await work.put("a", "a/1")
    claim = await work.one()
    found = await slow.overtaken(store, [claim], Settlement(claim, NOW, b"later"))
    assert found == ([True], 2)
    assert (await work.one()).payload == b"later"


async def test_an_end_that_a_renewal_overtook_is_not_repeated(work: Any, store: Store, slow: Slow):
    await work.put("a", "a/1")
    claim = await work.one()
    assert await slow.overtaken(store, [claim], Settlement(claim)) == ([True], 1)
    assert await store.backlogs.depth("poll") == (0, 0.0)


async def test_only_overtaken_settlements_are_repeated(work: Any, store: Store, slow: Slow):
    """A lost claim stays lost, and results are in the order of the claims."""
    await work.put("a", "a/1", "a/2", "a/3")
    lost, overtaken, ended = await work.claim()
    assert await settle(store, lost, at=await store.now() + 60) == [True]
    slow.calls.clear()
    slow.settled.clear()
    found = await slow.overtaken(
        store,
        [lost, overtaken, ended],
        Settlement(lost, NOW, b"not ours"),
        Settlement(overtaken, NOW, b"later"),
        Settlement(ended),
    )
    assert found == ([False, True, True], 2)
    again = await work.one()
    assert (again.item, again.payload) == (overtaken.item, b"later")


async def test_a_lost_lease_is_not_settled_again(brief: Any, wait_until: Any, monkeypatch: Any):
    late, _ = await lapsed(brief, wait_until)
    slow = Slow(brief.store, monkeypatch)
    assert await settle(brief.store, late, at=NOW) == [False]
    assert slow.calls == ["settle"]


async def test_settling_no_claims_does_nothing(store: Store):
    assert await store.backlogs.settle([]) == []


# --- lanes --------------------------------------------------------------------------------


async def test_a_lane_never_has_more_claims_than_its_capacity(work: Any, store: Store):
    await work.put("a", *(f"{n}" for n in range(10)))
    held = await work.claim(capacity=3)
    assert len(held) == 3
    assert await work.claim(capacity=3) == []
    await settle(store, held[0])
    assert len(await work.claim(capacity=3)) == 1


async def test_a_full_lane_does_not_delay_others(work: Any):
    await work.put("full", *(f"f{n}" for n in range(10)))
    await work.claim(capacity=2)
    await work.put("free", "x")
    assert items(await work.claim(capacity=2)) == ["x"]


async def test_lanes_share_a_claim(work: Any):
    await work.put("long", *(f"l{n:02}" for n in range(50)))
    await work.put("short", "s1", "s2")
    await work.put("other", "o1", "o2")
    lanes = [claim.lane for claim in await work.claim(limit=12)]
    assert {lane: lanes.count(lane) for lane in lanes} == {"long": 4, "short": 2, "other": 2}


async def test_a_flood_in_one_lane_does_not_delay_others(work: Any, store: Store):
    await work.put("flood", *(f"f{n:03}" for n in range(300)))
    await work.put("calm", "c")
    first = await work.claim(limit=10)
    assert "c" in items(first)


async def test_every_lane_is_claimed_however_many_there_are(work: Any, store: Store):
    lanes = [f"lane{n:03}" for n in range(300)]
    for lane in lanes:
        await work.put(lane, f"{lane}/1")
    found: list[str] = []
    while claims := await work.claim(limit=100):
        found += items(claims)
        await settle(store, *claims)
    assert sorted(found) == [f"{lane}/1" for lane in lanes]


async def test_a_flood_of_large_items_does_not_delay_other_lanes(work: Any):
    await work.put("flood", *(f"f{n:03}" for n in range(150)), payload=bytes(65_536))
    await work.put("calm", "c")
    assert "c" in items(await work.claim(limit=200, capacity=200))


async def test_large_items_in_one_lane_may_fill_a_claim(work: Any):
    await work.put("only", *(f"{n:03}" for n in range(100)), payload=bytes(65_536))
    assert len(await work.claim(limit=200, capacity=200)) == PIECE // 65_536


async def claim_share(work: Any, share: int) -> list[Claim]:
    """Claim as a worker with this share of each lane."""
    limits = LaneLimits(100, fair=share)
    found: list[Claim] = await work.store.backlogs.claim(work.keys, "poll", 200, lambda _: limits)
    return found


async def test_lanes_that_hold_their_share_do_not_hide_others(work: Any):
    for lane in range(150):  # more than one claim checks
        await work.put(f"{lane}", f"{lane}/1", f"{lane}/2")
    held = 0
    while claims := await claim_share(work, 1):
        held += len(claims)
    assert held == 150
    await work.put("free", "x")
    assert items(await claim_share(work, 1)) == ["x"]


async def test_the_oldest_items_of_a_lane_are_claimed_first(work: Any, store: Store):
    now = await store.now()
    for age in (3, 1, 2):
        await work.put("a", f"{age}", at=now - age)
    assert [c.item for c in await work.claim(limit=2)] == ["3", "2"]


async def test_backlogs_and_shards_do_not_share_items(store_of: Any, work_on: Any):
    store = store_of(shards=2)
    for backlog in BACKLOGS:
        await work_on(store, backlog).put("a", backlog)
    for backlog in BACKLOGS:
        assert items(await work_on(store, backlog).claim()) == [backlog]
    other = work_on(store)
    other.keys = store.shards[1]
    assert await other.claim() == []


# --- pausing ------------------------------------------------------------------------------


async def pause(work: Any, claim: Claim, seconds: float) -> float:
    until: float = await work.store.now() + seconds
    assert await work.store.backlogs.settle(
        [Settlement(claim, await work.store.now(), b"0")], [(claim, until)]
    ) == [True]
    return until


async def test_a_paused_lane_is_not_claimed_and_others_are(work: Any, wait_until: Any):
    await work.put("paused", "p1", "p2")
    first, second = await work.claim()
    until = await pause(work, first, 0.2)
    await pause(work, second, 0.2)
    await work.put("paused", "p3")
    await work.put("free", "x")
    assert items(await work.claim()) == ["x"]
    found: list[Claim] = []

    async def all_back() -> bool:
        found.extend(await work.claim())
        return len(found) == 3

    await wait_until(all_back)
    assert min(claim.token for claim in found) / 1000 - 30 >= until - 0.001
    assert await work.store.connection.redis.exists(work.keys.paused["poll"]) == 0


async def test_a_claim_can_be_settled_while_its_lane_is_paused(work: Any, store: Store):
    await work.put("paused", "p1", "p2")
    first, second = await work.claim()
    await pause(work, first, 60)
    assert await settle(store, second) == [True]
    assert await work.claim() == []


async def test_a_paused_lane_is_checked_only_when_its_time_has_come(work: Any, store: Store):
    await work.put("paused", "p1")
    await pause(work, await work.one(), 5)
    assert await work.claim() == []
    wait = await store.backlogs.nudge_due()
    assert wait == pytest.approx(5, abs=0.5)


async def test_pausing_never_shortens_a_pause(work: Any):
    await work.put("a", "a1")
    until = await work.store.now() + 60
    await work.store.backlogs.pause("poll", "a", until)
    await work.store.backlogs.pause("poll", "a", until - 50)
    assert await work.store.backlogs.paused("poll", "a")
    rests = int(await work.store.connection.redis.hget(work.keys.paused["poll"], "a"))
    assert rests == int(until * 1000)


# --- budgets ------------------------------------------------------------------------------


async def spend(claimers: list[Any], budget: tuple[int, float], count: int) -> list[int]:
    """Claim as fast as possible until there are so many; the time of each in ms, by Redis."""
    times: list[int] = []
    while len(times) < count:
        for claims in await asyncio.gather(*(c.claim(budget=budget) for c in claimers)):
            times += [claim.token - 30_000 for claim in claims]
            await settle(claimers[0].store, *claims)
    return sorted(times)


@pytest.mark.parametrize(
    ("budget", "count"), [((1, 0.1), 6), ((3, 0.15), 9), ((20, 0.3), 60), ((200, 0.4), 500)]
)
async def test_no_window_holds_more_than_the_budget(
    store_of: Any, work_on: Any, budget: tuple[int, float], count: int
):
    claimers = [work_on(store_of()) for _ in range(3)]
    await claimers[0].put("a", *(f"{n}" for n in range(count + budget[0])))
    times = await spend(claimers, budget, count)
    window = budget[1] * 1000
    fullest = max(sum(t <= other < t + window for other in times) for t in times)
    assert fullest <= budget[0]
    burst = max(1, budget[0] // 10)  # a tenth at once; the others flow
    whole = (count - burst) * window / max(1, budget[0] - burst)
    assert times[-1] - times[0] == pytest.approx(whole, rel=0.1, abs=150)


@pytest.mark.parametrize("count", [1, 2, 4, 8, 10, 12, 13, 14, 15, 18, 19, 20, 600])
@pytest.mark.parametrize("seconds", [0.2, 1.0, 10.0, 60.0, 3600.0])
async def test_a_whole_budget_starts_at_once_with_a_tenth(work: Any, count: int, seconds: float):
    await work.put("a", *(f"{n}" for n in range(100)))
    claims = await work.claim(limit=1000, budget=(count, seconds))
    assert len(claims) == max(1, count // 10)


async def test_an_unused_budget_is_not_saved_up(work: Any, wait_until: Any):
    budget = (10, 0.2)  # one at once, nine more within 0.2 s
    await work.put("a", "first")
    await spend([work], budget, 1)
    idle = await work.store.now() + 0.4

    async def rested() -> bool:
        return bool(await work.store.now() > idle)

    await wait_until(rested)
    await work.put("a", *(f"{n}" for n in range(20)))
    assert len(await work.claim(budget=budget)) == 1


async def test_a_lost_claim_still_counts_in_the_budget(brief: Any):
    await brief.put("a", *(f"{n}" for n in range(8)))
    times: list[int] = []
    while len(times) < 16:  # every item twice: none is settled
        times += [c.token - int(LEASE * 1000) for c in await brief.claim(budget=(4, 0.2))]
    fullest = max(sum(t <= other < t + 200 for other in times) for t in times)
    assert fullest <= 4


async def test_a_spent_budget_does_not_delay_other_lanes(work: Any):
    await work.put("a", "a1", "a2")
    assert len(await work.claim(budget=(1, 60))) == 1
    await work.put("b", "b1")
    assert items(await work.claim(budget=(1, 60))) == ["b1"]


# --- nudges -------------------------------------------------------------------------------


async def nudges(store: Store, keys: Keys) -> list[str]:
    """The backlogs that are nudged; at most once each."""
    counts = {b: await store.connection.redis.llen(keys.nudge[b]) for b in BACKLOGS}
    assert max(counts.values()) <= 1
    return [backlog for backlog, count in counts.items() if count]


async def test_work_that_is_due_nudges_its_backlog_once(work: Any, store: Store, keys: Keys):
    await work.put("a", "a1", "a2")
    await work.put("b", "b1")
    await store.backlogs.nudge_due()
    assert await nudges(store, keys) == ["poll"]


async def test_work_that_is_not_due_does_not_nudge(work: Any, store: Store, keys: Keys):
    await work.put("a", "a1", at=await store.now() + 60)
    assert await nudges(store, keys) == []


async def test_the_clock_nudges_due_work_and_knows_when_more_is_due(
    work: Any, store: Store, keys: Keys, wait_until: Any
):
    await work.put("a", "a1", at=await store.now() + 0.1)
    assert await store.backlogs.nudge_due() == pytest.approx(0.1, abs=0.05)

    async def nudged() -> bool:
        await store.backlogs.nudge_due()
        return await nudges(store, keys) == ["poll"]

    await wait_until(nudged)


async def test_the_clock_has_nothing_to_do_without_work(store: Store, keys: Keys):
    assert await store.backlogs.nudge_due() is None
    assert await nudges(store, keys) == []


async def test_a_lost_claim_is_nudged_when_its_lease_ends(brief: Any, wait_until: Any):
    await brief.put("a", "a1")
    await brief.one()
    await brief.store.connection.redis.delete(brief.keys.nudge["poll"])

    async def nudged() -> bool:
        await brief.store.backlogs.nudge_due()
        return await nudges(brief.store, brief.keys) == ["poll"]

    await wait_until(nudged)


async def test_free_capacity_nudges_waiting_work(work: Any, store: Store, keys: Keys):
    await work.put("a", "a1", "a2")
    (held,) = await work.claim(capacity=1)
    assert await work.claim(capacity=1) == []  # the worker sleeps
    await store.connection.redis.delete(keys.nudge["poll"])
    await settle(store, held)
    assert await nudges(store, keys) == ["poll"]


async def test_an_awake_worker_is_not_nudged_and_claims_everything(
    work: Any, store: Store, keys: Keys
):
    await work.put("a", "a1")
    await work.one()
    await store.connection.redis.delete(keys.nudge["poll"])
    await work.put("a", "a2")
    await work.put("b", "b1")
    assert await nudges(store, keys) == []
    found: list[str] = []
    while claims := await work.claim():
        found += items(claims)
    assert sorted(found) == ["a2", "b1"]  # now it sleeps
    await work.put("a", "a3")
    assert await nudges(store, keys) == ["poll"]


async def test_work_does_not_wait_for_a_worker_that_died(
    work: Any, store: Store, keys: Keys, wait_until: Any
):
    await work.put("a", "a1")
    await work.one()
    await store.connection.redis.delete(keys.nudge["poll"])
    await work.put("a", "a2")

    async def helped() -> bool:
        await store.backlogs.nudge_due()
        return await nudges(store, keys) == ["poll"]

    await wait_until(helped, 0.2)


async def test_a_worker_that_claims_nothing_leaves_another_marked_awake(
    store_of: Any, work_on: Any, everything: Any
):
    one, two = (work_on(store_of()) for _ in range(2))
    await one.put("a", "a1")
    await one.one()
    awake = await one.store.connection.redis.get(one.keys.busy["poll"])
    assert awake
    assert await two.claim() == []
    assert await one.store.connection.redis.get(one.keys.busy["poll"]) == awake


# --- looking ------------------------------------------------------------------------------


async def test_depth_counts_waiting_and_claimed_items(work: Any, store: Store):
    now = await store.now()
    await work.put("a", "old", at=now - 10)
    await work.put("a", "new", at=now + 10)
    count, overdue = await store.backlogs.depth("poll")
    assert (count, overdue) == (2, pytest.approx(10, abs=1.5))
    await work.one()
    assert (await store.backlogs.depth("poll"))[0] == 2


# --- twice --------------------------------------------------------------------------------


async def test_each_script_of_the_backlogs_is_safe_to_run_twice(
    work: Any, store: Store, keys: Keys, twice: Any
):
    await work.put("a", "a1", "a2", "a3", "a4")
    ended, off, paused, renewed = await work.claim()
    event = {"event": "e1", "target": "sub_1", "record": b"{}", "delivered": True}
    await store.connection.redis.hset(keys.event("e1"), mapping={"n": 2, "body": b"{}"})
    await store.connection.redis.expire(keys.event("e1"), 60)
    later = await store.now() + 60
    how = [
        Settlement(ended, **event),
        Settlement(off, later, b"x"),
        Settlement(paused, later, b"x"),
    ]
    first, second = await twice(lambda: store.backlogs.settle(how, [(paused, later)]))
    assert first == [True, True, True]
    assert second == [False, False, False]
    assert await store.connection.redis.hget(keys.event("e1"), "n") == b"1"
    assert await store.connection.redis.xlen(keys.delivered("sub_1")) == 1
    today = day_of(await store.now())
    assert await store.connection.redis.smembers(keys.delivered_ids("sub_1", today)) == {b"e1"}

    old = renewed.token
    await store.backlogs.renew([renewed])
    held = renewed.token
    again = Claim(0, "poll", "a", renewed.item, b"", old)
    await store.backlogs.renew([again])
    assert again.token in (old, held)

    assert (await twice(store.backlogs.nudge_due))[1] is not None
    assert await twice(work.claim) == ([], [])


# --- what failed --------------------------------------------------------------------------


async def failed(work: Any, *names: str) -> None:
    """Items that failed, and are due again."""
    await work.put("a", *names)
    claims = await work.claim(len(names), capacity=1000)
    at = await work.store.now()
    tried = [Settlement(c, at, b"tried", failed=True) for c in claims]
    assert all(await work.store.backlogs.settle(tried))


async def test_new_items_are_claimed_before_retries(work: Any):
    await failed(work, *(f"old{n}" for n in range(50)))
    await work.put("a", *(f"new{n}" for n in range(20)))
    first = [claim.item for claim in await work.claim(20)]
    assert sum(item.startswith("new") for item in first) in (17, 18)  # two or three are kept
    rest = [claim.item for claim in await work.claim(100)]
    assert len(rest) == 50
    assert sum(item.startswith("new") for item in rest) in (2, 3)


async def test_retries_get_all_free_places(work: Any):
    await failed(work, *(f"old{n}" for n in range(50)))
    await work.put("a", "new")
    assert len(await work.claim(30)) == 30
    assert await work.store.backlogs.depth("poll") == (51, pytest.approx(0, abs=5))


async def test_retries_are_not_starved_by_one_free_place(work: Any):
    """A retry gets one place in ten, however many new items wait."""
    await failed(work, "old")
    await work.put("a", *(f"{n:03}" for n in range(400)))
    for _ in range(400):
        (claim,) = await work.claim(1, capacity=1000)
        if claim.item == "old":
            return
    pytest.fail("it never came")


async def test_a_retry_is_not_due_before_its_time(work: Any, wait_until: Any):
    await work.put("a", "old")
    claim, later = await work.one(), await work.store.now() + 0.1
    await work.store.backlogs.settle([Settlement(claim, later, b"tried", failed=True)])
    assert await work.claim() == []
    due = await work.store.connection.redis.zscore(work.keys.retries("poll", "a"), "old")
    assert due == pytest.approx(later * 1000, abs=2)
    found: list[Claim] = []

    async def claimed() -> list[Claim]:
        found.extend(await work.claim())
        return found

    await wait_until(claimed)
    assert (found[0].item, found[0].payload) == ("old", b"tried")


async def test_an_end_that_is_reported_late_counts_after_a_postponement(
    brief: Any, wait_until: Any
):
    late, holder = await lapsed(brief, wait_until)
    at = await brief.store.now() + 60
    postponed = Settlement(holder, at, b"tried", failed=True)
    assert await brief.store.backlogs.settle([postponed]) == [True]
    over = Settlement(late, event="e", target="sub_1", record=b"{}")
    assert await brief.store.backlogs.settle([over]) == [True]
    assert await brief.store.backlogs.depth("poll") == (0, 0.0)
