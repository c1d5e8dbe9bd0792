"""`ringback events`: prints the event log by pages, or follows it."""

import json as codec
import time
from collections.abc import Callable, Iterator, Mapping
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


Types = Annotated[
    list[str] | None, typer.Option("--type", help="Only events of this type. May be repeated.")
]
Source = Annotated[str | None, typer.Option(help="Only events of this source's jobs.")]
Job = Annotated[
    str | None, typer.Option(metavar="SOURCE/ID", help="Only events of this job, by its id.")
]


@options.server
def events(
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new events as they come, until stopped.")
    ] = False,
    after: Annotated[
        str | None, typer.Option(help="Only events after this cursor, the oldest first.")
    ] = None,
    oldest: Annotated[
        bool, typer.Option("--oldest", help="Begin with the oldest event that is kept.")
    ] = False,
    source: Source = None,
    types: Types = None,
    job: Job = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many events to print.")] = 50,
    server: Client,
    json: options.Json = False,
) -> None:
    """Print the newest events; with --follow new ones, or those after --after.

    With --json each event is one line.

    Examples: `ringback events --source wistia --limit 3`, `ringback events -f --type job.failed`,
    `ringback events --oldest --json`.
    """
    wanted = {"source": source, "type": types, "job": job}
    if follow:
        if oldest and not after:  # the stream continues after the first one
            first = server.get("/v1/events", limit=1, **wanted)
            after = first["next"]
            for item in first["items"]:
                output.result(item, line(item), json=json)
        for message in stream(server, after, wanted, lambda _: output.end_if_unread()):
            _print_message(message, json=json)
    else:
        newest = None if oldest or after else "true"
        page = server.get("/v1/events", after=after, newest=newest, limit=limit, **wanted)
        _print_page(page, json=json)


def _print_page(page: dict[str, Any], *, json: bool) -> None:
    for item in page["items"]:
        output.result(item, line(item), json=json)
    if page["next"]:
        output.notice(f"more: --after {page['next']}")


def stream(
    server: Client,
    after: str | None,
    wanted: Mapping[str, object],
    passed: Callable[[str | None], None] = lambda _: None,
) -> Iterator[Message]:
    """Follow the stream; a lost connection is opened again after the newest cursor seen.

    `passed` is called with each cursor once its message was handled.
    """
    incoming = server.stream("/v1/events", after, **wanted)
    while True:
        incoming.report(passed)
        with suppress(UnreachableError):  # a broken stream is handled like an ended one
            yield from incoming
        incoming = _reconnect(server, incoming.last_id, wanted)


def _reconnect(server: Client, after: str | None, wanted: Mapping[str, object]) -> Stream:
    deadline = time.monotonic() + RECONNECT_TIMEOUT
    while True:
        time.sleep(RECONNECT_PAUSE)
        try:
            return server.stream("/v1/events", after, **wanted)
        except CommandError as error:
            if error.code is not Exit.UNREACHABLE or time.monotonic() > deadline:
                raise


def _print_message(message: Message, *, json: bool) -> None:
    if message.event == "gap":
        output.notice("gap: events were trimmed before they could be read here")
        item: dict[str, Any] = {}
    else:
        item = codec.loads(message.data)
    if json:
        output.document({"type": message.event, **item, "cursor": message.id})
    elif item:
        output.line(line(item))


def line(item: dict[str, Any]) -> str:
    """An event on one line."""
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
