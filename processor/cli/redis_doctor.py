"""The checks of Redis by `ringback doctor`: the same that a worker makes at its start."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from processor.cli import embedded_redis
from processor.config import Settings, redis_url
from processor.errors import ConfigError, MissingPermission, Unavailable, WrongRedisUrl

if TYPE_CHECKING:
    from processor.store.requirements import Problem

TIMEOUT = 5.0  # seconds for all checks

Row = tuple[str, bool, str]
"""What was checked, whether it is ok, and what was found."""


def url_of(settings: Settings, data: Path) -> str:
    """REDIS_URL, else the Redis that `ringback up` runs in this folder."""
    embedded = data / "run" / "redis.sock"
    if not os.environ.get("REDIS_URL") and embedded.exists():
        return embedded_redis.socket_url(embedded)
    return settings.redis_url


def check(settings: Settings, data: Path) -> list[Row]:
    """Check the Redis of these settings."""
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
        problems, refused = asyncio.run(_check(settings, url))
    except ConfigError as error:
        return [("redis", False, f"{name}: {str(error).removeprefix('REDIS_URL: ')}")]
    except (Unavailable, TimeoutError) as error:
        remedy = (
            "" if isinstance(error, MissingPermission | WrongRedisUrl) else ": start that Redis"
        )
        reason = f"{str(error) or redis_url.address(url) + ' does not answer'}{remedy}"
        return [("redis", False, f"{name}: {reason}")]
    first = refused or f"{redis_url.address(url)} can be read and written"
    rows = [(f"redis {p.name}", not p.lossy, p.detail) for p in problems]
    return [("redis", not refused, f"{name}: {first}"), *rows]


async def _check(settings: Settings, url: str) -> "tuple[list[Problem], str]":
    """The problems found, and the reason why it cannot be read or written, empty if it can."""
    from processor.store import Store  # noqa: PLC0415 -- slow to import

    store = Store(url, shards=settings.shards)
    try:
        async with asyncio.timeout(TIMEOUT):
            problems = await store.requirements.problems()
            if any(problem.name == "rights" for problem in problems):
                return problems, f"{redis_url.address(url)} answers, but denies needed commands"
            try:
                await store.check_only()
                await store.writable()
            except Unavailable as error:
                return problems, str(error)
            return problems, ""
    finally:
        await store.close()
