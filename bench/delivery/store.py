"""Ringback's delivering side as a contender: an append-only Redis, two workers, the clock.

Events are committed as an ingesting worker commits them, by the bench itself.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from bench import processes, redis_server
from bench.contenders import callbacks, ringback
from bench.contenders.running import WORKERS, Running
from bench.delivery import events
from bench.load.driver import Meter
from processor.errors import StoreUnavailable
from processor.model import Job
from processor.service.events.publish import delivery_item
from processor.store import Store
from processor.store.change import Change, NewEvent
from processor.store.work_items import NOW

TOGETHER = 200  # events in one commit
DAY = 86_400.0
READY = 10.0  # seconds that Redis has to start


def subscription(name: str, url: str, form: str) -> str:
    """Return one subscription's table."""
    return (
        f'\n[subscriptions.{name}]\nurl = "{url}"\nformat = "{form}"\n'
        f'secret = "{callbacks.CALLBACK_SECRET}"\n'
    )


def change(target: str, run: int, number: int, at: float = NOW) -> Change:
    """Return an event of a job that is not kept, with one delivery, due at `at`."""
    event, now = events.event_id(run, number), events.AT
    item = replace(delivery_item(event, events.KIND, target, target, now), at=at)
    body = events.body(run, number)
    job = Job(
        source="bench",
        provider="standard",
        id=f"{run}-{number}",
        uid="bench",
        created_at=now,
        deadline=DAY,
        deadline_at=now + DAY,
    )
    new = NewEvent(id=event, type=events.KIND, body=body, deliveries=(item,))
    return Change(job=job, version="", save=False, events=[new])


def meter(pids: tuple[int, ...]) -> Meter:
    """Return a meter of these processes."""
    return Meter(Running((), pids))


async def commit(store: Store, changes: Sequence[Change]) -> None:
    """Commit events, and wake a worker; usually it is a worker that commits."""
    keys = store.shards[0]
    router = await store.subscriptions.router(keys)
    for first in range(0, len(changes), TOGETHER):
        batch = changes[first : first + TOGETHER]
        done = await store.jobs.commit(keys, router.version, batch)
        assert done is not None
        assert all(done), "an event was not committed: nobody else writes to this store"
    await store.connection.ask(store.connection.redis.rpush(keys.nudge["deliver"], "1"))


@contextlib.asynccontextmanager
async def opened(socket: Path) -> AsyncIterator[Store]:
    """Wait until Redis answers, and close what was opened."""
    store = Store(f"unix://{socket}")
    try:
        async with asyncio.timeout(READY):
            while True:
                with contextlib.suppress(StoreUnavailable):
                    await store.check()
                    break
                await asyncio.sleep(0.05)
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def stored(folder: Path) -> AsyncIterator[tuple[Store, Path, int]]:
    """Run an empty Redis; give a store on it, its socket and its process."""
    with redis_server.redis_server(folder) as (process, socket):
        async with opened(socket) as store:
            yield store, socket, process.pid


@contextlib.contextmanager
def delivering(
    folder: Path, socket: Path, urls: Mapping[str, str], form: str = "standard"
) -> Iterator[tuple[int, ...]]:
    """Run clock and workers for subscriptions by name; give their processes.

    At the end they are killed, since some may wait for an answer for 15 seconds more.
    """
    file = folder / "ringback.toml"
    tables = [subscription(name, url, form) for name, url in urls.items()]
    file.write_text(ringback.SOURCES + "".join(tables))
    env = {"REDIS_URL": f"unix://{socket}", "RINGBACK_CONFIG": str(file)}
    modules: Iterable[str] = ["workers.clock", *["workers"] * WORKERS]
    with contextlib.ExitStack() as stack:
        parts = [
            stack.enter_context(
                processes.child([sys.executable, "-m", one], folder / "workers.log", env)
            )
            for one in modules
        ]
        try:
            yield tuple(one.pid for one in parts)
        finally:
            for one in parts:
                one.kill()
