"""Deliveries on real sockets: every format, keys of both kinds, batches, and the handshake."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook

from processor.config import load
from processor.egress import Egress
from processor.errors import Conflict, InvalidValue, NotFound
from processor.formats import BATCH, Event
from processor.model import Push, Subscription
from processor.service.delivery import batch as delivery_batch, history
from processor.service.delivery.batch import Batcher
from processor.service.delivery.deliver import Deliverer
from processor.service.jobs import ingest, watch, watch_request
from processor.service.pushes.receive import Receiver
from processor.service.runtime.context import Context
from processor.service.runtime.metrics import Metrics
from processor.service.runtime.process import egress_policy
from processor.service.subscriptions import manage, update
from processor.service.subscriptions.update import UpdateSubscription
from processor.store.work_items import LaneLimits

WIDE = LaneLimits(1000)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER_TRACE = "00-11111111111111111111111111111111-b7ad6b7169203331-00"

PROFILE = """
[push]
id = "/id"
status = "/status"

[states]
running = "running"
succeeded = "succeeded"
"""

CONFIGURATION = """
providers = "profiles"

[sources.lab]
provider = "lab"
track = "all"

[egress]
allow = ["127.0.0.1"]

[subscriptions.filed]
url = "{url}/filed"
secret = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
events = ["job.started"]
signature = "v1a"
format = "cloudevents"
headers = {{ X-Api-Key = "env:THEIR_KEY" }}
"""


class Got(NamedTuple):
    """One request that a subscriber got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def ids(self) -> list[str]:
        """The ids of the events of a batch."""
        return [event["id"] for event in json.loads(self.body)]


class Subscriber:
    """Answers as the test says, and remembers its requests."""

    def __init__(self) -> None:
        """Accept everything."""
        self.url = ""
        self.got: list[Got] = []
        self.status: Callable[[Got], int] = lambda _: 200
        self.headers: dict[str, str] = {}
        self.meanwhile: Callable[[], Awaitable[Any]] | None = None  # before the next answer

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        got = Got(request.method, request.path, headers, await request.read())
        self.got.append(got)
        if meanwhile := self.meanwhile:
            self.meanwhile = None
            await meanwhile()
        return web.Response(status=self.status(got), headers=self.headers)


@pytest.fixture
async def subscriber() -> AsyncIterator[Subscriber]:
    ours, app = Subscriber(), web.Application()
    app.router.add_route("*", "/{path:.*}", ours.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ours.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield ours
    await runner.cleanup()


class Bench:
    """The use cases, in short calls."""

    def __init__(self, context: Context, url: str) -> None:
        """Deliver too."""
        self.context = context
        self.url = url
        self._receiver = Receiver(context)
        self._deliverer = Deliverer(context)

    async def subscribe(self, **settings: Any) -> Subscription:
        """Subscribe to all that ends, and all that starts."""
        events = ("job.started", "job.completed")
        given = {"url": f"{self.url}/in", "events": events} | settings
        return await manage.create(self.context, msgspec.convert(given, manage.CreateSubscription))

    async def push(self, job: str = "1", status: str = "succeeded", **headers: str) -> None:
        """Receive one push, and ingest it."""
        body = json.dumps({"id": job, "status": status}).encode()
        await self._receiver.receive(self._receiver.source("lab"), Push(headers, body))
        store = self.context.store
        while claims := await store.backlogs.claim(store.shards[0], "ingest", 200, lambda _: WIDE):
            await ingest.ingest(self.context, claims)

    async def deliver(self) -> int:
        """Deliver all that is due, side by side as a worker does; how much that was."""
        store, count = self.context.store, 0
        while claims := await store.backlogs.claim(store.shards[0], "deliver", 200, lambda _: WIDE):
            posts = await self._deliverer.read(claims)
            await asyncio.gather(*map(self._deliverer.deliver, posts))
            count += len(posts)
        return count

    async def deliveries(self, target: Subscription) -> list[dict[str, Any]]:
        """What became of all."""
        return await history.list_deliveries(self.context, target.id, None, 1000)


@pytest.fixture
async def bench(
    store_of: Any, redis_url: str, tmp_path: Path, subscriber: Subscriber
) -> AsyncIterator[Bench]:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "lab.toml").write_text(PROFILE)
    file = tmp_path / "ringback.toml"
    file.write_text(CONFIGURATION.format(url=subscriber.url))
    settings = load(file, {"REDIS_URL": redis_url, "THEIR_KEY": "k-123"})
    store = store_of(static=settings.subscriptions)
    async with Egress(egress_policy(settings)) as egress:
        yield Bench(Context(settings, store, egress, Metrics()), subscriber.url)


