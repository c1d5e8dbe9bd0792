"""A real Redis that lost the end of its append-only file: no completion under two ids."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from processor.cli.embedded_redis import EmbeddedRedis
from processor.service.jobs import ingest

CUTS = 5  # places in the file, between the accepted pushes and its end


class Crashing:
    """A Redis that can be killed so that it loses the end of its append-only file."""

    def __init__(self, data: Path) -> None:
        """Start it."""
        self._redis = EmbeddedRedis(data)
        self.url = self._redis.start()
        self._files = data / "redis" / "appendonlydir"

    @property
    def file(self) -> Path:
        """Its append-only file."""
        (found,) = self._files.glob("*.incr.aof")
        return found

    def crash(self, content: bytes) -> None:
        """Kill it, and start it again with this content of the file."""
        self._redis.kill()
        self.file.write_bytes(content)
        self._redis.start()

    def stop(self) -> None:
        """End it."""
        self._redis.kill()


@pytest.fixture
def crashing(tmp_path: Path) -> Iterator[Crashing]:
    ours = Crashing(tmp_path / "own")
    yield ours
    ours.stop()


@pytest.fixture
def redis_url(crashing: Crashing) -> str:
    """The Redis of this file's tests."""
    return crashing.url


async def written(bench: Any, crashing: Crashing, wait_until: Any) -> bytes:
    """The content of the file once everything is in it."""

    async def nothing_waits() -> bool:
        info = await bench.store.connection.redis.info("persistence")
        return info["aof_buffer_length"] == 0

    await wait_until(nothing_waits)
    return crashing.file.read_bytes()


async def completions(bench: Any) -> set[str]:
    """The ids of the completions in the log."""
    return {event for event, kind in await bench.events() if kind == "job.succeeded"}


@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.parametrize(
    "names", [("a", "a"), ("ax", "x"), ("x", "ax"), ("ax", "xa")], ids="+".join
)
async def test_a_commit_that_redis_lost_is_repeated_with_the_same_ids(
    bench_of: Any,
    crashing: Crashing,
    wait_until: Any,
    shards: int,
    names: tuple[str, str],
):
    """When Redis is killed, the first push is claimed and the second is due."""
    bench = await bench_of(shards=shards, lease=0.001)
    first, second = ({"id": n[0]} | ({"alias": n[1]} if n[1:] else {}) for n in names)
    await bench.accept(**first, status="running", event="1")
    claimed = [await bench.claim(keys, "ingest") for keys in bench.store.shards]
    await bench.accept(**second, status="succeeded", event="2")
    accepted = await written(bench, crashing, wait_until)
    for claims in filter(None, claimed):
        await ingest.ingest(bench.context, claims)
    await bench.ingest()
    whole, found = await written(bench, crashing, wait_until), await completions(bench)
    assert whole.startswith(accepted)
    for part in range(CUTS):
        crashing.crash(whole[: len(accepted) + (len(whole) - len(accepted)) * part // CUTS])
        await bench.store.connection.redis.connection_pool.disconnect()
        await bench.ingest()
        assert len(await bench.jobs()) == 1
        found |= await completions(bench)
    assert len(found) == 1


@pytest.mark.parametrize("names", [("a", "a"), ("ax", "xa")], ids="+".join)
async def test_a_push_that_redis_lost_too_makes_the_same_ids_when_it_is_repeated(
    bench_of: Any, crashing: Crashing, wait_until: Any, names: tuple[str, str]
):
    """A worker may have called back about it already; the provider had no 202."""
    bench = await bench_of(shards=4)
    before, found = await written(bench, crashing, wait_until), set[str]()
    for n in names, names:
        for name, status in zip(n, ("running", "succeeded"), strict=True):
            alias = {"alias": name[1]} if name[1:] else {}
            await bench.accept(id=name[0], **alias, status=status, event=status)
        await bench.ingest()
        found |= await completions(bench)
        crashing.crash(before)
        await bench.store.connection.redis.connection_pool.disconnect()
    assert len(found) == 1
