"""Secrets at rest: no key, value or append-only file of Redis contains one."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from aiohttp import web as aio
from msgspec.structs import replace
from redis import Redis
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from processor.cli import main
from processor.config import load
from processor.formats import signing_secrets
from processor.model import Subscription
from processor.service.delivery import history
from processor.service.runtime import process
from processor.service.runtime.metrics import CALLBACK
from processor.service.runtime.outage import Outage
from processor.service.subscriptions import manage
from processor.store import Store
from processor.vault import MasterKey, Vault
from processor.web.app import build
from processor.web.health import Health
from workers import pumps

K1, K2 = (MasterKey(name, bytes([n]) * 32) for n, name in enumerate(("k1", "k2"), 1))
OWN = "whsec_" + base64.b64encode(b"callback".ljust(32, b"!")).decode()
JOB = "/v1/jobs/lab/1"


def setting(*keys: MasterKey) -> str:
    return ",".join(f"{one.id}:{base64.b64encode(one.key).decode()}" for one in keys)


class Subscriber:
    """Accepts requests, and remembers them."""

    def __init__(self) -> None:
        """Have got nothing."""
        self.url = ""
        self.got: list[tuple[bytes, dict[str, str]]] = []

    async def take(self, request: aio.Request) -> aio.Response:
        """Answer 200."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append((await request.read(), headers))
        return aio.Response()


@pytest.fixture
async def subscriber() -> AsyncIterator[Subscriber]:
    ours, app = Subscriber(), aio.Application()
    app.router.add_post("/", ours.take)
    runner = aio.AppRunner(app)
    await runner.setup()
    await aio.TCPSite(runner, "127.0.0.1", 0).start()
    ours.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield ours
    await runner.cleanup()


@pytest.fixture
def whole_of_redis(redis_url: str) -> Callable[[], bytes]:
    """All keys and values, and the append-only file with all that was ever written."""

    def look() -> bytes:
        with Redis.from_url(redis_url) as redis:
            content = [part for key in redis.scan_iter() for part in (key, *parts(redis, key))]
        folder = Path(urlsplit(redis_url).path).parents[1] / "redis" / "appendonlydir"
        return b"\n".join([*content, *(file.read_bytes() for file in folder.iterdir())])

    return look


def parts(redis: Redis, key: bytes) -> Iterator[bytes]:
    kind = redis.type(key)
    if kind == b"string":
        yield redis.get(key)
    elif kind == b"hash":
        yield from (part for pair in redis.hgetall(key).items() for part in pair)
    elif kind == b"list":
        yield from redis.lrange(key, 0, -1)
    elif kind == b"set":
        yield from redis.smembers(key)
    elif kind == b"zset":
        yield from redis.zrange(key, 0, -1)
    else:
        yield from (p for _, row in redis.xrange(key) for pair in row.items() for p in pair)


def forms(secret: str) -> list[bytes]:
    """A secret as it may show up: as text, and as the bytes that sign."""
    text = secret.removeprefix("whsec_")
    return [text.encode(), base64.b64decode(text)]


async def everything(bench: Any, url: str) -> tuple[list[str], str]:
    """Create, rotate, a callback, a delivery pending: the secrets, and the subscription's id."""
    context = bench.context
    made = await manage.create(context, manage.CreateSubscription(url=url))
    rotated = await manage.rotate(context, made.id)
    own = manage.new_secret()
    await bench.watch("1", callback_url=url, callback_secret=own)
    await bench.push(id="1", status="succeeded")
    await manage.test(context, made.id)
    return [made.secrets[0], rotated.secrets[0], own], made.id


def deliverer(bench: Any) -> Any:
    return pumps.deliver(bench.context, Outage("test"))


async def test_no_secret_is_anywhere_in_redis(
    bench_of: Any, subscriber: Subscriber, whole_of_redis: Any, wait_until: Any
):
    bench = await bench_of(vault=Vault([K1]), shards=2)
    secrets, _ = await everything(bench, subscriber.url)
    await deliverer(bench).run()
    await wait_until(lambda: len(subscriber.got) == 3)
    found = whole_of_redis()
    assert b"sealed:k1:" in found
    for secret in secrets:
        assert [form for form in forms(secret) if form in found] == []
    signed = [headers["webhook-signature"].count("v1,") for _, headers in subscriber.got]
    assert sorted(signed) == [1, 2, 2]
    for body, headers in subscriber.got:
        verified = [s for s in secrets if verifies(s, body, headers)]
        assert verified in (secrets[2:], secrets[:2])