# --- formats and signatures -----------------------------------------------------------------


async def test_a_subscription_gets_its_own_format_and_headers(
    bench: Bench, subscriber: Subscriber
) -> None:
    made = await bench.subscribe(format="cloudevents-binary", headers={"X-Team": "video"})
    await bench.push()
    await bench.deliver()
    (got,) = subscriber.got
    assert got.headers["x-team"] == "video"
    assert got.headers["ce-id"] == got.headers["webhook-id"]
    assert got.headers["content-type"] == "application/json"
    assert Webhook(made.secrets[0]).verify(got.body, got.headers)["id"] == "1"


async def test_a_v1a_subscription_is_verified_with_its_public_keys_through_a_rotation(
    bench: Bench, subscriber: Subscriber
) -> None:
    made = await bench.subscribe(signature="v1a")
    (first,) = await manage.public_keys(bench.context, made.id)
    rotated = await manage.rotate(bench.context, made.id)
    keys = await manage.public_keys(bench.context, made.id)
    assert keys == [manage.view(rotated)["public_key"], first]
    await bench.push()
    await bench.deliver()
    (got,) = subscriber.got
    content = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    entries = got.headers["webhook-signature"].split()
    assert len(entries) == len(keys) == 2
    for key, entry in zip(keys, entries, strict=True):
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("whpk_")))
        public.verify(base64.b64decode(entry.removeprefix("v1a,")), content)


async def test_a_private_key_is_never_shown(bench: Bench) -> None:
    made = await bench.subscribe(signature="v1a")
    assert made.secrets[0].startswith("whsk_")
    assert manage.view_with_secret(made)["secret"] is None
    shown = msgspec.json.encode([manage.view_with_secret(made), manage.view(made)])
    assert b"whsk_" not in shown
    assert b"whpk_" in shown


async def test_a_shared_secret_has_no_public_key(bench: Bench) -> None:
    made = await bench.subscribe()
    with pytest.raises(NotFound, match="v1a"):
        await manage.public_keys(bench.context, made.id)


async def test_a_subscription_of_the_file_has_format_key_and_headers_too(
    bench: Bench, subscriber: Subscriber
) -> None:
    await bench.push(status="running")
    await bench.deliver()
    (got,) = subscriber.got
    assert got.headers["x-api-key"] == "k-123"
    assert got.headers["content-type"] == "application/cloudevents+json"
    assert got.headers["webhook-signature"].startswith("v1a,")


async def test_values_of_headers_are_masked(bench: Bench) -> None:
    made = await bench.subscribe(headers={"X-Key": "k-456"})
    assert b"k-456" not in msgspec.json.encode([manage.view_with_secret(made), manage.view(made)])
    assert list(manage.view(made)["headers"]) == ["x-key"]


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"headers": {"Host": "x"}}, "headers: 'host'"),
        ({"headers": {"X-Key": "a\r\nb"}}, "headers: the value of 'x-key'"),
        ({"signature": "v1a", "secret": "whsec_" + "A" * 32}, "secret: `whsec_` keys"),
        ({"secret": "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}, "secret: `whsk_` keys"),
    ],
)
async def test_an_invalid_setting_is_refused_with_its_name(
    bench: Bench, settings: dict[str, Any], word: str
) -> None:
    with pytest.raises(InvalidValue) as refusal:
        await bench.subscribe(**settings)
    assert word in str(refusal.value)


# --- traces ---------------------------------------------------------------------------------


async def test_the_trace_of_the_push_that_moved_a_job_is_sent_with_its_event(
    bench: Bench, subscriber: Subscriber
) -> None:
    await bench.subscribe()
    await bench.push(status="running", traceparent=TRACE)
    await bench.push(status="succeeded")  # says nothing of its own
    await bench.push("2", traceparent="00-nonsense")
    await bench.deliver()
    got = [one for one in subscriber.got if one.path == "/in"]
    traces = [one.headers.get("traceparent") for one in got]
    assert sorted(traces, key=str) == [TRACE, TRACE, None]
    assert all(b"trace" not in one.body for one in got)


