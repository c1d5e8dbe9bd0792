"""`ringback deliveries …`: what became of the events of one subscription."""

from typing import Annotated, Any

import typer

from processor.cli import options, output
from processor.cli.client import path

COLUMNS = ("id", "type", "state", "attempts", "last", "created")


def list_all(
    subscription: Annotated[str, typer.Argument(metavar="ID", help="The subscription.")],
    *,
    state: Annotated[
        str | None, typer.Option(help="pending, delivered, superseded, failed or canceled.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where a list ended.")] = None,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """List what one subscription got, the newest first."""
    page = options.client(url, key, data).get(
        "/v1/deliveries", subscription=subscription, state=state, limit=limit, cursor=cursor
    )
    output.page(page, COLUMNS, _row, json=json)


def retry(
    delivery: Annotated[str, typer.Argument(metavar="ID", help="The delivery, as `list` shows.")],
    *,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Make a delivery now: one that waits, or one that failed or was canceled."""
    told = options.client(url, key, data).call(
        "POST", path("v1", "deliveries", delivery, "retry"), {}
    )
    if json:
        return output.document(told)
    return output.line(f"{delivery} is due now")


def group() -> typer.Typer:
    """Put the two together."""
    app = typer.Typer(help="What became of a subscription's events.", no_args_is_help=True)
    app.command("list")(list_all)
    app.command("retry")(retry)
    return app


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    attempts = item["attempts"]
    last = attempts[-1] if attempts else {}
    how = last.get("status") or last.get("error")
    return item["id"], item["type"], item["state"], len(attempts), how, item["created_at"]
