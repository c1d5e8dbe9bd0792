"""The checks of Redis by `ringback doctor`: the same that a worker makes at its start."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from processor.cli import embedded_redis
from processor.cli.logs import nothing_logged
from processor.config import Settings, redis_url
from processor.errors import ConfigError, MissingPermission, Unavailable, WrongRedisUrl
from processor.vault import Vault

if TYPE_CHECKING:
    from processor.store import Store
    from processor.store.requirements import Problem

TIMEOUT = 5.0  # seconds for all checks
SECRETS_TIMEOUT = 2.0  # seconds of them for secrets: of very many callbacks some are not read
SECRETS = "secrets"  # the row about them

Row = tuple[str, bool, str]
"""What was checked, whether it is ok, and what was found."""


class _Found(NamedTuple):
    """The problems found, the reason why Redis cannot be read or written, empty if it can, and the
    reasons why secrets in it cannot be decrypted.
    """

    problems: "list[Problem]"
    refused: str = ""
    unopened: Sequence[str] = ()


def url_of(settings: Settings, data: Path) -> str:
    """REDIS_URL, else the Redis that `ringback up` runs in this folder."""
    embedded = data / "run" / "redis.sock"
    if not os.environ.get("REDIS_URL") and embedded.exists():
        return embedded_redis.socket_url(embedded)
    return settings.redis_url


def check(settings: Settings, data: Path) -> list[Row]:
    """Check the Redis of these settings; a row about secrets only if some cannot be decrypted."""
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
        with nothing_logged():
            found = asyncio.run(_check(settings, url))
    except ConfigError as error:
        return [("redis", False, f"{name}: {str(error).removeprefix('REDIS_URL: ')}")]
    except (Unavailable, TimeoutError) as error:
        remedy = (
            "" if isinstance(error, MissingPermission | WrongRedisUrl) else ": start that Redis"
        )
        reason = f"{str(error) or redis_url.address(url) + ' does not answer'}{remedy}"
        return [("redis", False, f"{name}: {reason}")]
    first = found.refused or f"{redis_url.address(url)} can be read and written"
    rows = [(f"redis {p.name}", not p.lossy, p.detail) for p in found.problems]
    return [("redis", not found.refused, f"{name}: {first}"), *rows, *_secrets(found.unopened)]


def _secrets(unopened: Sequence[str]) -> list[Row]:
    if not unopened:
        return []
    more = f"; nor to {len(unopened) - 1} more" if len(unopened) > 1 else ""
    return [(SECRETS, False, f"nothing can be sent to {unopened[0]}{more}")]


async def _check(settings: Settings, url: str) -> _Found:
    from processor.store import Store  # noqa: PLC0415 -- slow to import
    from processor.store.fleet import another_schema  # noqa: PLC0415 -- slow to import
    from processor.store.requirements import Problem  # noqa: PLC0415 -- slow to import

    store = Store(url, shards=settings.shards, vault=Vault(settings.master_keys))
    try:
        async with asyncio.timeout(TIMEOUT):
            problems = await store.requirements.problems()
            if any(problem.name == "rights" for problem in problems):
                reason = f"{redis_url.address(url)} answers, but denies needed commands"
                return _Found(problems, reason)
            try:
                await store.writable()
                meta = await store.fleet.meta()
                if store.fleet.is_older(meta):  # no secrets are read: they may be elsewhere
                    older = Problem(
                        "schema", lossy=False, detail=another_schema(int(meta["schema"]))
                    )
                    return _Found([*problems, older])
                store.fleet.check(meta)
            except Unavailable as error:
                return _Found(problems, str(error))
            return _Found(problems, unopened=await _unopened(store))
    finally:
        await store.close()


async def _unopened(store: "Store") -> list[str]:
    """Why secrets in Redis cannot be decrypted, one reason for each target."""
    from processor.store.reseal import ResealReport  # noqa: PLC0415 -- slow to import

    report = ResealReport()
    with suppress(TimeoutError):
        async with asyncio.timeout(SECRETS_TIMEOUT):
            await store.resealer.find_unopened(report)
    return list(report.unopened.values())
