"""`ringback subscriptions …`: who is called back, and for what."""

from typing import Annotated, Any

import typer

from processor.cli import options, printing
from processor.cli.client import path

COLUMNS = ("id", "url", "events", "sources", "from", "disabled")
Id = Annotated[str, typer.Argument(metavar="ID", help="The subscription, as `list` shows it.")]


def list_all(
    *,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where a list ended.")] = None,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    json: options.Json = False,
) -> None:
    """List the subscriptions."""
    page = options.client(url, key).get("/v1/subscriptions", limit=limit, cursor=cursor)
    printing.page(page, COLUMNS, _row, json=json)


def add(
    target: Annotated[str, typer.Argument(metavar="URL", help="Where to send the events.")],
    *,
    event: Annotated[list[str] | None, typer.Option(help="May be repeated; job.completed.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="May be repeated; all of them.")] = None,
    metadata: options.Pairs = None,
    secret: Annotated[str | None, typer.Option(help="whsec_…; made up if not given.")] = None,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    json: options.Json = False,
) -> None:
    """Subscribe a URL; its secret is shown this once."""
    wishes = {
        "events": event,
        "sources": source,
        "metadata": options.pairs("--metadata", metadata),
        "secret": secret,
    }
    body = {"url": target} | {name: wish for name, wish in wishes.items() if wish}
    made = options.client(url, key).call("POST", "/v1/subscriptions", body)
    _show_secret(made, json=json)


def remove(
    subscription: Id,
    *,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    json: options.Json = False,
) -> None:
    """Remove a subscription."""
    options.client(url, key).call("DELETE", path("v1", "subscriptions", subscription))
    if json:
        return printing.document({"id": subscription, "removed": True})
    return printing.line(f"removed {subscription}")


def rotate(
    subscription: Id,
    *,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    json: options.Json = False,
) -> None:
    """Give a subscription a new secret; the old one goes on signing for a while."""
    where = path("v1", "subscriptions", subscription, "rotate")
    _show_secret(options.client(url, key).call("POST", where, {}), json=json)


def send_test(
    subscription: Id,
    *,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    json: options.Json = False,
) -> None:
    """Send a subscription.test event to a subscription."""
    where = path("v1", "subscriptions", subscription, "test")
    told = options.client(url, key).call("POST", where, {})
    if json:
        return printing.document(told)
    return printing.line(f"sent a subscription.test event to {subscription}")


def group() -> typer.Typer:
    """Put the five together."""
    app = typer.Typer(help="Who is called back, and for what.", no_args_is_help=True)
    app.command("list")(list_all)
    app.command("add")(add)
    app.command("rm")(remove)
    app.command("rotate")(rotate)
    app.command("test")(send_test)
    return app


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    origin = "file" if item.get("read_only") else "api"
    return (
        item["id"],
        item["url"],
        item["events"],
        item["sources"] or "all",
        origin,
        item.get("disabled"),
    )


def _show_secret(made: dict[str, Any], *, json: bool) -> None:
    if json:
        return printing.document(made)
    printing.line(f"id      {made['id']}")
    printing.line(f"secret  {made['secret']}")
    return printing.say("keep the secret now: it is not shown again")
