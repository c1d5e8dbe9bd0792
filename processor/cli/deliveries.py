"""`ringback deliveries …`: lists a subscription's deliveries, and retries a delivery."""

from typing import Annotated, Any

import typer

from processor.cli import options, output
from processor.cli.client import Client, path

COLUMNS = ("id", "type", "state", "attempts", "last", "created")


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
    """List the deliveries of a subscription, newest first."""
    page = server.get(
        "/v1/deliveries", subscription=subscription, state=state, limit=limit, cursor=cursor
    )
    output.page(page, COLUMNS, _row, json=json)


@options.server
def retry(
    delivery: Annotated[
        str, typer.Argument(metavar="ID", help="The id of the delivery, as `list` shows it.")
    ],
    *,
    server: Client,
    json: options.Json = False,
) -> None:
    """Attempt a delivery now, if it is pending, failed or canceled."""
    delivered = server.call("POST", path("v1", "deliveries", delivery, "retry"), {})
    output.result(delivered, f"{delivery} is due now", json=json)


def group() -> typer.Typer:
    """The group of these commands."""
    app = typer.Typer(help="List and retry deliveries.", no_args_is_help=True)
    app.command("list")(list_all)
    app.command("retry")(retry)
    return app


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    attempts = item["attempts"]
    last = attempts[-1] if attempts else {}
    how = last.get("status") or last.get("error")
    return item["id"], item["type"], item["state"], len(attempts), how, item["created_at"]
