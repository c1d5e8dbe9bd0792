"""`ringback secrets seal`: encrypts all secrets in Redis with the newest master key."""

import asyncio
import os
from typing import TYPE_CHECKING

import typer

from processor import vault
from processor.cli import options, output
from processor.cli.config import read
from processor.cli.exit_codes import CommandError, Exit
from processor.cli.lazy_group import command_group
from processor.cli.redis_doctor import url_of
from processor.config import Settings
from processor.errors import ConfigError, StoreUnavailable
from processor.vault import Vault

if TYPE_CHECKING:
    from processor.store.reseal import ResealReport


def seal(
    *,
    config: options.Config,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Encrypt all secrets in Redis with the first of RINGBACK_MASTER_KEYS.

    Connects to Redis itself, whether Ringback runs or not; a second run finds nothing to do. Ends
    with 2 if a secret cannot be decrypted, and prints the remedy.

    Example: `ringback secrets seal`.
    """
    settings = read(config, os.environ)
    if not settings.master_keys:
        raise ConfigError(f"{vault.NAME} is not set; {vault.REMEDY}")
    report = asyncio.run(_seal(settings, url_of(settings, data)))
    _show(settings.master_keys[0].id, report, json=json)
    if report.unopened:
        raise typer.Exit(Exit.USAGE)


def group() -> typer.Typer:
    """The group of this command."""
    return command_group({"seal": seal}, about="Encrypt the secrets of subscriptions in Redis.")


async def _seal(settings: Settings, url: str) -> "ResealReport":
    from processor.store import Store  # noqa: PLC0415 -- slow to import

    store = Store(url, shards=settings.shards, vault=Vault(settings.master_keys))
    try:
        await store.check_only()
        return await store.resealer.run()
    except StoreUnavailable as error:
        raise CommandError(
            f"{error}: set REDIS_URL, or --data to the folder of `ringback up`", Exit.UNREACHABLE
        ) from None
    finally:
        await store.close()


def _show(key: str, report: "ResealReport", *, json: bool) -> None:
    sealed, already = len(report.sealed), len(report.already)
    document = {
        "key": key,
        "sealed": sorted(report.sealed),
        "already": already,
        "unopened": report.unopened,
    }
    text = f"encrypted {sealed} with key {key}; {already} already were"
    output.result(document, text, json=json)
    if not json:
        for reason in report.unopened.values():
            output.notice(reason)
