"""`ringback sources register`: registers the webhook of a source at its provider."""

import asyncio
import os
from contextlib import suppress
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
import typer

from processor.cli import config as cli_config, options, output
from processor.cli.config import read
from processor.cli.exit_codes import CommandError, Exit
from processor.config import Settings, Source, url_checks
from processor.config.secrets import MASK
from processor.egress import Egress, Policy
from processor.errors import ConfigError, ProviderError
from processor.service.registration import register as registration
from processor.service.registration.register import RegisterResult

RESULTS = {
    "created": "created {hook} for {url}",
    "updated": "updated {hook} for {url}",
    "already": "nothing to do: {hook} for {url}",
    "would create": "would create a hook for {url}",
    "would update": "would update {hook} for {url}",
}


def register(
    source: options.SourceName,
    *,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="This server's URL for the provider, https://…. Default: RINGBACK_PUBLIC_URL.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only read the existing hooks; change nothing.")
    ] = False,
    config: options.Config,
    json: options.Json = False,
) -> None:
    """Register the webhook of a source: create or update its hook, or print what to paste.

    A second run finds the hook of the first. The server need not run.

    Example: `ringback sources register mux --url https://ringback.example.com`.
    """
    settings = read(config, os.environ)
    chosen, base = cli_config.source_of(settings, source), _base(url or settings.public_url)
    outcome = asyncio.run(_register(settings, chosen, base, dry_run=dry_run))
    if json:
        return output.document(msgspec.structs.asdict(outcome))
    return _show(outcome)


async def _register(
    settings: Settings, source: Source, base: str, *, dry_run: bool
) -> RegisterResult:
    try:
        async with Egress(Policy.parse(settings.egress_allow)) as egress:
            return await registration.register(egress, source, base, dry=dry_run)
    except ProviderError as error:
        raise CommandError(f"{error}; try again later", Exit.UNREACHABLE) from None


def _base(url: str | None) -> str:
    if not url:
        raise ConfigError(
            "the URL at which providers reach this server is not set: "
            "give --url https://…, or RINGBACK_PUBLIC_URL"
        )
    url_checks.base_url("--url", url)
    if url.startswith("http://") and not _is_loopback(url):
        output.notice(
            f"{url}: plain http shows pushes, and a token in the URL, to everybody on the way, "
            "and most providers refuse it: give an https:// URL"
        )
    return url


def _is_loopback(url: str) -> bool:
    """Whether the URL is on this machine."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _show(outcome: RegisterResult) -> None:
    """Print what was done, and on standard error what is left to do."""
    if outcome.paste is not None:
        for line in outcome.paste.splitlines():
            output.line(line)
        if MASK in outcome.url:
            output.notice("the URL holds the source's secret: show it only to the provider")
    else:
        hook = f"hook {outcome.hook}" if outcome.hook else "the hook"
        output.line(RESULTS[outcome.did].format(hook=hook, url=outcome.url))
    if outcome.request:
        output.line(f"{outcome.request['method']} {outcome.request['url']}")
        output.document(outcome.request["body"])
    if outcome.secret:
        output.line(f"secret  {outcome.secret}")
        where = f"set it as webhook_secret of [sources.{outcome.source}], then restart Ringback"
        output.notice(f"save the secret now, it may not be shown again: {where}")
    if outcome.note:
        output.notice(
            f"until then pushes are answered 404: sources.{outcome.source}: {outcome.note}"
        )
