"""`ringback inspect`: is this push genuine, and what does it say? Nothing is sent anywhere."""

import json as codec
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from processor import provider, signing
from processor.cli import options, printing
from processor.cli.exits import CommandError, Exit
from processor.config import Source, load
from processor.errors import BadSignature, ConfigError, Refused
from processor.model import StatusUpdate


def inspect(
    source: options.SourceName,
    *,
    headers: Annotated[Path, typer.Option(help="A file: the push's headers, as a JSON object.")],
    body: Annotated[Path, typer.Option(help="A file: the push's body, byte for byte.")],
    now: Annotated[
        float | None, typer.Option(metavar="UNIX", help="Judge its age at this time.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="A PEM or JWKS, where the scheme would fetch its key.")
    ] = None,
    config: options.Config = None,
    json: options.Json = False,  # noqa: ARG001 - taken like everywhere; it prints JSON anyway
) -> None:
    """Verify a captured push and read it, as the receiver would; prints JSON.

    Ends with 0 when it is verified, 1 when it is not.
    """
    configured = _source(source, options.config_file(config))
    if key is not None:
        raise ConfigError(f"--key {key}: {configured.profile.name} fetches no key; leave it out")
    moment = time.time() if now is None else now
    verdict = judge(configured, _headers(headers), _bytes("--body", body), moment)
    printing.document(verdict)
    raise typer.Exit(Exit.GOOD if verdict["verified"] else Exit.FAILED)


def judge(source: Source, headers: Mapping[str, str], body: bytes, now: float) -> dict[str, Any]:
    """Say whether the push is verified, why not, and which updates would be taken from it."""
    rule = source.profile.push and source.profile.push.verify
    try:
        if rule:
            signing.verify(rule, source.keys, headers, body, now)
        reading = provider.read_push(source.profile, source.name, headers, body, now)
    except BadSignature as error:
        return _verdict(verified=False, reason=str(error))
    except Refused as error:
        return _verdict(verified=bool(rule), reason=str(error))
    unsigned = None if rule else f"{source.profile.name} does not sign its pushes"
    return _verdict(verified=bool(rule), reason=unsigned, updates=reading.updates)


def _verdict(
    *, verified: bool, reason: str | None, updates: tuple[StatusUpdate, ...] = ()
) -> dict[str, Any]:
    shown = [_shown(update) for update in updates]
    return {"verified": verified, "reason": reason, "updates": shown}


def _shown(update: StatusUpdate) -> dict[str, Any]:
    """Give every field, those with a default too: who reads this wants to see what is missing."""
    fields: dict[str, Any] = codec.loads(msgspec.json.encode(msgspec.structs.asdict(update)))
    return fields


def _source(name: str, file: Path | None) -> Source:
    settings = load(file, os.environ)
    if name not in settings.sources:
        known = ", ".join(settings.sources) or "none"
        raise ConfigError(
            f"{settings.file or 'no ringback.toml'}: no source {name!r}; there is {known}"
        )
    source = settings.sources[name]
    if source.profile.push is None:
        raise ConfigError(f"sources.{name}: {source.profile.name} does not push; it is polled")
    return source


def _headers(file: Path) -> dict[str, str]:
    try:
        found = codec.loads(_bytes("--headers", file))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise CommandError(f'--headers {file}: write a JSON object of texts, {{"Name": "value"}}')
    return {name.lower(): value for name, value in found.items()}


def _bytes(option: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandError(f"{option} {file}: {error.strerror}") from None
