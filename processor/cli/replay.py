"""`ringback subscriptions replay`: delivers the events that a subscription missed."""

from typing import Annotated, Any

import typer

from processor.cli import options, output
from processor.cli.client import Client, path

COUNTS = ("queued", "pending", "delivered_before", "gone")


@options.server
def replay(
    subscription: options.SubscriptionId,
    *,
    since: Annotated[str, typer.Option(help="24h (ago), or a time with its zone.")],
    until: Annotated[str | None, typer.Option(help="The same form. Default: now.")] = None,
    event: Annotated[
        list[str] | None, typer.Option(help="Only events of this type; may be repeated.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Only events of this source.")] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only deliveries that failed or were canceled.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Also what was delivered.")] = False,
    server: Client,
    json: options.Json = False,
) -> None:
    """Deliver the events that a subscription missed; it is safe to repeat.

    Examples: `ringback subscriptions replay sub_1 --since 7d --failed`,
    `ringback subscriptions replay sub_1 --since 2026-11-22T10:00:00Z --event job.completed`.
    """
    body = options.given(
        since=since,
        until=until,
        events=event,
        source=source,
        state="failed" if failed else None,
        again=again or None,
    )
    _show(replay_all(server, subscription, body), json=json)


def replay_all(server: Client, subscription: str, body: dict[str, Any]) -> dict[str, Any]:
    """Replay to the end, in several calls."""
    where = path("v1", "subscriptions", subscription, "replay")
    total: dict[str, Any] = server.call("POST", where, body)
    wanted = {name: value for name, value in body.items() if name != "since"}
    while total["next"]:
        more = server.call("POST", where, wanted | {"after": total["next"]})
        sums = {name: total[name] + more[name] for name in COUNTS}
        total = more | sums | {"oldest": total["oldest"] or more["oldest"]}
    return total


def _show(done: dict[str, Any], *, json: bool) -> None:
    text = (
        f"{done['queued']} queued, {done['pending']} pending already, "
        f"{done['delivered_before']} delivered before, {done['gone']} gone"
    )
    output.result(done, text, json=json)
    if done["oldest"] and not json:
        output.notice(f"the event log begins at {done['oldest']}")
