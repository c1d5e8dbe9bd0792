"""`ringback events`: prints the event log by pages, or follows it."""

import json as codec
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

import typer

from processor.cli import options, output
from processor.cli.client import Client, Stream, UnreachableError
from processor.cli.exit_codes import CommandError, Exit
from processor.cli.progress import describe
from processor.cli.sse import Message

RECONNECT_PAUSE = 1.0  # seconds before a broken stream is opened again
RECONNECT_TIMEOUT = 30.0  # seconds without a server after which --follow ends


@options.server
def events(
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new events as they come, until stopped.")
    ] = False,
    after: Annotated[str | None, typer.Option(help="Only events after this cursor.")] = None,
    source: Annotated[str | None, typer.Option(help="Only events of this source's jobs.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=200, help="How many events to read, before --source selects.")
    ] = 50,
    server: Client,
    json: options.Json = False,
) -> None:
    """Print events, oldest first; with --follow new ones, or those after --after."""
    if follow:
        for message in _stream(server, after):
            _print_message(message, source, json=json)
    else:
        page = server.get("/v1/events", after=after, limit=limit)
        items = [item for item in page["items"] if _is_of(source, item)]
        _print_page({**page, "items": items}, json=json)


def _is_of(source: str | None, item: dict[str, Any]) -> bool:
    data = item.get("data") or {}
    members = {member["source"] for member in data.get("jobs", ())}
    return source is None or source in {data.get("source"), *members}


def _print_page(page: dict[str, Any], *, json: bool) -> None:
    if json:
        return output.document(page)
    for item in page["items"]:
        output.line(_line(item))
    if page["next"]:
        output.notice(f"more: --after {page['next']}")
    return None


def _stream(server: Client, after: str | None) -> Iterator[Message]:
    """Follow the stream; a lost connection is opened again after the newest cursor seen."""
    incoming = server.stream("/v1/events", after)
    while True:
        with suppress(UnreachableError):  # a broken stream is handled like an ended one
            yield from incoming
        incoming = _reconnect(server, incoming.last_id)


def _reconnect(server: Client, after: str | None) -> Stream:
    deadline = time.monotonic() + RECONNECT_TIMEOUT
    while True:
        time.sleep(RECONNECT_PAUSE)
        try:
            return server.stream("/v1/events", after)
        except CommandError as error:
            if error.code is not Exit.UNREACHABLE or time.monotonic() > deadline:
                raise


def _print_message(message: Message, source: str | None, *, json: bool) -> None:
    if message.event == "gap":
        output.notice("gap: events were trimmed before they could be read here")
    item = codec.loads(message.data) if message.data else {}
    if message.event != "gap" and not _is_of(source, item):
        return
    if json:
        output.document({"type": message.event, **item, "cursor": message.id})
    elif message.event != "gap":
        output.line(_line(item))


def _line(item: dict[str, Any]) -> str:
    data = item.get("data") or {}
    parts = [item.get("timestamp", ""), item.get("type", ""), _name(data)]
    if "state" in data:
        parts.append(describe(data))
    if data.get("progress") is not None:
        parts.append(output.percent(data["progress"]))
    return "  ".join(part for part in parts if part)


def _name(data: dict[str, Any]) -> str:
    """The job or group that an event is about."""
    if not data.get("id"):
        return ""
    return f"{data['source']}/{data['id']}" if data.get("source") else f"group {data['id']}"