async def test_the_trace_of_a_registered_job_is_replaced_by_that_of_a_push(
    bench: Bench, subscriber: Subscriber
) -> None:
    await bench.subscribe(events=["job.completed"])
    for job in ("1", "2"):
        await watch.watch(bench.context, "lab", job, watch_request.WatchRequest(), TRACE)
    await bench.push("1")
    await bench.push("2", traceparent=OTHER_TRACE)
    await bench.deliver()
    sent = {json.loads(g.body)["data"]["id"]: g.headers["traceparent"] for g in subscriber.got}
    assert sent == {"1": TRACE, "2": OTHER_TRACE}


# --- batches --------------------------------------------------------------------------------


async def test_a_batch_subscriber_gets_simultaneous_events_in_one_request(
    bench: Bench, subscriber: Subscriber
) -> None:
    batched = await bench.subscribe(format=BATCH)
    single = await bench.subscribe(url=f"{bench.url}/single")
    for n in range(7):
        await bench.push(str(n))
    assert await bench.deliver() == 14
    (batch,) = [got for got in subscriber.got if got.path == "/in"]
    assert len(batch.ids) == 7
    Webhook(batched.secrets[0]).verify(batch.body, batch.headers)
    assert len([got for got in subscriber.got if got.path == "/single"]) == 7
    for target in (batched, single):
        found = await bench.deliveries(target)
        assert [(d["state"], len(d["attempts"])) for d in found] == [("delivered", 1)] * 7


async def test_a_batch_that_fails_fails_each_of_its_deliveries(
    bench: Bench, subscriber: Subscriber
) -> None:
    made = await bench.subscribe(format=BATCH)
    subscriber.status = lambda _: 503
    for n in range(3):
        await bench.push(str(n))
    await bench.deliver()
    assert len(subscriber.got) == 1
    found = await bench.deliveries(made)
    assert [(d["state"], d["attempts"][0]["status"]) for d in found] == [("pending", 503)] * 3


async def test_a_batch_that_is_too_large_is_sent_in_halves(
    bench: Bench, subscriber: Subscriber
) -> None:
    made = await bench.subscribe(format=BATCH)
    subscriber.status = lambda got: 413 if len(got.ids) > 2 else 200
    for n in range(7):
        await bench.push(str(n))
    await bench.deliver()
    sizes = sorted(len(got.ids) for got in subscriber.got)
    assert sizes == [1, 2, 2, 2, 3, 4, 7]
    found = await bench.deliveries(made)
    assert [(d["state"], d["attempts"][0]["status"]) for d in found] == [("delivered", 200)] * 7


async def test_an_event_that_is_too_large_by_itself_holds_up_no_other(
    bench: Bench, subscriber: Subscriber
) -> None:
    made = await bench.subscribe(format=BATCH)
    subscriber.status = lambda got: 413 if b'"subject":"3"' in got.body else 200
    for n in range(5):
        await bench.push(str(n))
    await bench.deliver()
    states = [d["state"] for d in await bench.deliveries(made)]
    assert sorted(states) == ["delivered"] * 4 + ["pending"]


# --- gathering, by itself -------------------------------------------------------------------


class Sent(NamedTuple):
    """What a gatherer handed on."""

    target: Subscription
    ids: list[str]


@pytest.fixture
def sent() -> list[Sent]:
    return []


@pytest.fixture
def batcher(sent: list[Sent]) -> Batcher[str]:
    async def send(target: Subscription, events: Any) -> list[str]:
        sent.append(Sent(target, [event.id for event in events]))
        if target.url == "broken":
            raise ConnectionError(target.id)
        return [f"{event.id} sent" for event in events]

    return Batcher(send)


TARGET = Subscription(id="sub_1", url="https://x.example", secrets=(), format=BATCH)


def event(number: int, size: int = 10) -> Any:
    return Event(f"evt_{number}", b"x" * size)


