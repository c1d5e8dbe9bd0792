"""Whatever workers and subscribers do, each event is delivered, and in order if that is wanted.

Time does not pass here, except by the rules: `lapse` ends every lease, `time_passes` makes every
retry due. So Hypothesis, not a clock, decides which claims are lost with a worker, settled late, or
held by two workers, and a failure is repeatable.
"""

import asyncio
import json
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from processor import schedule, state_machine
from processor.config import Settings, load
from processor.errors import Conflict, NotFound, StoreUnavailable
from processor.event_filters import EventRouter
from processor.event_types import COMPLETED, JOB_TYPES
from processor.model import HttpResponse, Origin, Retention, State, StatusUpdate, Subscription
from processor.service.delivery import settle as delivery_settle
from processor.service.delivery.deliver import Deliverer, PreparedDelivery
from processor.service.jobs.advance import advance
from processor.service.jobs.decide import IncomingUpdate
from processor.service.replay import replay as replay_replay, retry, scan_log
from processor.service.replay.overflow import catch_up
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import Metrics
from processor.service.subscriptions import ids, update
from processor.service.subscriptions.update import UpdateSubscription
from processor.store import Store
from processor.store.change import NewEvent
from processor.store.work_items import Claim, LaneLimits, Room

JOBS = ("0", "0", "0", "1")  # mostly one job: only its own events have an order
EVENTS = ("job.started", "job.progressed", "job.completed")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WIDE = LaneLimits(1000)
LEASE = 3600.0
PAGE = 3  # events that a scan of the log enqueues at once
NOT_YET = 9e15

ANSWERS: dict[str, tuple[int, dict[str, str]]] = {
    "good": (200, {}),
    "failed": (400, {}),  # 5xx would pause the subscriber
    "later": (400, {"retry-after": "7200"}),
    "gone": (410, {}),
    "abort": (400, {"webhook-delivery": "abort-message"}),
}

names = st.sampled_from(JOBS)
kinds = st.sampled_from(["ordered", "ordered", "plain"])
states = st.sampled_from([State.RUNNING, State.RUNNING, State.SUCCEEDED])
steps = st.lists(states, min_size=1, max_size=4)
answers = st.sampled_from(["good", "good", "failed", "failed", *ANSWERS])
which = st.integers(0, 1000)


InBetween = Callable[[], Coroutine[Any, Any, None]]


class Published(NamedTuple):
    """An event, as the log has it."""

    job: str
    sequence: int
    type: str


class Subscribers:
    """All subscribers: answer as the test wants, and record what they got."""

    def __init__(self) -> None:
        self.answer = "good"
        self.allowed: set[str] = set()  # subscriptions that may get events
        self.got: list[tuple[str, str]] = []  # (subscription, event), in order
        self.took: set[tuple[str, str]] = set()  # those that were answered 200
        self.refused: set[tuple[str, str]] = set()  # those that must not be sent again
        self.in_between: InBetween | None = None  # before the next answer

    async def request(self, method: str, url: str, **request: Any) -> HttpResponse:
        """Answer one delivery."""
        target, event = url.partition("//")[2], request["headers"]["webhook-id"]
        assert (method, target in self.allowed) == ("POST", True)
        self.got.append((target, event))
        status, headers = ANSWERS[self.answer]
        if self.answer == "good":
            self.took.add((target, event))
        elif self.answer in ("gone", "abort"):
            self.refused.add((target, event))
        if in_between := self.in_between:
            self.in_between = None
            await in_between()
        return HttpResponse(status, headers, b"", 0.0)


class Hands:
    """The handover of a worker with room for `limit` deliveries; what it is given waits here."""

    def __init__(self, deliverer: Deliverer, limit: int) -> None:
        self.limit, self.deliverer = limit, deliverer
        self.prepared: list[PreparedDelivery] = []
        self.unread: list[Claim] = []

    @asynccontextmanager
    async def room(self, deliveries: int) -> AsyncIterator[Room | None]:
        """Room for some of them."""
        limit = min(self.limit, deliveries)
        yield Room(limit, 1 << 20, lambda _: WIDE) if limit else None

    def start(
        self, claims: Sequence[Claim], events: Sequence[NewEvent], router: EventRouter
    ) -> None:
        """Take what a commit claimed."""
        prepared, unread = self.deliverer.in_hand(claims, events, router)
        self.prepared += prepared
        self.unread += unread

    @property
    def claims(self) -> list[Claim]:
        """All of them."""
        return [*(post.claim for post in self.prepared), *self.unread]


