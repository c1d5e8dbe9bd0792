"""What tests share: a real Redis, a store on it, patience without sleeping, and a leak check.

redis_url    a redis-server of our own for the whole run, append-only, on a Unix socket
store        a Store on it, emptied before the test, closed after
store_of     makes further Stores on the same Redis: `store_of(shards=4, lease=0.2)`
shell        runs the commands of a page in the test's folder, and returns what they print
terminal     runs the commands of a page in the test's folder, the last until the block ends
tls_for      makes a server's and a client's TLS context for a name and 127.0.0.1
wait_until   `await wait_until(condition)`: a sync or async condition that must become true

After every test that used a store, each key left in Redis must be one that the table in
`processor.store.keys` documents, and must have a time to live where the table promises one.
"""

import asyncio
import datetime as dt
import inspect
import json
import os
import re
import signal
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import settings
from redis import Redis

from processor.cli.embedded_redis import EmbeddedRedis
from processor.store import Store, keys

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None, print_blob=True)  # more: make soak
settings.register_profile("soak", max_examples=1000, deadline=None, derandomize=True)
_DEFAULT = "ci" if os.environ.get("CI") else "dev"
settings.load_profile(os.environ.get("RINGBACK_TEST_PROFILE", _DEFAULT))

# A job in the background of a shell ignores it, and so would each process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

Condition = Callable[[], Any | Awaitable[Any]]
WaitUntil = Callable[..., Awaitable[None]]
StoreOf = Callable[..., Store]

Shell = Callable[[str, Mapping[str, str]], str]
Terminal = Callable[..., AbstractContextManager[IO[str]]]

