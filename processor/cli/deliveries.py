"""`ringback deliveries …`: lists a subscription's deliveries, and retries one or all of them."""

from typing import Annotated, Any

import typer

from processor.cli import options, output
from processor.cli.client import Client, path
from processor.cli.exit_codes import CommandError
from processor.cli.lazy_group import command_group
from processor.cli.replay import replay_all

COLUMNS = ("id", "job", "type", "state", "attempts", "last", "next attempt", "created")
MAX_RETRIED = 10_000  # deliveries that one call retries
LOG_KEPT = "7d"  # older events are no longer in the log


@options.server
def list_all(
    subscription: options.SubscriptionId,
    *,
    state: Annotated[
        str | None,
        typer.Option(help="Only pending, delivered, superseded, failed or canceled ones."),
    ] = None,
    limit: options.Limit = 50,
    cursor: options.Cursor = None,
    server: Client,
    json: options.Json = False,
) -> None:
    """List the deliveries of a subscription, newest first.

    The ID of a job's callback (cb_…), as `ringback jobs show` names it, lists those of the callback.

    Example: `ringback deliveries list sub_1 --state failed`.
    """
    page = server.get(
        "/v1/deliveries", subscription=subscription, state=state, limit=limit, cursor=cursor
    )
    output.page(page, COLUMNS, _row, json=json)


@options.server
def retry(
    delivery: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One delivery, as `list` shows it.")
    ] = None,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="All that wait for their next attempt or have failed.")
    ] = False,
    subscription: Annotated[
        str | None, typer.Option(metavar="ID", help="With --all: the subscription.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also one that was delivered: send it once more.")
    ] = False,
    server: Client,
    json: options.Json = False,
) -> None:
    """Attempt a delivery now, if it is pending, failed or canceled; or all of a subscription.

    Examples: `ringback deliveries retry evt_1_final.sub_1`,
    `ringback deliveries retry --all --subscription sub_1`.
    """
    if every and subscription and not (delivery or again):
        _show_all(retry_all(server, subscription), json=json)
    elif delivery and not (every or subscription):
        delivered = server.call(
            "POST", path("v1", "deliveries", delivery, "retry"), options.given(again=again or None)
        )
        output.result(delivered, f"{delivery} is due now", json=json)
    else:
        raise CommandError("name one delivery, or --all --subscription ID")


def retry_all(server: Client, subscription: str) -> dict[str, Any]:
    """Make all waiting deliveries due now, and enqueue those that have failed again."""
    due, body = 0, {"subscription": subscription}
    while more := server.call("POST", path("v1", "deliveries", "retry"), body)["due"]:
        due += more
        if more < MAX_RETRIED:
            break
    if subscription.startswith("cb_"):
        return {"due": due}
    failed = replay_all(server, subscription, {"since": LOG_KEPT, "state": "failed"})
    return {"due": due, "replay": failed}


def group() -> typer.Typer:
    """The group of these commands."""
    return command_group({"list": list_all, "retry": retry}, about="List and retry deliveries.")


def _show_all(done: dict[str, Any], *, json: bool) -> None:
    replay = done.get("replay", {"queued": 0, "gone": 0})
    text = f"due now: {done['due']}; failed before and enqueued again: {replay['queued']}"
    gone = f"; no longer in the event log: {replay['gone']}" if replay["gone"] else ""
    output.result(done, text + gone, json=json)


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    attempts = item["attempts"]
    last = attempts[-1] if attempts else {}
    how = last.get("status") or last.get("error")
    made, following = item["created_at"], item["next_attempt_at"]
    kind, state = item["type"], item["state"]
    return item["id"], item["job"], kind, state, len(attempts), how, following, made
