"""`ringback inspect`: verifies a captured push and reads it, step by step."""

import asyncio
import json as codec
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from processor import provider, signing
from processor.cli import config as cli_config, options, output
from processor.cli.exit_codes import CommandError, Exit
from processor.config import Source, load
from processor.egress import Egress, Policy
from processor.errors import ConfigError, ProviderError, RequestError
from processor.model import Push, StatusUpdate
from processor.provider import ParsedPush
from processor.service.pushes.public_keys import MAX_AGE, PublicKeys
from processor.signing import Verify
from processor.sizes import check_body_size
from processor.text_input import decode_text

NOTHING = ParsedPush(())
OPTIONAL_FIELDS = frozenset({"again", "reopens", "begun", "ended"})


def inspect(
    source: options.SourceName,
    *,
    headers: Annotated[Path, typer.Option(help="A file with the push's headers as a JSON object.")],
    body: Annotated[Path, typer.Option(help="A file with the push's body, byte for byte.")],
    query: Annotated[str, typer.Option(help="The query of the URL, after `?`.")] = "",
    now: Annotated[
        float | None, typer.Option(metavar="UNIX", help="Check its age against this time.")
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            help="A PEM or JWKS file, for schemes that fetch one. Default: it is fetched."
        ),
    ] = None,
    config: options.Config,
    json: Annotated[bool, typer.Option("--json", help="Print the JSON on one line.")] = False,
) -> None:
    """Verify a captured push step by step and read it, as the receiver would; prints JSON.

    The headers must be all that came: the receiver checks Content-Type and Content-Encoding too.
    Ends with 0 if it is verified and would be accepted, 1 if not; `reason` says why.

    Example: `ringback inspect wistia --headers headers.json --body body.json`.
    """
    configured = _source(source, config)
    push = Push(_headers(headers), _bytes("--body", body), query)
    moment = time.time() if now is None else now
    verdict = judge(configured, push, moment, key)
    if json:
        output.document(verdict)
    else:
        output.tree(verdict)
    raise typer.Exit(Exit.FAILED if verdict["reason"] else Exit.GOOD)


def judge(source: Source, push: Push, now: float, key: Path | None = None) -> dict[str, Any]:
    """Whether the push is verified, why not, the steps of the check, and its updates."""
    rule, steps, reading = source.profile.verify, _length_step(push), NOTHING
    verified, reasons = False, _refusals(source, push)
    try:
        if rule:
            document = _document(source, rule, push, key)
            steps += [
                msgspec.to_builtins(step)
                for step in signing.explain(rule, source.keys, push, now, document)
            ]
            signing.verify(rule, source.keys, push, now, document)
            verified = True
        reading = provider.accept_push(source.profile, source.name, push, now)
    except RequestError as error:
        reasons.append(str(error))
    if verified and (stranger := _unknown_sender(source, push)):
        reasons.append(stranger)
    return _verdict(steps, verified=verified, reason="; ".join(reasons) or None, reading=reading)


def _refusals(source: Source, push: Push) -> list[str]:
    """Why the receiver would refuse the push whatever its signature is, in its order."""
    reasons, profile = [], source.profile
    if profile.verify is None:
        reasons.append(f"{profile.name} does not sign its pushes")
    elif source.why_no_pushes:
        reasons.append(f"the source accepts no pushes: {source.why_no_pushes}")
    checks: tuple[Callable[[], None], ...] = (
        lambda: check_body_size(len(push.body), source.largest),
        lambda: provider.check_encoding(push),
        lambda: provider.check_content_type(profile, push),
    )
    for check in checks:
        try:
            check()
        except RequestError as error:
            reasons.append(str(error))
    return reasons


def _length_step(push: Push) -> list[dict[str, Any]]:
    """Whether the body has its original length: files easily gain or lose a newline."""
    length, size = push.headers.get("content-length"), len(push.body)
    if length is None:
        return []
    same = length == str(size)
    value = f"Content-Length: {length}; the body has {size} bytes"
    remedy = "" if same else ", so the body was changed: capture it byte for byte"
    return [{"name": "length", "value": value + remedy, "ok": same}]


def _unknown_sender(source: Source, push: Push) -> str | None:
    """The problem if many senders can make such signatures, and this sender is not expected."""
    rule = source.profile.verify
    if rule is None or not signing.has_senders(rule):
        return None
    sender = signing.sender(rule, push)
    if sender in source.senders:
        return None
    return f"the signature is valid, but {sender!r} is not among the `senders` of the source"


def _document(source: Source, rule: Verify, push: Push, key: Path | None) -> bytes:
    """The public key: --key, else fetched as the receiver would."""
    if key is not None and signing.needs_secret(rule):
        raise ConfigError(f"--key {key}: {source.profile.name} fetches no key; leave it out")
    url = signing.keys_url(rule, push)
    if key is not None:
        return _bytes("--key", key)
    if url is None:
        return b""
    try:
        return asyncio.run(_fetched(rule, url))
    except ProviderError as error:
        raise CommandError(f"{error} (or give it with --key)") from None


async def _fetched(rule: Verify, url: str) -> bytes:
    async with Egress(Policy.parse(())) as egress:
        return await PublicKeys(egress).document(rule, url, time.time(), MAX_AGE)


def _verdict(
    steps: list[dict[str, Any]],
    *,
    verified: bool,
    reason: str | None,
    reading: ParsedPush = NOTHING,
) -> dict[str, Any]:
    """The result; `ignored` counts parts that are not about a job, and `ignored_because` says why."""
    requests = {
        "ignored_because": list(dict.fromkeys(part.text for part in reading.ignored_parts)),
        "echo": reading.echo,
        "confirm": reading.confirm,
        "unreadable": list(reading.errors),
    }
    return {
        "verified": verified,
        "reason": reason,
        "steps": steps,
        "updates": [_shown(update) for update in reading.updates],
        "ignored": reading.ignored,
        **{name: value for name, value in requests.items() if value},
    }


def _shown(update: StatusUpdate) -> dict[str, Any]:
    """All fields, also those with a default, so that missing values are seen.

    Fields that only polls or a few providers set are left out if they are empty.
    """
    fields: dict[str, Any] = codec.loads(msgspec.json.encode(msgspec.structs.asdict(update)))
    return {name: value for name, value in fields.items() if value or name not in OPTIONAL_FIELDS}


def _source(name: str, file: Path | None) -> Source:
    source = cli_config.source_of(load(file, os.environ), name)
    if source.profile.push is None:
        raise ConfigError(f"sources.{name}: {source.profile.name} does not push; it is polled")
    return source


def _headers(file: Path) -> dict[str, str]:
    try:
        found = codec.loads(decode_text(_bytes("--headers", file)))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise CommandError(f'--headers {file}: write a JSON object of strings, {{"Name": "value"}}')
    return {name.lower(): value for name, value in found.items()}


def _bytes(option: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandError(f"{option} {file}: {error.strerror}") from None
