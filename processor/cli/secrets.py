"""`ringback secrets seal`: all that Redis holds, under the newest master key."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from processor import vault
from processor.cli import options, output
from processor.cli.config import read
from processor.cli.exit_codes import CommandError, Exit
from processor.cli.redis_doctor import url_of
from processor.config import Settings
from processor.errors import ConfigError, StoreUnavailable
from processor.vault import Vault

if TYPE_CHECKING:
    from processor.store.reseal import Sealed


def seal(
    *,
    config: options.Config = None,
    data: Annotated[
        Path, typer.Option(envvar="RINGBACK_DATA", help="Where `up` keeps its embedded Redis.")
    ] = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Seal all secrets in Redis with the first of RINGBACK_MASTER_KEYS.

    Talks to Redis itself, while Ringback runs or not; a second run finds nothing to do. Ends
    with 2 when a secret does not open, with what to do about it.
    """
    settings = read(options.config_file(config), os.environ)
    if not settings.master_keys:
        raise ConfigError(f"{vault.NAME} is not set; {vault.REMEDY}")
    told = _run(settings, url_of(settings, data.absolute()))
    _show(settings.master_keys[0].id, told, json=json)
    if told.unopened:
        raise typer.Exit(Exit.USAGE)


def group() -> typer.Typer:
    """Make the group, of one command."""
    app = typer.Typer(help="The secrets of subscriptions, as Redis has them.", no_args_is_help=True)
    app.callback()(lambda: None)
    app.command("seal")(seal)
    return app


def _run(settings: Settings, url: str) -> "Sealed":
    try:
        return asyncio.run(_seal(settings, url))
    except StoreUnavailable as error:
        raise CommandError(
            f"{error}: set REDIS_URL, or --data to the folder of `ringback up`", Exit.UNREACHABLE
        ) from None


async def _seal(settings: Settings, url: str) -> "Sealed":
    from processor.store import Store  # noqa: PLC0415 -- slow to import

    store = Store(url, shards=settings.shards, vault=Vault(settings.master_keys))
    try:
        await store.check_only()
        return await store.sealing.run()
    finally:
        await store.close()


def _show(key: str, told: "Sealed", *, json: bool) -> None:
    if json:
        return output.document(
            {
                "key": key,
                "sealed": sorted(told.sealed),
                "already": len(told.already),
                "unopened": told.unopened,
            }
        )
    output.line(f"sealed {len(told.sealed)} with key {key}; {len(told.already)} already were")
    for why in told.unopened.values():
        output.say(why)
    return None
