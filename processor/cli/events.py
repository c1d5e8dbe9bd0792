"""`ringback events`: the event log, by the page or as it grows."""

import json as codec
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

import typer

from processor.cli import options, output
from processor.cli.client import Client, Stream, UnreachableError
from processor.cli.exit_codes import CommandError, Exit
from processor.cli.progress import words
from processor.cli.sse import Message

PAUSE = 1.0  # seconds before a broken stream is taken up again
PATIENCE = 30.0  # seconds without a server that end the following


def events(
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Stay, and print as they come.")
    ] = False,
    after: Annotated[str | None, typer.Option(help="Only what came after this cursor.")] = None,
    source: Annotated[str | None, typer.Option(help="Only of this source's jobs.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=200, help="How many to read, those of --source among them.")
    ] = 50,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Print events, oldest first; with --follow from now on, or from --after."""
    server = options.client(url, key, data)
    if follow:
        for message in _stream(server, after):
            _tell(message, source, json=json)
    else:
        page = server.get("/v1/events", after=after, limit=limit)
        items = [item for item in page["items"] if _is_of(source, item)]
        _print({**page, "items": items}, json=json)


def _is_of(source: str | None, item: dict[str, Any]) -> bool:
    return source is None or (item.get("data") or {}).get("source") == source


def _print(page: dict[str, Any], *, json: bool) -> None:
    if json:
        return output.document(page)
    for item in page["items"]:
        output.line(_line(item))
    if page["next"]:
        output.say(f"more: --after {page['next']}")
    return None


def _stream(server: Client, after: str | None) -> Iterator[Message]:
    """Follow over lost connections, each time from the newest cursor seen; the first must hold."""
    incoming = server.stream("/v1/events", after)
    while True:
        with suppress(UnreachableError):  # it broke: as if the server had ended it to drain
            yield from incoming
        incoming = _again(server, incoming.last_id)


def _again(server: Client, after: str | None) -> Stream:
    ends = time.monotonic() + PATIENCE
    while True:
        time.sleep(PAUSE)
        try:
            return server.stream("/v1/events", after)
        except CommandError as error:
            if error.code is not Exit.UNREACHABLE or time.monotonic() > ends:
                raise


def _tell(message: Message, source: str | None, *, json: bool) -> None:
    if message.event == "gap":
        output.say("gap: events were trimmed before they could be read here")
    item = codec.loads(message.data) if message.data else {}
    if message.event != "gap" and not _is_of(source, item):
        return
    if json:
        output.document({"type": message.event, **item, "cursor": message.id})
    elif message.event != "gap":
        output.line(_line(item))


def _line(item: dict[str, Any]) -> str:
    data = item.get("data") or {}
    job = f"{data['source']}/{data['id']}" if data.get("source") and data.get("id") else ""
    told = [item.get("timestamp", ""), item.get("type", ""), job]
    if "state" in data:
        told.append(words(data))
    if data.get("progress") is not None:
        told.append(output.percent(data["progress"]))
    return "  ".join(part for part in told if part)