def verifies(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        return bool(Webhook(secret).verify(body, headers))
    except Exception:  # noqa: BLE001 -- theirs, of whatever kind
        return False


async def test_without_a_master_key_redis_has_plain_secrets(
    bench_of: Any, subscriber: Subscriber, whole_of_redis: Any
):
    """So that the test above would fail."""
    secrets, _ = await everything(await bench_of(), subscriber.url)
    found = whole_of_redis()
    assert [s for s in secrets if forms(s)[0] not in found] == []


async def test_the_old_secret_signs_as_long_as_the_setting_says(bench: Any):
    context = bench.context._replace(settings=replace(bench.context.settings, secret_overlap=90))
    made = await manage.create(context, manage.CreateSubscription(url="https://x.example"))
    until = (await manage.rotate(context, made.id)).old_secret_until
    assert until == pytest.approx(await context.store.now() + 90, abs=5)


async def test_a_rotation_removes_no_secret_whose_time_is_not_over(bench: Any):
    """A caller who got no answer repeats it, and its subscriber still has the first secret."""
    made = await manage.create(bench.context, manage.CreateSubscription(url="https://x.example"))
    first = await manage.rotate(bench.context, made.id)
    second = await manage.rotate(bench.context, made.id)
    assert second.secrets == (second.secrets[0], first.secrets[0], made.secrets[0])
    assert signing_secrets(second, await bench.store.now()) == second.secrets


async def test_of_many_secrets_the_two_newest_and_the_two_oldest_sign(bench: Any):
    made = await manage.create(bench.context, manage.CreateSubscription(url="https://x.example"))
    rotated = [await manage.rotate(bench.context, made.id) for _ in range(6)]
    given = [one.secrets[0] for one in (made, *rotated)]
    assert rotated[-1].secrets == (given[6], given[5], given[1], given[0])
    assert await manage.get(bench.context, made.id) == rotated[-1]


async def test_a_rotation_removes_secrets_whose_time_is_over(bench: Any):
    made = await manage.create(bench.context, manage.CreateSubscription(url="https://x.example"))
    first = await manage.rotate(bench.context, made.id)
    await bench.store.subscriptions.save(replace(first, old_secret_until=1.0))
    second = await manage.rotate(bench.context, made.id)
    assert second.secrets == (second.secrets[0], first.secrets[0])


async def test_a_shorter_setting_shortens_no_overlap_that_has_begun(bench: Any):
    made = await manage.create(bench.context, manage.CreateSubscription(url="https://x.example"))
    first = await manage.rotate(bench.context, made.id)
    short = bench.context._replace(settings=replace(bench.context.settings, secret_overlap=90))
    second = await manage.rotate(short, made.id)
    assert second.old_secret_until == first.old_secret_until


async def test_all_public_keys_that_sign_are_shown(bench: Any):
    wanted = manage.CreateSubscription(url="https://x.example", signature="v1a")
    made = await manage.create(bench.context, wanted)
    shown = [manage.view(await manage.rotate(bench.context, made.id)) for _ in range(2)]
    keys = [view["public_key"] for view in (*reversed(shown), manage.view(made))]
    assert await manage.public_keys(bench.context, made.id) == keys


# --- what cannot be opened --------------------------------------------------------------------


async def test_a_delivery_whose_secret_cannot_be_decrypted_waits_for_the_key(
    bench_of: Any, subscriber: Subscriber, wait_until: Any
):
    _, target = await everything(await bench_of(vault=Vault([K1])), subscriber.url)
    lost = await bench_of(vault=Vault([K2]), lease=0.1)
    with capture_logs() as logged:
        await deliverer(lost).run()
        assert [s["id"] for s in map(manage.view, await lost.store.subscriptions.listed())] == [
            target
        ]
    found = [(line["event"], line["key"], line["log_level"]) for line in logged]
    assert found == [("secret_decrypt_failed", "k1", "error")]
    counted = lost.context.metrics.attempts
    assert counted(target, "sealed")._value.get() == 2
    assert counted(CALLBACK, "sealed")._value.get() == 1
    assert subscriber.got == []
    back = await bench_of(vault=Vault([K2, K1]))

    async def delivered() -> int:
        await deliverer(back).run()
        return len(subscriber.got) == 3

    await wait_until(delivered)

    async def attempts() -> bool:
        found = await history.list_deliveries(back.context, target, "delivered", 10)
        return [len(d["attempts"]) for d in found] == [
            1,
            1,
        ]  # a postponed delivery counts no attempt

    await wait_until(attempts)


async def test_a_secret_that_cannot_be_decrypted_delays_no_other_subscription(
    bench_of: Any, subscriber: Subscriber, wait_until: Any
):
    old = await bench_of(vault=Vault([K1]))
    lost = await manage.create(old.context, manage.CreateSubscription(url=subscriber.url))
    new = await bench_of(vault=Vault([K2]))
    good = await manage.create(new.context, manage.CreateSubscription(url=subscriber.url))
    for one in (lost, good):
        await manage.test(new.context, one.id)
    await deliverer(new).run()
    await wait_until(lambda: len(subscriber.got) == 1)
    assert json.loads(subscriber.got[0][0])["data"]["subscription"] == good.id


async def test_rotation_is_a_remedy_for_a_lost_master_key(
    bench_of: Any, subscriber: Subscriber, wait_until: Any
):
    old = await bench_of(vault=Vault([K1]))
    made = await manage.create(old.context, manage.CreateSubscription(url=subscriber.url))
    new = await bench_of(vault=Vault([K2]))
    rotated = await manage.rotate(new.context, made.id)
    await manage.test(new.context, made.id)
    await deliverer(new).run()
    await wait_until(lambda: len(subscriber.got) == 1)
    assert verifies(rotated.secrets[0], *subscriber.got[0])


# --- shown once -------------------------------------------------------------------------------


async def test_no_answer_to_a_get_shows_a_secret_sealed_or_plain(
    bench_of: Any, subscriber: Subscriber
):
    bench = await bench_of(vault=Vault([K1]))
    secrets, target = await everything(bench, subscriber.url)
    context = bench.context._replace(settings=replace(bench.context.settings, api_keys=("k",)))
    kept = await context.store.connection.redis.hget(context.store.shards[0].subs, target)
    assert b"sealed:" in kept
    transport = httpx.ASGITransport(build(context, Health(context)), client=("127.0.0.1", 5))
    names = {"source": "lab", "id": target, "job": "1"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost", headers={"authorization": "Bearer k"}
    ) as client:
        seen = []
        for path in [
            "/v1/subscriptions",
            f"/v1/subscriptions/{target}",
            f"/v1/deliveries?subscription={target}",
            "/v1/events",
            "/v1/jobs",
            JOB,
            f"{JOB}/history",
            "/v1/sources",
            "/metrics",
            "/openapi.json",
        ]:
            answer = await client.get(path.format(**names))
            assert answer.status_code == 200, path
            seen.append(answer.content)
    shown = b"\n".join(seen)
    assert target.encode() in shown
    for form in (b"sealed:k", *(form for secret in secrets for form in forms(secret))):
        assert form not in shown


# --- the command line -------------------------------------------------------------------------


@pytest.fixture
def filled(redis_url: str) -> Iterator[None]:
    """A Redis with one plain subscription, and one that is sealed with the old key."""

    async def fill() -> None:
        for name, keys in (("plain", []), ("old", [K1])):
            store = Store(redis_url, vault=Vault(keys))
            await store.subscriptions.save(
                Subscription(id=f"sub_{name}", url="https://x", secrets=(OWN,))
            )
            await store.close()

    with Redis.from_url(redis_url) as redis:
        redis.flushall()
        asyncio.run(fill())
        yield
        redis.flushall()


@pytest.fixture
def seal(
    redis_url: str, monkeypatch: Any, tmp_path: Path, capsys: Any
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", redis_url)

    def run(*keys: MasterKey, arguments: tuple[str, ...] = ()) -> tuple[int, str, str]:
        monkeypatch.setenv("RINGBACK_MASTER_KEYS", setting(*keys))
        with pytest.raises(SystemExit) as over:
            main(["secrets", "seal", *arguments])
        code = over.value.code
        return int(code or 0), *capsys.readouterr()

    return run


@pytest.mark.usefixtures("filled")
def test_one_command_seals_everything_and_a_second_run_finds_nothing_to_do(seal: Any):
    assert seal(K2, K1)[:2] == (0, "encrypted 2 with key k2; 0 already were\n")
    assert seal(K2, K1)[:2] == (0, "encrypted 0 with key k2; 2 already were\n")
    code, out, _ = seal(K2, arguments=("--json",))  # the old key may go
    assert (code, json.loads(out)) == (
        0,
        {"key": "k2", "sealed": [], "already": 2, "unopened": {}},
    )


@pytest.mark.usefixtures("filled")
def test_a_secret_that_cannot_be_decrypted_is_named_with_the_remedy(seal: Any):
    code, out, err = seal(K2)
    assert (code, out) == (2, "encrypted 1 with key k2; 0 already were\n")
    assert err.startswith("sub_old: ")
    assert "'k1'" in err


def test_without_a_key_the_command_says_how_to_make_one(seal: Any):
    code, out, err = seal()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "openssl rand -base64 32" in err


@pytest.mark.usefixtures("filled")
def test_the_redis_of_up_is_found_in_its_folder(seal: Any, monkeypatch: Any, redis_url: str):
    monkeypatch.delenv("REDIS_URL")
    data = Path(urlsplit(redis_url).path).parents[1]
    code, out, _ = seal(K2, K1, arguments=("--data", str(data)))
    assert (code, out) == (0, "encrypted 2 with key k2; 0 already were\n")


def test_a_redis_that_is_away_is_one_line(seal: Any, monkeypatch: Any):
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    code, out, err = seal(K2)
    assert (code, out, err.count("\n")) == (5, "", 1)
    assert "REDIS_URL" in err


# --- said once at the start -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, []),
        ({"RINGBACK_API_KEYS": "key"}, ["secrets_unencrypted"]),
        ({"RINGBACK_MASTER_KEYS": setting(K1)}, []),
        ({"RINGBACK_API_KEYS": "key", "RINGBACK_MASTER_KEYS": setting(K1)}, []),
    ],
)
def test_a_server_without_a_master_key_logs_a_warning(environ: dict[str, str], said: list[str]):
    with capture_logs() as logged:
        process.warn_about_settings(load(None, environ))
    assert [line["event"] for line in logged] == said


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("keys", [(), (K2,)])
def test_doctor_names_a_secret_that_cannot_be_decrypted(
    capsys: Any, monkeypatch: Any, tmp_path: Path, redis_url: str, keys: tuple[MasterKey, ...]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RINGBACK_API_KEYS", "key")  # so that doctor says how secrets are stored
    code, rows, err = examined(capsys, monkeypatch, redis_url, keys)
    assert (code, err) == (2, "")
    (secret,) = [row for row in rows if row["name"] == "secrets"]
    assert not secret["ok"]
    assert secret["detail"] == (
        "nothing can be sent to sub_old: its secret is sealed with master key 'k1', which "
        "RINGBACK_MASTER_KEYS does not hold: add that key, or rotate the secret"
    )


@pytest.mark.usefixtures("filled")
def test_doctor_counts_callbacks_whose_secret_cannot_be_decrypted(
    capsys: Any, monkeypatch: Any, tmp_path: Path, redis_url: str
):
    async def add() -> None:
        store = Store(redis_url, vault=Vault([K1]))
        for name in ("cb_1", "cb_2"):
            target = Subscription(id=name, url="https://x", secrets=(OWN,))
            await store.subscriptions.save_callback(store.shards[0], target, 4e9)
        await store.close()

    asyncio.run(add())
    monkeypatch.chdir(tmp_path)
    code, rows, _ = examined(capsys, monkeypatch, redis_url, ())
    (secret,) = [row["detail"] for row in rows if row["name"] == "secrets"]
    assert (code, secret.endswith("rotate the secret; nor to 2 more")) == (2, True)


@pytest.mark.usefixtures("filled")
def test_doctor_is_content_with_secrets_that_can_be_decrypted(
    capsys: Any, monkeypatch: Any, tmp_path: Path, redis_url: str
):
    monkeypatch.chdir(tmp_path)
    code, rows, err = examined(capsys, monkeypatch, redis_url, (K2, K1))
    assert (code, err) == (5, "")  # there is no server
    assert [row["detail"] for row in rows if row["name"] == "secrets"] == [
        "encrypted in Redis; keys: k2, k1"
    ]


def examined(
    capsys: Any, monkeypatch: Any, redis_url: str, keys: tuple[MasterKey, ...]
) -> tuple[int, list[dict[str, Any]], str]:
    """The exit code, the rows and the standard error of `ringback doctor`."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("RINGBACK_MASTER_KEYS", setting(*keys))
    with pytest.raises(SystemExit) as over:
        main(["doctor", "--json", "--url", "http://127.0.0.1:1"])
    out, err = capsys.readouterr()
    return int(over.value.code or 0), json.loads(out)["checks"], err


def doctor(capsys: Any, monkeypatch: Any, **environ: str) -> dict[str, str]:
    for name, value in {"REDIS_URL": "redis://127.0.0.1:1/0", **environ}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        main(["doctor", "--json", "--url", "http://127.0.0.1:1"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    return {one["name"]: one["detail"] for one in checks if one["ok"]}


def test_doctor_says_how_secrets_are_kept(capsys: Any, monkeypatch: Any, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    assert "secrets" not in doctor(capsys, monkeypatch)
    plain = doctor(capsys, monkeypatch, RINGBACK_API_KEYS="key")["secrets"]
    assert "plain text" in plain
    assert "openssl rand -base64 32" in plain
    sealed = doctor(capsys, monkeypatch, RINGBACK_MASTER_KEYS=setting(K2, K1))["secrets"]
    assert sealed == "encrypted in Redis; keys: k2, k1"
