"""`ringback doctor`: checks the configuration, Redis and the running server."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from processor import vault
from processor.cli import options, output, redis_doctor
from processor.cli.client import Client
from processor.cli.config import read
from processor.cli.credentials import key_for
from processor.cli.exit_codes import CommandError, Exit
from processor.config import Settings
from processor.config.environment import OF_COMMANDS
from processor.errors import ConfigError

TIMEOUT = 3.0  # seconds for each call of the server


@dataclass(frozen=True)
class Finding:
    """The result of one check; if it is not ok, or a warning, the detail names the remedy."""

    name: str
    ok: bool
    detail: str
    code: Exit = Exit.GOOD
    warning: bool = False  # it works, but not as well or as safely as it could

    @property
    def verdict(self) -> str:
        """The word in front of it."""
        if not self.ok:
            return "NO"
        return "warning" if self.warning else "ok"


def doctor(
    *,
    config: options.Config,
    url: options.Url = options.DEFAULT_URL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Check the configuration, Redis, its secrets and the running server.

    Ends with 2 if the configuration, Redis, a secret or a source is wrong, 5 if the server cannot be
    reached or is not ready.

    Examples: `ringback doctor`, `ringback doctor --url https://ringback.example.com`.
    """
    key, wrong = _key(url, key, data)
    client = Client(url, key, timeout=TIMEOUT)
    settings, found = _configuration(config)
    redis = _redis(settings, data)
    if found[0].ok:  # else the master keys are not known
        found += _secrets(settings, redis)
    found += [*wrong, *(row for row in redis if row.name != redis_doctor.SECRETS)]
    found.append(_server("alive", "/healthz", client))
    if found[-1].ok:
        found += [_server("ready", "/readyz", client), _sources(client)]
    if json:
        output.document({"ok": all(f.ok for f in found), "checks": [asdict(f) for f in found]})
    else:
        output.table(
            ("", "check", "finding"),
            [(f.verdict, f.name, f.detail) for f in found],
        )
    raise typer.Exit(next((f.code for f in found if not f.ok), Exit.GOOD))


def _key(url: str, given: str | None, data: Path) -> tuple[str | None, list[Finding]]:
    """The API key, and a finding if the key file cannot be used."""
    try:
        return key_for(url, given, data), []
    except ConfigError as error:
        return None, [Finding("key", ok=False, detail=str(error), code=Exit.USAGE)]


def _configuration(file: Path | None) -> tuple[Settings, list[Finding]]:
    """The settings, and what is found about them; if they are wrong, only REDIS_URL is kept."""
    try:
        settings = read(file, os.environ)
    except ConfigError as error:
        lines = str(error).splitlines()
        wrong = [Finding("configuration", ok=False, detail=s, code=Exit.USAGE) for s in lines]
        return Settings(redis_url=os.environ.get("REDIS_URL", "")), wrong
    where = settings.file or "no ringback.toml"
    sources, subscriptions = len(settings.sources), len(settings.subscriptions)
    detail = f"{where}; sources: {sources}, subscriptions: {subscriptions}"
    warnings = [
        Finding(
            "environment", ok=True, detail=f"{doubt.variable} is set: {doubt.remedy}", warning=True
        )
        for doubt in settings.warnings
        if doubt.variable not in OF_COMMANDS  # this is a command
    ]
    read_well = Finding("configuration", ok=True, detail=detail)
    return settings, [read_well, *warnings]


def _secrets(settings: Settings, redis: list[Finding]) -> list[Finding]:
    """Whether those in Redis can be decrypted, else how they are stored; no finding for a server
    that only its own machine may call.
    """
    if unopened := [row for row in redis if row.name == redis_doctor.SECRETS]:
        return unopened
    if settings.master_keys:
        ids = ", ".join(key.id for key in settings.master_keys)
        return [Finding("secrets", ok=True, detail=f"encrypted in Redis; keys: {ids}")]
    plain = f"plain text in Redis: set {vault.NAME}; {vault.REMEDY}"
    return [Finding("secrets", ok=True, detail=plain, warning=True)] if settings.api_keys else []


def _redis(settings: Settings, data: Path) -> list[Finding]:
    """Check Redis as a worker does; a setting that loses nothing is a warning."""
    return [
        Finding(
            name,
            ok=ok,
            detail=detail,
            code=Exit.GOOD if ok else Exit.USAGE,
            warning=ok and name != "redis",
        )
        for name, ok, detail in redis_doctor.check(settings, data)
    ]


def _server(name: str, path: str, client: Client) -> Finding:
    try:
        client.get(path)
    except CommandError as error:
        return Finding(name, ok=False, detail=str(error), code=error.code)
    return Finding(name, ok=True, detail=client.url + path)


def _unusable(source: dict[str, Any]) -> str:
    """Why a source is stalled, with the remedy, or what it lacks; empty if nothing."""
    if reason := source["stalled"]:
        return f" refuses polls: check its `token` ({reason})"
    return f": {source['lacks']}" if source.get("lacks") else ""


def _sources(client: Client) -> Finding:
    """Check the API key, and find sources that are stalled or unusable."""
    try:
        items = client.get("/v1/sources")["items"]
    except CommandError as error:
        return Finding("sources", ok=False, detail=str(error), code=error.code)
    wrong = "; ".join(f"{item['name']}{reason}" for item in items if (reason := _unusable(item)))
    detail = wrong or f"{len(items)}, none stalled"
    return Finding("sources", ok=not wrong, detail=detail, code=Exit.USAGE)