async def test_a_batch_has_a_maximum_number_of_events(
    batcher: Batcher[str], sent: list[Sent]
) -> None:
    futures = [batcher.add(TARGET, event(n)) for n in range(2 * delivery_batch.MAX_EVENTS + 5)]
    results = await asyncio.gather(*futures)
    assert results == [f"evt_{n} sent" for n in range(len(futures))]
    assert [len(one.ids) for one in sent] == [
        delivery_batch.MAX_EVENTS,
        delivery_batch.MAX_EVENTS,
        5,
    ]


async def test_a_batch_has_a_maximum_size(batcher: Batcher[str], sent: list[Sent]) -> None:
    third = delivery_batch.MAX_BYTES // 3
    await asyncio.gather(*[batcher.add(TARGET, event(n, third)) for n in range(5)])
    assert [len(one.ids) for one in sent] == [2, 2, 1]


async def test_an_event_of_any_size_goes_alone(batcher: Batcher[str], sent: list[Sent]) -> None:
    huge = 2 * delivery_batch.MAX_BYTES
    await asyncio.gather(*[batcher.add(TARGET, event(n, huge)) for n in range(2)])
    assert [len(one.ids) for one in sent] == [1, 1]


async def test_targets_are_not_mixed_nor_two_versions_of_one(
    batcher: Batcher[str], sent: list[Sent]
) -> None:
    moved = msgspec.structs.replace(TARGET, url="https://y.example")
    other = msgspec.structs.replace(TARGET, id="sub_2")
    targets = [TARGET, other, moved, other]
    await asyncio.gather(*[batcher.add(t, event(n)) for n, t in enumerate(targets)])
    assert sorted(one.ids for one in sent) == [["evt_0"], ["evt_1", "evt_3"], ["evt_2"]]
    assert {one.target.url for one in sent if one.ids == ["evt_2"]} == {"https://y.example"}


async def test_an_error_of_a_batch_is_raised_for_every_caller(batcher: Batcher[str]) -> None:
    broken = msgspec.structs.replace(TARGET, url="broken")
    futures = [batcher.add(broken, event(n)) for n in range(3)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(one) for one in results] == [ConnectionError] * 3


async def test_a_canceled_caller_does_not_cancel_its_batch(batcher: Batcher[str]) -> None:
    gone, stays = batcher.add(TARGET, event(1)), batcher.add(TARGET, event(2))
    gone.cancel()
    assert await stays == "evt_2 sent"


# --- the handshake --------------------------------------------------------------------------


@pytest.mark.parametrize("allowed", ["*", "localhost", "LocalHost"])
async def test_a_url_that_allows_our_origin_is_subscribed_and_gets_the_origin_with_each_event(
    bench: Bench, subscriber: Subscriber, allowed: str
) -> None:
    subscriber.headers = {"WebHook-Allowed-Origin": allowed}
    subscriber.status = lambda got: 405 if got.method == "OPTIONS" else 200  # does not count
    made = await bench.subscribe(handshake=True, headers={"X-Key": "k"})
    assert manage.view(made)["handshake"] is True
    await bench.push()
    await bench.deliver()
    asked, delivered = subscriber.got
    assert (asked.method, asked.headers["webhook-request-origin"]) == ("OPTIONS", "localhost")
    assert asked.headers["x-key"] == "k"
    assert delivered.headers["webhook-request-origin"] == "localhost"


@pytest.mark.parametrize("allowed", [None, "", "elsewhere.example", "localhost.example"])
async def test_a_url_that_does_not_allow_our_origin_is_refused(
    bench: Bench, subscriber: Subscriber, allowed: str | None
) -> None:
    subscriber.headers = {} if allowed is None else {"WebHook-Allowed-Origin": allowed}
    with pytest.raises(InvalidValue, match="WebHook-Allowed-Origin: localhost"):
        await bench.subscribe(handshake=True)
    assert [s.id for s in await bench.context.store.subscriptions.listed()] == ["sub_filed"]


async def moved(bench: Bench, made: Subscription, **settings: Any) -> Subscription:
    """Change it; a `url` is a path of the same subscriber."""
    if "url" in settings:
        settings["url"] = f"{bench.url}{settings['url']}"
    return await update.change(bench.context, made.id, UpdateSubscription(**settings))