BY_STORE = {"store", "store_of"}  # fixtures whose tests are checked for leaks


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    def run(block: str, environ: Mapping[str, str]) -> str:
        done = subprocess.run(
            ["/bin/sh", "-ec", block],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    @contextmanager
    def run(block: str, environ: Mapping[str, str], first: str = "") -> Iterator[IO[str]]:
        """What the last command prints, after a first line that begins like `first`."""
        *before, last = block.splitlines()
        script = "\n".join([*before, f"exec {last}"])  # exec: so that its signals reach it
        with (tmp_path / "errors").open("a", encoding="utf-8") as errors:
            process = subprocess.Popen(
                ["/bin/sh", "-ec", script],
                cwd=tmp_path,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert process.stdout
        try:
            if first:
                printed = process.stdout.readline()
                assert printed.startswith(first), (tmp_path / "errors").read_text()
            yield process.stdout
        finally:
            process.terminate()
            try:
                process.wait(27)
            finally:
                process.kill()
                process.wait()
                process.stdout.close()

    return run


@pytest.fixture
def tls_for(tmp_path: Path) -> Callable[[str], tuple[ssl.SSLContext, ssl.SSLContext]]:
    """A certificate that signs itself, and a client that trusts it alone."""

    def make(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = self_signed(key, name, [x509.IPAddress(ip_address("127.0.0.1"))])
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path = tmp_path / f"{name}.pem"
        path.write_bytes(pem + secret)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(path)
        return server, ssl.create_default_context(cadata=pem.decode())

    return make


def self_signed(key: Any, name: str, more: Sequence[x509.GeneralName] = ()) -> bytes:
    """A certificate in PEM for a name, valid for an hour either way."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now, hour = dt.datetime.now(dt.UTC), dt.timedelta(hours=1)
    names = x509.SubjectAlternativeName([x509.DNSName(name), *more])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - hour)
        .not_valid_after(now + hour)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def certificate() -> Callable[..., bytes]:
    """`self_signed`, for tests that make signing keys of their own."""
    return self_signed


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    yield server.start()
    server.kill()


@pytest.fixture
def store(store_of: StoreOf) -> Store:
    return store_of()


@pytest.fixture
async def store_of(redis_url: str) -> AsyncIterator[StoreOf]:
    made: list[Store] = []

    def make(**options: Any) -> Store:
        made.append(Store(redis_url, **options))
        return made[-1]

    with Redis.from_url(redis_url) as redis:
        redis.flushall()
    yield make
    for one in made:
        await one.close()


@pytest.fixture(scope="session")
def wait_until() -> WaitUntil:
    async def wait(condition: Condition, seconds: float = 5.0) -> None:
        ends = time.monotonic() + seconds
        while not await _true(condition):
            assert time.monotonic() < ends, f"not within {seconds} s: {_text(condition)}"
            await asyncio.sleep(0.005)

    return wait


async def _true(condition: Condition) -> bool:
    found = condition()
    return bool(await found if inspect.isawaitable(found) else found)


def _text(condition: Condition) -> str:
    try:
        return inspect.getsource(condition).strip()
    except (OSError, TypeError):
        return repr(condition)


NEAR = 90 * 86_400.0  # seconds around the time of writing: a number that lies there is a time
_NUMBER = re.compile(r"(?<![\w.+/=-])(\d{10}(?:\.\d+)?|\d{13}(?:\.0)?)(?![\w.+/=])")


class OldStore(NamedTuple):
    """The keys of a store, and the subscriptions in it by what is special about them."""

    keys: dict[str, list[Any]]
    subs: dict[str, str]

    def restore(self, redis: Redis) -> None:
        """Write every key, with what it had left to live."""
        _restore(redis, self)


def _old_store(name: str, ago: float) -> OldStore:
    """Read a file of tests/store, with all times as if it had been written so many seconds ago."""
    text = (Path(__file__).parent / "store" / name).read_text(encoding="utf-8")
    head = json.loads(text)["provenance"]
    document = json.loads(_moved(text, head["made"], time.time() - ago - head["made"]))
    return OldStore(document["keys"], head["subs"])


def _moved(text: str, made: float, by: float) -> str:
    def move(found: re.Match[str]) -> str:
        number, ms = found[1], len(found[1].partition(".")[0]) == 13
        seconds = float(number) / (1000 if ms else 1)
        if abs(seconds - made) > NEAR:
            return number
        moved = seconds + by
        return f"{moved * 1000:.0f}" if ms else f"{moved:.6f}"

    return _NUMBER.sub(move, text)


def _restore(redis: Redis, store: OldStore) -> None:
    for name, (kind, ttl, value) in store.keys.items():
        match kind:
            case "string":
                redis.set(name, value)
            case "hash":
                redis.hset(name, mapping=value)
            case "list":
                redis.rpush(name, *value)
            case "set":
                redis.sadd(name, *value)
            case "zset":
                redis.zadd(name, dict(value))
            case "stream":
                for place, fields in value:
                    redis.xadd(name, fields, id=place)
        if ttl >= 0:
            redis.pexpire(name, ttl)


@pytest.fixture(scope="session")
def old_store() -> Callable[[str, float], OldStore]:
    """Reads a store that an older version wrote, as if it had done so that many seconds ago."""
    return _old_store


class Row(NamedTuple):
    """One row of the table of keys."""

    name: str  # as documented: `job:S/ID`
    pattern: re.Pattern[str]
    type: str
    lifetime: str

    @property
    def promises_ttl(self) -> bool:
        """Whether keys of this row must have a time to live of their own."""
        return bool(re.search(r"\d+ (ms|s|h|d)( behind .+)?$|^as the job$", self.lifetime))


@pytest.fixture(scope="session")
def documented_keys() -> list[Row]:
    """The rows of the table in the docstring of `processor.store.keys`."""
    rows: list[tuple[bool, str]] = []
    sharded = True
    for line in (keys.__doc__ or "").splitlines():
        sharded = sharded and not line.startswith("Without a shard")
        if re.match(r" {4}\S", line):
            rows.append((sharded, line))
        elif re.match(r" {5,}\S", line) and rows:
            rows[-1] = (sharded, f"{rows[-1][1]}  {line}")
    return [_row(in_shard, line) for in_shard, line in rows]


def _row(sharded: bool, line: str) -> Row:  # noqa: FBT001 -- private, one caller
    name, kind, *_, lifetime = re.split(r"\s{2,}", line.strip())
    words = {"B": "(?:ingest|poll|deliver)"}
    parts = re.split(r"\b([A-Z]+)\b", name)
    text = "".join(
        re.escape(part) if place % 2 == 0 else words.get(part, ".+")
        for place, part in enumerate(parts)
    )
    return Row(name, re.compile((r"\{rb:\d+\}:" if sharded else "") + text), kind, lifetime)


@pytest.fixture(autouse=True)
def _log_as_by_default() -> Iterator[None]:
    """A command run in this process configures the log; the next test must not inherit that."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def leaks(redis_url: str, documented_keys: Sequence[Row]) -> Callable[[], list[str]]:
    """What is wrong with the keys in Redis now, a line each."""

    def find() -> list[str]:
        with Redis.from_url(redis_url) as redis:
            found = [_leak(redis, raw, documented_keys) for raw in redis.scan_iter(count=1000)]
        return sorted(line for line in found if line)

    return find


def _leak(redis: Redis, raw: bytes, rows: Sequence[Row]) -> str | None:
    name, kind, ttl = raw.decode(), redis.type(raw).decode(), redis.pttl(raw)
    row = next((r for r in rows if r.pattern.fullmatch(name)), None)
    if row is None:
        return f"{name}: no row of the table in store/keys.py documents it"
    if kind not in (row.type, "none"):  # none: it ended while we looked
        return f"{name}: is a {kind}, documented as {row.type}"
    if row.promises_ttl and ttl == -1:
        return f"{name}: lives for ever, documented as {row.lifetime!r}"
    return None


@pytest.fixture(autouse=True)
def _no_key_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    uses_store = BY_STORE & set(request.fixturenames)
    find = request.getfixturevalue("leaks") if uses_store else list
    yield
    assert find() == []
