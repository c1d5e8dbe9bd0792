"""Brings a store that an older version wrote to our schema: once, by the first process that starts.

The others wait. A migration that was killed is begun again by the next process, once its lease is
over, so each step is safe to run twice. The schema's number is written last.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

import structlog

from processor.errors import ConfigError
from processor.store.connection import Connection
from processor.store.keys import META, PROCESSES, WORKERS, Keys
from processor.store.replacement import REMEMBERED
from processor.store.schema_3 import use_new_names
from processor.store.versions import new_version

LEASE = 10.0  # seconds that a migrator may be silent
LOOK_EVERY = 0.5  # seconds between looks at what another process does

Step = Callable[[Connection, Sequence[Keys]], Awaitable[None]]

log = structlog.get_logger()


async def draw_versions(connection: Connection, shards: Sequence[Keys]) -> None:
    """1 → 2: the version of the subscriptions was counted, and is drawn.

    An old process that still runs reads numbers: it can commit nothing from here on.
    """
    redis = connection.redis
    for keys in shards:
        version = await connection.ask(redis.get(keys.subs_version))
        if version and version.isdigit():
            await connection.ask(redis.set(keys.subs_version, new_version()))


STEPS: Mapping[int, Step] = {1: draw_versions, 2: use_new_names}
"""What brings a store from each schema to the next one."""


class Migration:
    """The way of one store to our schema."""

    def __init__(
        self, connection: Connection, shards: Sequence[Keys], steps: Mapping[int, Step] = STEPS
    ) -> None:
        """Take the steps; what is above the last of them is our own schema."""
        self._connection = connection
        self._shards = shards
        self._steps = steps
        self._me = secrets.token_hex(8)

    async def run(self) -> None:
        """Return once the store is of our schema; ConfigError while older processes run on it."""
        while (schema := await self._schema()) in self._steps:
            await self._wait_for_old_processes(schema)
            match await self._lease(schema):
                case "ours":
                    await self._step(schema)
                case "another":
                    await asyncio.sleep(LOOK_EVERY)
                case _:
                    pass

    async def _schema(self) -> int:
        found = await self._connection.ask(self._connection.redis.hget(META, "schema"))
        return int(found or 0)

    async def _lease(self, schema: int) -> str:
        args: list[str | float] = [schema, self._me, int(LEASE * 1000)]
        word: bytes = await self._connection.run("lease_migration", [META], args)
        return word.decode()

    async def _step(self, schema: int) -> None:
        log.info("migration_started", schema=schema, to=schema + 1)
        renewing = asyncio.create_task(self._renew(schema))
        try:
            await self._steps[schema](self._connection, self._shards)
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing
        args: list[str | float] = [schema, schema + 1, secrets.token_hex(8)]
        if await self._connection.run("end_migration", [META], args):
            log.info("migration_finished", schema=schema + 1)

    async def _renew(self, schema: int) -> None:
        while True:
            await asyncio.sleep(LEASE / 3)
            await self._lease(schema)

    async def _wait_for_old_processes(self, schema: int) -> None:
        """Wait until the heartbeats of processes that have ended are old; those that go on are
        of a version that does not know what we are about to write.
        """
        first = await self._beats()
        while await self._schema() == schema:
            beats, now = await self._beats(), await self._connection.now()
            alive = sorted(name for name, at in beats.items() if at > first.get(name, 0.0))
            if alive and await self._schema() == schema:
                raise ConfigError(
                    f"Redis holds schema {schema}, and processes of the version that wrote it "
                    f"still run on it ({', '.join(alive)}): stop the old version first"
                )
            if all(at < now - REMEMBERED for at in beats.values()):
                return
            await asyncio.sleep(LOOK_EVERY)

    async def _beats(self) -> dict[str, float]:
        """The time of the last sign of each process, in seconds."""
        beats: dict[str, float] = {}
        for key in (WORKERS, PROCESSES):
            rows = await self._connection.ask(self._connection.redis.hgetall(key))
            beats |= {name.decode(): float(text.split()[0]) for name, text in rows.items()}
        return beats