async def test_a_changed_url_gets_a_handshake_with_the_new_headers(
    bench: Bench, subscriber: Subscriber
) -> None:
    subscriber.headers = {"WebHook-Allowed-Origin": "*"}
    made = await bench.subscribe(handshake=True, headers={"X-Key": "k"})
    new = await moved(bench, made, url="/new", headers={"X-Other": "o"})
    assert (new.url, new.origin) == (f"{bench.url}/new", "localhost")
    asked = subscriber.got[-1]
    assert (asked.method, asked.path) == ("OPTIONS", "/new")
    assert (asked.headers["x-other"], asked.headers.get("x-key")) == ("o", None)


async def test_a_change_that_needs_no_handshake_makes_none(
    bench: Bench, subscriber: Subscriber
) -> None:
    subscriber.headers = {"WebHook-Allowed-Origin": "*"}
    made = await bench.subscribe(handshake=True)
    plain = await bench.subscribe()
    subscriber.got.clear()
    assert (await moved(bench, made, url="/in", headers={"x-key": "k"})).origin == "localhost"
    assert (await moved(bench, plain, url="/new")).origin is None
    assert (await moved(bench, made, url="/new", handshake=False)).origin is None
    assert subscriber.got == []


async def test_a_handshake_can_be_added_by_a_change(bench: Bench, subscriber: Subscriber) -> None:
    made = await bench.subscribe()
    with pytest.raises(InvalidValue, match="WebHook-Allowed-Origin: localhost"):
        await moved(bench, made, handshake=True)
    assert (await manage.get(bench.context, made.id)).origin is None
    subscriber.headers = {"WebHook-Allowed-Origin": "localhost"}
    assert (await moved(bench, made, handshake=True)).origin == "localhost"
    assert [(got.method, got.path) for got in subscriber.got] == [("OPTIONS", "/in")] * 2


async def test_a_url_that_was_changed_during_a_handshake_stays(
    bench: Bench, subscriber: Subscriber
) -> None:
    """Otherwise it would get a URL without a handshake."""
    subscriber.headers = {"WebHook-Allowed-Origin": "*"}
    made = await bench.subscribe()
    subscriber.meanwhile = lambda: moved(bench, made, url="/never-asked")
    with pytest.raises(
        Conflict, match=f"{made.id}: its URL was changed by somebody else meanwhile; try"
    ):
        await moved(bench, made, handshake=True)
    current = await manage.get(bench.context, made.id)
    assert (current.url, current.origin) == (f"{bench.url}/never-asked", None)


async def test_no_handshake_is_made_with_headers_that_cannot_be_decrypted(
    bench: Bench, subscriber: Subscriber
) -> None:
    subscriber.headers = {"WebHook-Allowed-Origin": "*"}
    made = await bench.subscribe(handshake=True)
    subscriber.got.clear()
    sealed = msgspec.structs.replace(made, headers={"x-key": "sealed:k1:AAAA"})
    await bench.context.store.subscriptions.save(sealed)
    with pytest.raises(Conflict, match="RINGBACK_MASTER_KEYS"):
        await moved(bench, made, url="/new")
    assert subscriber.got == []


async def test_a_url_that_does_not_respond_to_the_handshake_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidValue, match=r"handshake: .* cannot be asked"):
        await bench.subscribe(url="http://127.0.0.1:1024/in", handshake=True)


# --- what does not open ---------------------------------------------------------------------


@pytest.mark.parametrize("form", ["standard", BATCH])
@pytest.mark.parametrize(
    "sealed", [{"secrets": ("sealed:k1:AAAA",)}, {"headers": {"x-key": "sealed:k1:AAAA"}}]
)
async def test_a_delivery_with_an_undecryptable_secret_is_not_sent_and_stays_claimed(
    bench: Bench, subscriber: Subscriber, form: str, sealed: dict[str, Any]
) -> None:
    made = await bench.subscribe(format=form)
    await bench.context.store.subscriptions.save(msgspec.structs.replace(made, **sealed))
    await bench.push()
    assert await bench.deliver() == 1
    assert subscriber.got == []
    (waiting,) = await bench.deliveries(made)
    assert (waiting["state"], waiting["attempts"]) == ("pending", [])
