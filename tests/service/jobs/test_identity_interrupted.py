"""A real Redis that lost the end of its append-only file: no completion under two ids."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from processor.cli.embedded_redis import EmbeddedRedis
from processor.service.jobs import ingest

CUTS = 5  # places in the file, between the accepted pushes and its end


class Crashing:
    """A Redis of our own that may lose the end of its file when it is killed."""

    def __init__(self, data: Path) -> None:
        """Start it."""
        self._redis = EmbeddedRedis(data)
        self.url = self._redis.start()
        self._files = data / "redis" / "appendonlydir"

    @property
    def file(self) -> Path:
        """Where it appends."""
        (found,) = self._files.glob("*.incr.aof")
        return found

    def crash(self, content: bytes) -> None:
        """Kill it, and start it again with a file that says this."""
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
    """The one that this file's tests use."""
    return crashing.url


async def written(bench: Any, crashing: Crashing, wait_until: Any) -> bytes:
    """What the file says once all is in it."""

    async def nothing_waits() -> bool:
        info = await bench.store.connection.redis.info("persistence")
        return info["aof_buffer_length"] == 0

    await wait_until(nothing_waits)
    return crashing.file.read_bytes()


async def told(bench: Any) -> set[str]:
    """The ids of the completions in the log."""
    return {event for event, kind in await bench.events() if kind == "job.succeeded"}


@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.parametrize(
    "names", [("a", "a"), ("ax", "x"), ("x", "ax"), ("ax", "xa")], ids="+".join
)
async def test_a_commit_that_redis_lost_is_made_again_under_the_same_ids(
    bench_of: Any,
    crashing: Crashing,
    wait_until: Any,
    shards: int,
    names: tuple[str, str],
):
    """The first push is claimed, the second one due, when Redis is killed."""
    bench = await bench_of(shards=shards, lease=0.001)
    first, second = ({"id": n[0]} | ({"alias": n[1]} if n[1:] else {}) for n in names)
    await bench.accept(**first, status="running", event="1")
    claimed = [await bench.claim(keys, "ingest") for keys in bench.store.shards]
    await bench.accept(**second, status="succeeded", event="2")
    accepted = await written(bench, crashing, wait_until)
    for claims in filter(None, claimed):
        await ingest.ingest(bench.context, claims)
    await bench.ingest()
    whole, found = await written(bench, crashing, wait_until), await told(bench)
    assert whole.startswith(accepted)
    for part in range(CUTS):
        crashing.crash(whole[: len(accepted) + (len(whole) - len(accepted)) * part // CUTS])
        await bench.store.connection.redis.connection_pool.disconnect()
        await bench.ingest()
        assert len(await bench.jobs()) == 1
        found |= await told(bench)
    assert len(found) == 1
