"""Migrates a store of an older version to our schema: the first process that starts does it.

The others wait. If a migration is killed, another process begins again once the lease has ended, so
each step is safe to run twice. The number of the schema is written last.
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

LEASE = 10.0  # seconds; the process that migrates renews it
CHECK_EVERY = 0.5  # seconds between checks while another process migrates

Step = Callable[[Connection, Sequence[Keys]], Awaitable[None]]

log = structlog.get_logger()


async def draw_versions(connection: Connection, shards: Sequence[Keys]) -> None:
    """1 → 2: the version of the subscriptions was a counter, and is a random word.

    An old process that still runs reads numbers, so it can commit nothing from here on. A script
    does it, as all that a migration writes: a Redis that is out of memory refuses a SET.
    """
    for keys in shards:
        await connection.run("draw_version", [keys.subs_version], [new_version()])


async def keep_all(_connection: Connection, _shards: Sequence[Keys]) -> None:
    """3 → 4: there are more keys and fields, and all that is there stays as it is.

    An old process that still runs would take what is held for accepted work.
    """


STEPS: Mapping[int, Step] = {1: draw_versions, 2: use_new_names, 3: keep_all}
"""The step from each schema to the next one."""


class Migration:
    """Migrates one store to our schema."""

    def __init__(
        self, connection: Connection, shards: Sequence[Keys], steps: Mapping[int, Step] = STEPS
    ) -> None:
        """The schema after the last step is ours."""
        self._connection = connection
        self._shards = shards
        self._steps = steps
        self._me = secrets.token_hex(8)

    async def run(self) -> None:
        """Return once the store has our schema; ConfigError while older processes run on it."""
        while (schema := await self._schema()) in self._steps:
            await self._wait_for_old_processes(schema)
            match await self._lease(schema):
                case "ours":
                    await self._step(schema)
                case "another":
                    await asyncio.sleep(CHECK_EVERY)
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
        """Wait until all heartbeats are old. ConfigError if one is renewed: a process of an older
        version, which cannot read what the migration writes, still runs.
        """
        first = await self._heartbeats()
        while await self._schema() == schema:
            heartbeats, now = await self._heartbeats(), await self._connection.now()
            alive = sorted(name for name, at in heartbeats.items() if at > first.get(name, 0.0))
            if alive and await self._schema() == schema:
                raise ConfigError(
                    f"Redis holds schema {schema}, and processes of the version that wrote it "
                    f"still run on it ({', '.join(alive)}): stop the old version first"
                )
            if all(at < now - REMEMBERED for at in heartbeats.values()):
                return
            await asyncio.sleep(CHECK_EVERY)

    async def _heartbeats(self) -> dict[str, float]:
        """When each worker wrote its last heartbeat, and each process its last mark, in seconds."""
        heartbeats: dict[str, float] = {}
        for key in (WORKERS, PROCESSES):
            rows = await self._connection.ask(self._connection.redis.hgetall(key))
            heartbeats |= {name.decode(): float(text.split()[0]) for name, text in rows.items()}
        return heartbeats
