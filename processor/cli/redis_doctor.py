"""What `ringback doctor` finds about Redis: it does what a worker does at its start."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from processor.cli import embedded_redis
from processor.config import Settings, redis_url
from processor.errors import ConfigError, MissingPermission, Unavailable, WrongRedisUrl

if TYPE_CHECKING:
    from processor.store.requirements import Problem

PATIENCE = 5.0  # seconds for all of it

Row = tuple[str, bool, str]
"""What was looked at, whether it is good, and what was found."""


def url_of(settings: Settings, data: Path) -> str:
    """The Redis of the environment, else the one that `ringback up` runs in this folder."""
    embedded = data / "run" / "redis.sock"
    if not os.environ.get("REDIS_URL") and embedded.exists():
        return embedded_redis.socket_url(embedded)
    return settings.redis_url


def look(settings: Settings, data: Path) -> list[Row]:
    """All that is good or wrong about the Redis of these settings."""
    embedded = not os.environ.get("REDIS_URL")
    if embedded and not (data / "run" / "redis.sock").exists():
        try:
            return [("redis", True, f"embedded: {embedded_redis.find_server()}; not running")]
        except ConfigError as error:
            return [("redis", False, str(error))]
    url = url_of(settings, data)
    name = "embedded" if embedded else "REDIS_URL"
    try:
        redis_url.checked("REDIS_URL", url)
        problems, refused = asyncio.run(_look(settings, url))
    except ConfigError as error:
        return [("redis", False, f"{name}: {str(error).removeprefix('REDIS_URL: ')}")]
    except (Unavailable, TimeoutError) as error:
        remedy = (
            "" if isinstance(error, MissingPermission | WrongRedisUrl) else ": start that Redis"
        )
        reason = f"{str(error) or redis_url.address(url) + ' does not answer'}{remedy}"
        return [("redis", False, f"{name}: {reason}")]
    first = refused or f"{redis_url.address(url)} takes reads and writes"
    rows = [(f"redis {one.name}", not one.lossy, one.detail) for one in problems]
    return [("redis", not refused, f"{name}: {first}"), *rows]


async def _look(settings: Settings, url: str) -> "tuple[list[Problem], str]":
    """What is wrong with it, and why it cannot be read and written, if that is so."""
    from processor.store import Store  # noqa: PLC0415 -- slow to import

    store = Store(url, shards=settings.shards)
    try:
        async with asyncio.timeout(PATIENCE):
            problems = await store.requirements.problems()
            if any(one.name == "rights" for one in problems):
                return problems, f"{redis_url.address(url)} answers, but denies what is needed"
            try:
                await store.check_only()
                await store.writable()
            except Unavailable as error:
                return problems, str(error)
            return problems, ""
    finally:
        await store.close()
