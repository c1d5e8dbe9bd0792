"""`ringback listen`: posts a server's events to a program on this machine, signed as for a subscriber."""

import hashlib
import json as codec
import secrets
import time
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from processor.cli import http_request, options, output
from processor.cli.client import Client
from processor.cli.credentials import is_loopback
from processor.cli.events import Source, Types, line, stream
from processor.cli.exit_codes import CommandError
from processor.cli.http_request import DEFAULT_PORTS
from processor.cli.sse import Message
from processor.formats import FORMATS, Event
from processor.model import Subscription
from processor.signing import signer

TIMEOUT = 15.0  # seconds for an answer, as a subscriber has
RETRY_PAUSE = 1.0  # seconds
GOOD = range(200, 300)

Attempt = dict[str, Any]  # its `status` or `error`, and how many `seconds` it took


def listen(
    *,
    to: Annotated[str, typer.Option(metavar="URL", help="Where to post the events.")],
    source: Source = None,
    types: Types = None,
    secret: Annotated[
        str | None,
        typer.Option(help="whsec_…, which signs. Default: a new one, which is printed."),
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, max=100, help="Try again so often, until the answer is 2xx.")
    ] = 0,
    allow: Annotated[
        bool, typer.Option("--allow", help="Also post to other machines than this one.")
    ] = False,
    new: Annotated[
        bool, typer.Option("--new", help="Begin with new events, not where it ended last time.")
    ] = False,
    url: options.Url = options.DEFAULT_URL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Post a server's events to a program on this machine, signed as for a subscriber.

    Each event is tried once, and its answer is shown. The place in the event log is kept in --data,
    so that the next start goes on there.

    Examples: `ringback listen --to http://localhost:3000/callbacks`,
    `ringback listen --to http://localhost:3000/callbacks --type job.completed --retries 3`.
    """
    server = options.client(url=url, key=key, data=data)
    target = _target(to, secret or _new_secret(), allow=allow)
    place = place_of(data, server.url)
    after = None if new else read_place(place)
    shown = ["" if secret else f"secret  {target.secrets[0]}", f"posting to {to}"]
    start = {"to": to, "secret": None if secret else target.secrets[0]}
    output.result(start, *filter(None, shown), json=json)
    _follow(server, target, after, {"source": source, "type": types}, place, retries, json=json)


def _follow(  # noqa: PLR0917 - what to post, and where
    server: Client,
    target: Subscription,
    after: str | None,
    wanted: Mapping[str, object],
    place: Path,
    retries: int,
    *,
    json: bool,
) -> None:
    """Post each event; it is behind us once it was tried."""
    for message in stream(server, after, wanted, passed=PlaceKeeper(place)):
        if message.event == "gap":
            output.notice("gap: events were trimmed before they could be read here")
            continue
        item = codec.loads(message.data)
        attempts = _deliver(target, Event(item["id"], original_body(message, item["id"])), retries)
        last = attempts[-1]
        answer = last["status"] or last["error"]
        tries = f", attempt {len(attempts)}" if len(attempts) > 1 else ""
        text = f"{line(item)}  > {answer} ({last['seconds'] * 1000:.0f} ms{tries})"
        output.result({"event": item, "attempts": attempts}, text, json=json)


def _target(to: str, secret: str, *, allow: bool) -> Subscription:
    """The program as a subscription; CommandError if it may not be posted to, or cannot be signed."""
    try:
        parts = urlsplit(to)
        good = parts.scheme in DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0
        good = good and to.isascii() and to.isprintable() and " " not in to
    except ValueError:
        good = False
    if not good:
        raise CommandError(f"--to {to}: write it like http://localhost:3000/callbacks")
    if not (allow or is_loopback(to)):
        raise CommandError(f"--to {to}: is not on this machine; add --allow if that is intended")
    try:
        signer("v1", secret)
    except ValueError as error:
        raise CommandError(f"--secret: {error}") from None
    return Subscription(id="listen", url=to, secrets=(secret,))


def _new_secret() -> str:
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode()


def original_body(message: Message, event: str) -> bytes:
    """The payload as subscribers receive it: the stream puts the id of the event in front."""
    head = codec.dumps({"id": event}, separators=(",", ":"))[:-1] + ","
    return ("{" + message.data.removeprefix(head)).encode()


def _deliver(target: Subscription, event: Event, retries: int) -> list[Attempt]:
    """Attempt until the answer is 2xx, once and `retries` times more."""
    attempts: list[Attempt] = []
    while not attempts or (len(attempts) <= retries and attempts[-1]["status"] not in GOOD):
        if attempts:
            time.sleep(RETRY_PAUSE)
        attempts.append(_attempt(target, event))
    return attempts


def _attempt(target: Subscription, event: Event) -> Attempt:
    """Post once; redirects are not followed."""
    parts, begun = urlsplit(target.url), time.monotonic()
    headers, body = FORMATS["standard"]([event], target, time.time())
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    status, error = None, None
    where = (parts.scheme, parts.hostname or "", parts.port)
    try:
        with http_request.send(*where, "POST", path, dict(headers), body, TIMEOUT) as answer:
            status = answer.status
    except OSError as problem:
        error = problem.strerror or str(problem) or type(problem).__name__
    return {"status": status, "error": error, "seconds": round(time.monotonic() - begun, 3)}


def place_of(data: Path, url: str) -> Path:
    """The file that keeps the place in the event log of a server."""
    digest = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
    return data / f"listen-{digest}"


def read_place(file: Path) -> str | None:
    """The cursor of the last event that was posted; None at the first start."""
    try:
        return file.read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CommandError(f"{file}: {error}: delete it, or give another --data") from None


class PlaceKeeper:
    """Keeps the place in the event log, in a file that is whole at any time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept: str | None = None

    def __call__(self, cursor: str | None) -> None:
        """Keep a place, unless it is kept already."""
        if cursor is None or cursor == self._kept:
            return
        part = self._file.with_name(f"{self._file.name}.part")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.write_text(f"{cursor}\n", encoding="ascii")
            part.replace(self._file)
        except OSError as error:
            raise CommandError(f"{self._file}: {error.strerror}: give another --data") from None
        self._kept = cursor
