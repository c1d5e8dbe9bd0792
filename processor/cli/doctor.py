"""`ringback doctor`: is everything there that Ringback needs, and does it work?"""

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import typer

from processor import vault
from processor.cli import options, printing, redis
from processor.cli.client import Client
from processor.cli.configuration import read
from processor.cli.credentials import key_for
from processor.cli.exits import CommandError, Exit
from processor.config import Settings
from processor.errors import ConfigError

PATIENCE = 3.0  # seconds for each thing that is asked


@dataclass(frozen=True)
class Finding:
    """One thing looked at; what is wrong says the remedy."""

    name: str
    ok: bool
    detail: str
    code: Exit = Exit.GOOD


def doctor(
    *,
    config: options.Config = None,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Check the configuration, Redis and the running server.

    Ends with 2 when the configuration, Redis or a source is wrong, 5 when the server is not
    there or not ready.
    """
    file, (key, wrong) = options.config_file(config), _key(url, key, data)
    client = Client(url, key, timeout=PATIENCE)
    found = [*_configuration(file, os.environ), *wrong, _redis(os.environ)]
    found.append(_server("alive", "/healthz", client))
    if found[-1].ok:
        found += [_server("ready", "/readyz", client), _sources(client)]
    if json:
        printing.document(
            {"ok": all(one.ok for one in found), "checks": [asdict(f) for f in found]}
        )
    else:
        printing.table(
            ("", "check", "finding"),
            [("ok" if one.ok else "NO", one.name, one.detail) for one in found],
        )
    raise typer.Exit(next((one.code for one in found if not one.ok), Exit.GOOD))


def _key(url: str, given: str | None, data: Path) -> tuple[str | None, list[Finding]]:
    """The key to ask the server with; a key file that is refused is a finding."""
    try:
        return key_for(url, given, data), []
    except ConfigError as error:
        return None, [Finding("key", ok=False, detail=str(error), code=Exit.USAGE)]


def _configuration(file: Path | None, environ: Mapping[str, str]) -> list[Finding]:
    try:
        settings = read(file, environ)
    except ConfigError as error:
        return [Finding("configuration", ok=False, detail=str(error), code=Exit.USAGE)]
    where = settings.file or "no ringback.toml"
    sources, targets = len(settings.sources), len(settings.subscriptions)
    told = f"{where}: {sources} sources, {targets} subscriptions"
    return [Finding("configuration", ok=True, detail=told), *_secrets(settings)]


def _secrets(settings: Settings) -> list[Finding]:
    """How secrets are kept; nothing to say of a server that only its own machine may call."""
    if settings.master_keys:
        ids = ", ".join(one.id for one in settings.master_keys)
        return [Finding("secrets", ok=True, detail=f"sealed in Redis; keys: {ids}")]
    plain = f"plain text in Redis: set {vault.NAME}; {vault.REMEDY}"
    return [Finding("secrets", ok=True, detail=plain)] if settings.api_keys else []


def _redis(environ: Mapping[str, str]) -> Finding:
    """Look whether anybody listens; whether it can be written is the server's to say."""
    try:
        if given := environ.get("REDIS_URL"):
            return Finding(
                "redis", ok=True, detail=f"REDIS_URL: {_reached(given)} accepts connections"
            )
        return Finding("redis", ok=True, detail=f"embedded: {redis.find_server()}")
    except ConfigError as error:
        return Finding("redis", ok=False, detail=str(error), code=Exit.USAGE)


def _reached(url: str) -> str:
    parts = urlsplit(url)
    where = parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"
    try:
        if parts.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(PATIENCE)
                line.connect(where)
        else:
            address = (parts.hostname or "127.0.0.1", parts.port or 6379)
            socket.create_connection(address, PATIENCE).close()
    except OSError as error:
        raise ConfigError(
            f"REDIS_URL: {where}: {error.strerror or error}: start that Redis"
        ) from None
    return where


def _server(name: str, path: str, client: Client) -> Finding:
    try:
        client.get(path)
    except CommandError as error:
        return Finding(name, ok=False, detail=str(error), code=error.code)
    return Finding(name, ok=True, detail=client.url + path)


def _sources(client: Client) -> Finding:
    """Look whether the key is good, and for sources that are refused or of no use."""
    try:
        items = client.get("/v1/sources")["items"]
    except CommandError as error:
        return Finding("sources", ok=False, detail=str(error), code=error.code)
    wrong = [(one["name"], one["stalled"] or one.get("lacks")) for one in items]
    told = "; ".join(f"{name}: {why}" for name, why in wrong if why)
    detail = told or f"{len(items)}, none stalled"
    return Finding("sources", ok=not told, detail=detail, code=Exit.USAGE)