class Delivering(RuleBasedStateMachine):
    """Two workers and two clocks on one Redis, a plain subscription and an ordered one."""

    orderly = True  # nothing is replayed

    def __init__(
        self, url: str, file: Path, shards: int, waiting: int, leaks: Callable[[], list[str]]
    ) -> None:
        """Connect, to an empty Redis."""
        super().__init__()
        self.loop = asyncio.Runner()
        self.leaks = leaks
        self.subscribers = Subscribers()
        self.unconfirmed: list[Claim] = []
        self.hands: list[Claim] = []  # claims that a worker has, or believes to have
        self.made = 0
        self.lost = 0  # replies to settle that will be lost
        self.in_between: InBetween | None = None  # after the next read of what waits in order
        self.there: dict[str, str] = {}  # the current subscription, by kind
        self.jobs = dict.fromkeys(JOBS, (0, State.SUCCEEDED))  # attempt and state
        self.published: dict[str, Published] = {}
        self.wanted: set[tuple[str, str]] = set()  # (subscription, event) that must be delivered
        self.unsure: set[tuple[str, str]] = (
            set()
        )  # published before a subscription was disabled or removed
        self.waiting = waiting
        settings = load(file, {"REDIS_URL": url, "RINGBACK_SHARDS": str(shards)})
        self.workers = [self.worker(settings, Retention(waiting=waiting)) for _ in range(2)]
        self.deliverers = list(map(Deliverer, self.workers))
        self.store = self.workers[0].store
        self.redis = self.store.connection.redis
        self.do(self.redis.flushall())
        self.break_into(self.workers[0].store)

    def worker(self, settings: Settings, keep: Retention) -> Context:
        """One worker's context; its deliveries go to the subscribers above."""
        store = Store(settings.redis_url, shards=settings.shards, lease=LEASE, keep=keep)
        return Context(settings, store, self.subscribers, Metrics())  # type: ignore[arg-type]

    def break_into(self, store: Store) -> None:
        """Let the first worker lose replies and sleep when the test wants."""
        run, look = store.connection.run, store.deliveries.in_order

        async def loses(name: str, *args: Any, **options: Any) -> Any:
            done = await run(name, *args, **options)
            if name == "settle" and self.lost:
                self.lost -= 1
                raise StoreUnavailable("the answer was lost")
            return done

        async def sleeps(*args: Any) -> Any:
            found = await look(*args)
            if in_between := self.in_between:
                self.in_between = None
                await in_between()
            return found

        store.connection.run = loses  # type: ignore[method-assign]
        store.deliveries.in_order = sleeps  # type: ignore[method-assign]

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run to the end."""
        return self.loop.run(work)

    # --- what happens -----------------------------------------------------------------

    @initialize()
    def subscribe(self) -> None:
        """Both kinds of subscription exist from the start."""
        for kind in ("plain", "ordered"):
            self.make(kind)

    @rule(job=names, steps=steps, answer=st.none() | answers, room=st.sampled_from([0, 1, 2, 9]))
    def advance_job(self, job: str, steps: list[State], answer: str | None, room: int) -> None:
        """A job advances by some steps in one commit, and runs again after its end.

        The commit hands over what its worker has room for, which may go on with it at once. What it
        has in hand is what it would read.
        """
        updates = []
        for state in steps:
            attempt, was = self.jobs[job]
            attempt += was is not State.RUNNING
            self.jobs[job] = attempt, state
            at = 1.0 + len(self.published) + len(updates)
            word = f"{state} {at}"  # a new word each time, so that an event is published
            updates.append(StatusUpdate("s", job, word, state, at, Origin.PUSH, attempt=attempt))
        hands = Hands(self.deliverers[0], room)
        worker = self.workers[0]._replace(handover=hands)
        keys = self.store.shard("s", job)
        self.do(advance(worker, keys, list(map(IncomingUpdate, updates))))
        self.read()
        self.unconfirmed += hands.claims
        if hands.prepared:
            stored = self.do(hands.deliverer.read([post.claim for post in hands.prepared]))
            assert stored == hands.prepared
        if answer:
            self.subscribers.answer = answer
            self.do(self.post(hands.unread, 0, hands.prepared))
            self.deliver("work", 0, 0, answer)
        else:
            self.hands += hands.claims

    @rule(
        how=st.sampled_from(
            ["work", "go on", "lose a reply", "sleep in a post", "sleep with news"]
        ),
        which=which,
        count=st.integers(1, 4),
        answer=answers,
    )
    def deliver(self, how: str, which: int, count: int, answer: str) -> None:
        """A worker delivers due claims, or some that it has, whether their lease has ended or not."""
        alone = how.startswith("sleep")  # otherwise a race decides what the others do
        claims = (
            self.do(self.claims()) if how == "work" else self.take(which, 1 if alone else count)
        )
        self.subscribers.answer = answer
        if how == "lose a reply":
            self.lost = 1
        elif how == "sleep in a post":
            self.subscribers.in_between = self.take_over
        elif how == "sleep with news":
            self.in_between = self.take_over
        self.do(self.post(claims, 0))
        self.lost, self.in_between, self.subscribers.in_between = 0, None, None
        self.look()

    async def take_over(self) -> None:
        """A worker sleeps: all leases end, and the other one delivers what is due."""
        answer, self.subscribers.answer = self.subscribers.answer, "good"
        await self._lapse()
        await self.post(await self.claims(), 1)
        self.subscribers.answer = answer

    @rule()
    def claim(self) -> None:
        """A worker claims everything due; it may do nothing more."""
        self.hands += self.do(self.claims())

    @rule(what=st.sampled_from(["leases", "a lease", "retries", "clock", "clocks"]), which=which)
    def time_passes(self, what: str, which: int) -> None:
        """Leases end, or one is renewed; retries fall due; clocks run."""
        if what == "leases":
            self.do(self._lapse())
        elif what == "retries":
            self.do(self.make_retries_due())
        elif what == "a lease" and self.hands:
            self.do(self.store.backlogs.renew([self.hands[which % len(self.hands)]]))
        elif what in ("clock", "clocks"):
            self.do(self.catch_up_overflow(2 if what == "clocks" else 1))

    @rule(kind=kinds, how=st.sampled_from(["enable", "enable", "enable", "disable", "replace"]))
    def manage(self, kind: str, how: str) -> None:
        """A subscription is disabled, enabled, or replaced by another one."""
        context, target = self.workers[0], self.there[kind]
        if how == "disable":
            found = self.do(self.store.subscriptions.get(target))
            self.do(update.disable(context, found, "by hand"))
        elif how == "enable":
            self.do(update.enable(context, target))
        else:
            self.do(self.store.subscriptions.remove(target))
            self.make(kind)
        self.look()

    # --- short calls -----------------------------------------------------------------

    def make(self, kind: str) -> None:
        """Make a subscription, the only one of its kind."""
        name = self.there[kind] = f"sub_{kind}{self.made}"
        self.made += 1
        made = Subscription(id=name, url=f"https://{name}", secrets=(SECRET,), events=EVENTS)
        self.do(self.store.subscriptions.save(replace(made, ordered=kind == "ordered")))
        self.look()

    def look(self) -> None:
        """Note which subscriptions exist, and are not disabled."""
        found = self.do(self.store.subscriptions.listed())
        allowed = {one.id for one in found if not one.disabled}
        self.unsure |= {one for one in self.wanted if one[0] not in allowed}
        self.subscribers.allowed = allowed

    def read(self) -> None:
        """Read published events: each subscription must get them."""
        for event in self.do(self.store.events.page(self.store.events.start(), 10_000)):
            if event.id not in self.published and event.type in JOB_TYPES:
                data = json.loads(event.body)["data"]
                self.published[event.id] = Published(data["id"], data["sequence"], event.type)
                self.wanted |= {(name, event.id) for name in self.subscribers.allowed}

    def take(self, which: int, count: int) -> list[Claim]:
        """Some claims that workers have had, or new ones."""
        if not self.hands:
            self.claim()
        return [self.hands.pop(which % len(self.hands)) for _ in range(min(count, len(self.hands)))]

    async def post(
        self, claims: Sequence[Claim], worker: int, in_hand: Sequence[PreparedDelivery] = ()
    ) -> None:
        """Deliver claims at the same time."""
        deliverer, posts = self.deliverers[worker], list(in_hand)
        for shard in {c.shard for c in claims}:
            posts += await deliverer.read([c for c in claims if c.shard == shard])
        await asyncio.gather(*map(deliverer.deliver, posts))

    async def claims(self) -> list[Claim]:
        """Claim everything that is due by any clock."""
        await self.moment()
        found: list[Claim] = []
        for keys in self.store.shards:
            claim = self.store.backlogs.claim
            while some := await claim(keys, "deliver", 1000, lambda _: WIDE):
                found += some
        self.unconfirmed += found
        return found

    async def moment(self) -> None:
        """Wait until Redis' clock is ahead of the workers'."""
        now = max([await worker.store.now() for worker in self.workers])
        while (clock := await self.redis.time())[0] + clock[1] / 1e6 <= now + 0.001:
            pass

    async def _lapse(self) -> None:
        for key, items in (await self.sets("claimed")).items():
            lanes, _, lane = key.replace("claimed", "lanes").rpartition(":")
            await self.redis.zadd(key, {item: at - 2000 * LEASE for item, at in items.items()})
            await self.redis.zadd(lanes, {lane: 0})
        for claim in self.unconfirmed:
            claim.token -= int(2000 * LEASE)

    async def make_retries_due(self) -> None:
        """Make all retries due."""
        sets = await self.sets("retries")
        for keys in self.store.shards:
            prefix = keys.retries("deliver", "")
            for key in (key for key in sets if key.startswith(prefix)):
                for item in sets[key]:
                    lane = key.removeprefix(prefix)
                    assert await self.store.redeliveries.run_now(keys, lane, item)

    async def catch_up_overflow(self, clocks: int) -> None:
        """Let clocks enqueue overflow."""
        await asyncio.gather(*map(catch_up, self.workers[:clocks]))

    async def sets(self, part: str = "") -> dict[str, dict[str, float]]:
        """What is in `due`, `retries`, `claimed` or an `order`, by key."""
        found = [key.decode() for key in await self.redis.keys(f"*}}:{part}*")]
        keys = sorted(
            key for key in found if re.search("}:((due|retries|claimed):deliver|order):", key)
        )
        pipe = self.redis.pipeline(transaction=False)
        for key in keys:
            pipe.zrange(key, 0, -1, withscores=True)
        rows = [{item.decode(): at for item, at in row} for row in await pipe.execute()]
        return dict(zip(keys, rows, strict=True))

    # --- what always holds ------------------------------------------------------------

    @invariant()
    def every_delivery_waits_once_and_one_of_each_order_may_start(self) -> None:
        """If a delivery waits for an earlier one, exactly one of that job may start."""
        sets = self.do(self.sets())
        chains = {key: set(items) for key, items in sets.items() if "}:order:" in key}
        lanes = {key: items for key, items in sets.items() if key not in chains}
        places = [item for items in lanes.values() for item in items]
        assert len(places) == len(set(places))
        waits = {item for items in lanes.values() for item, at in items.items() if at == NOT_YET}
        chained = {item for chain in chains.values() for item in chain}
        assert waits <= chained <= set(places)
        for name, chain in chains.items():
            assert len(chain - waits) == 1, f"{name}: {chain}, of which wait {waits}"
        for keys in self.store.shards:
            for name in self.there.values():
                parts = [part("deliver", name) for part in (keys.due, keys.retries, keys.claimed)]
                count = sum(len(lanes.get(part, ())) for part in parts)
                assert count <= self.waiting + 2 * PAGE  # two clocks may enqueue a page each
        self.do(self.compare(places))

    async def compare(self, places: Sequence[str]) -> None:
        """Each waiting delivery has a payload, and a body that counts how many need it."""
        pipe = self.redis.pipeline(transaction=False)
        needed = Counter(item.partition(".")[0] for item in places)
        for event in needed:
            for keys in self.store.shards:
                pipe.hget(keys.event(event), "n")
        for keys in self.store.shards:
            pipe.hkeys(keys.items["deliver"])
        rows = await pipe.execute()
        payloads = [item.decode() for _ in self.store.shards for item in rows.pop()]
        assert sorted(payloads) == sorted(places)
        assert [int(n) for n in rows if n] == list(needed.values())

    @invariant()
    def ordered_subscriptions_get_the_events_of_a_job_in_order(self) -> None:
        """The first time; a repetition may come at any time."""
        last: dict[tuple[str, str], int] = defaultdict(int)
        for target, event in dict.fromkeys(self.subscribers.got):
            published = self.published[event]
            if self.orderly and target.startswith("sub_ordered"):
                assert published.sequence > last[target, published.job]
                last[target, published.job] = published.sequence

    # --- the end ----------------------------------------------------------------------

    def teardown(self) -> None:
        """Drain, and check that everything was delivered."""
        try:
            if self.there:
                self.finish()
        finally:
            for worker in self.workers:
                self.do(worker.store.close())
            self.loop.close()

    def finish(self) -> None:
        """What must be true at the end of a run."""
        for kind in self.there:
            self.manage(kind, "enable")
        self.do(self.drain())
        self.every_delivery_waits_once_and_one_of_each_order_may_start()
        self.ordered_subscriptions_get_the_events_of_a_job_in_order()
        left = self.do(self.superseded())
        assert not [one for one in left if self.published[one[1]].type in COMPLETED]
        newest = {published.job: published.sequence for published in self.published.values()}
        assert all(self.published[e].sequence < newest[self.published[e].job] for _, e in left)
        must = self.wanted - self.unsure - self.subscribers.refused
        assert must <= self.subscribers.took | left
        assert self.leaks() == []
        parts = (
            "order:",
            "overflow",
            "due:deliver",
            "retries",
            "claimed",
            "items:deliver",
            "event",
        )
        keys = [key.decode() for key in self.do(self.redis.keys("*"))]
        assert not [
            key for key in keys if key.partition(":")[2].partition(":")[2].startswith(parts)
        ]

    async def drain(self) -> None:
        """Deliver until nothing is left, lost claims too."""
        self.subscribers.answer = "good"
        for _ in range(200):
            await self.catch_up_overflow(1)
            await self.make_retries_due()
            await self._lapse()
            await self.post(await self.claims(), 0)
            overflow = [await self.store.deliveries.overflow(keys) for keys in self.store.shards]
            if not any(overflow) and not (await self.store.backlogs.depth("deliver"))[0]:
                return
        raise AssertionError("deliver does not come to an end")

    async def superseded(self) -> set[tuple[str, str]]:
        """Deliveries that were superseded."""
        targets = sorted({target for target, _ in self.wanted})
        rows = [json.loads(d) for t in targets for d in await self.store.deliveries.ended(t, 1000)]
        return {(row["target"], row["event_id"]) for row in rows if row["state"] == "superseded"}


class ByHand(Delivering):
    """With replays, retries, and changes of `ordered`."""

    orderly = False

    @rule(
        kind=kinds,
        request=st.sampled_from(["what was missed", "all", "all", "one", "order", "no order"]),
        which=which,
    )
    def request(self, kind: str, request: str, which: int) -> None:
        """A replay, a retry or a change is requested; it may be refused."""
        context, target = self.workers[1], self.there[kind]
        with suppress(Conflict, NotFound):
            if request in ("what was missed", "all"):
                replay = replay_replay.ReplayRequest(since="24h", again=request == "all")
                self.do(replay_replay.replay(context, target, replay))
            elif request == "one" and self.published:
                event = sorted(self.published)[which % len(self.published)]
                self.do(retry.retry(context, f"{event}.{target}"))
            elif request != "one":
                self.do(
                    update.change(context, target, UpdateSubscription(ordered=request == "order"))
                )


@pytest.fixture
def run(
    redis_url: str,
    tmp_path: Path,
    leaks: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., None]:
    """Runs a machine in which retries may be due at once, and every step publishes an event."""
    monkeypatch.setattr(schedule, "RETRY_DELAYS", (0.0,) * 1000)
    monkeypatch.setattr(state_machine, "PROGRESS_EVENTS_APART", 0.0)
    monkeypatch.setattr(scan_log, "PAGE", PAGE)
    monkeypatch.setattr(delivery_settle, "RETRY_INTERVAL", 0.0)
    monkeypatch.setattr(ids, "RELOAD", 0.0)  # no process has a newer file
    file = tmp_path / "ringback.toml"
    file.write_text('[sources.s]\nprovider = "standard"\n')
    most = max(12, settings.default.max_examples // 8)

    def run(how: type[Delivering], shards: int, waiting: int) -> None:
        run_state_machine_as_test(
            lambda: how(redis_url, file, shards, waiting, leaks),
            settings=settings(max_examples=most, stateful_step_count=40),
        )

    return run


@pytest.mark.timeout(420)  # Hypothesis shrinks an example for at most five minutes
@pytest.mark.parametrize("how", [Delivering, ByHand])
@pytest.mark.parametrize(("shards", "waiting"), [(1, 1000), (1, 5), (3, 5)])
def test_every_event_is_delivered_and_ordered_ones_in_order(
    run: Callable[..., None], how: type[Delivering], shards: int, waiting: int
):
    run(how, shards, waiting)
