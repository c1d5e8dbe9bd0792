"""`ringback subscriptions …`: who is called back, and for what."""

from typing import Annotated, Any

import typer

from processor.cli import options, output
from processor.cli.client import Client, path
from processor.subscription_settings import MAX_CONCURRENCY

COLUMNS = ("id", "url", "events", "sources", "from", "disabled")
COUNTS = ("queued", "pending", "delivered_before", "gone")
Concurrency = Annotated[
    int | None, typer.Option(min=1, max=MAX_CONCURRENCY, help="Deliveries at the same time.")
]
Id = Annotated[str, typer.Argument(metavar="ID", help="The subscription, as `list` shows it.")]


def list_all(
    *,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where a list ended.")] = None,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """List the subscriptions."""
    page = options.client(url, key, data).get("/v1/subscriptions", limit=limit, cursor=cursor)
    output.page(page, COLUMNS, _row, json=json)


def add(
    target: Annotated[str, typer.Argument(metavar="URL", help="Where to send the events.")],
    *,
    event: Annotated[list[str] | None, typer.Option(help="May be repeated; job.completed.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="May be repeated; all of them.")] = None,
    metadata: options.Pairs = None,
    secret: Annotated[str | None, typer.Option(help="whsec_…; made up if not given.")] = None,
    how: Annotated[
        str | None, typer.Option("--format", help="standard, or one of the cloudevents ones.")
    ] = None,
    signature: Annotated[
        str | None, typer.Option(help="v1 (a shared secret), or v1a (a public key).")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Sent too; may be repeated.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Deliver the past too: 24h, or a time with its zone.")
    ] = None,
    concurrency: Concurrency = None,
    rate: Annotated[str | None, typer.Option(help="At most: 100/1m; no limit.")] = None,
    ordered: Annotated[
        bool, typer.Option("--ordered", help="Events of a job one after the other.")
    ] = False,
    auto_disable: Annotated[
        bool, typer.Option(help="Give it up after five days of nothing but failures.")
    ] = True,
    handshake: Annotated[
        bool, typer.Option("--handshake", help="Ask the URL first (CloudEvents' OPTIONS).")
    ] = False,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Subscribe a URL; its secret is shown this once, a public key whenever it is asked for."""
    wishes = {
        "events": event,
        "sources": source,
        "metadata": options.pairs("--metadata", metadata),
        "secret": secret,
        "format": how,
        "signature": signature,
        "headers": options.pairs("--header", header),
        "concurrency": concurrency,
        "rate": rate,
        "ordered": ordered,
        "handshake": handshake,
        "since": since,
    }
    body = {"url": target} | {name: wish for name, wish in wishes.items() if wish}
    if not auto_disable:
        body["auto_disable"] = False
    server = options.client(url, key, data)
    made = server.call("POST", "/v1/subscriptions", body)
    if since and made["replay"]["next"]:
        where = path("v1", "subscriptions", made["id"], "replay")
        _whole(server, where, {"after": made["replay"]["next"]})
    _show_secret(made, json=json)


def remove(
    subscription: Id,
    *,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Remove a subscription."""
    options.client(url, key, data).call("DELETE", path("v1", "subscriptions", subscription))
    if json:
        return output.document({"id": subscription, "removed": True})
    return output.line(f"removed {subscription}")


def rotate(
    subscription: Id,
    *,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Give a subscription a new secret; the old one goes on signing for a while."""
    where = path("v1", "subscriptions", subscription, "rotate")
    _show_secret(options.client(url, key, data).call("POST", where, {}), json=json)


def send_test(
    subscription: Id,
    *,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Send a subscription.test event to a subscription."""
    where = path("v1", "subscriptions", subscription, "test")
    told = options.client(url, key, data).call("POST", where, {})
    if json:
        return output.document(told)
    return output.line(f"sent a subscription.test event to {subscription}")


def change(
    subscription: Id,
    *,
    to: Annotated[str | None, typer.Option(help="Another URL.")] = None,
    event: Annotated[list[str] | None, typer.Option(help="Instead of those that it has.")] = None,
    source: Annotated[list[str] | None, typer.Option(help='Instead; "" for all.')] = None,
    provider: Annotated[list[str] | None, typer.Option(help='Instead; "" for all.')] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help='Instead; "" for none.')
    ] = None,
    how: Annotated[
        str | None, typer.Option("--format", help="standard, or one of the cloudevents ones.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help='Instead; "" for none.')
    ] = None,
    handshake: Annotated[
        bool | None, typer.Option(help="Ask the URL first (CloudEvents' OPTIONS).")
    ] = None,
    concurrency: Concurrency = None,
    rate: Annotated[str | None, typer.Option(help='At most: 100/1m; "" for no limit.')] = None,
    ordered: Annotated[
        bool | None, typer.Option(help="Events of a job one after the other.")
    ] = None,
    auto_disable: Annotated[
        bool | None, typer.Option(help="Give it up after five days of nothing but failures.")
    ] = None,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Change what a subscription wants: what is named is replaced."""
    wishes = {
        "url": to,
        "events": event,
        "sources": _instead(source),
        "providers": _instead(provider),
        "metadata": _instead_pairs("--metadata", metadata),
        "format": how,
        "headers": _instead_pairs("--header", header),
        "handshake": handshake,
        "concurrency": concurrency,
        "rate": rate,
        "ordered": ordered,
        "auto_disable": auto_disable,
    }
    body: dict[str, Any] = {name: wish for name, wish in wishes.items() if wish is not None}
    if rate == "":  # in the API, where no limit is null
        body["rate"] = None
    where = path("v1", "subscriptions", subscription)
    _show(options.client(url, key, data).call("PATCH", where, body), json=json)


def enable(
    subscription: Id,
    *,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Let a disabled subscription get events again; `replay` brings what it missed."""
    where = path("v1", "subscriptions", subscription, "enable")
    _show(options.client(url, key, data).call("POST", where, {}), json=json)


def replay(
    subscription: Id,
    *,
    since: Annotated[str, typer.Option(help="24h (ago), or a time with its zone.")],
    until: Annotated[str | None, typer.Option(help="The same; now.")] = None,
    event: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    source: Annotated[str | None, typer.Option(help="Only of this one.")] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only what failed or was canceled.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="What was delivered, too.")] = False,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Deliver what a subscription missed; repeating it is safe."""
    wishes = {
        "since": since,
        "until": until,
        "events": event,
        "source": source,
        "state": "failed" if failed else None,
        "again": again,
    }
    body = {name: wish for name, wish in wishes.items() if wish}
    server, where = (
        options.client(url, key, data),
        path("v1", "subscriptions", subscription, "replay"),
    )
    _show_replay(_whole(server, where, body), json=json)


def _whole(server: Client, where: str, body: dict[str, Any]) -> dict[str, Any]:
    """Replay to the end, call by call."""
    total: dict[str, Any] = server.call("POST", where, body)
    while total["next"]:
        more = server.call("POST", where, body | {"after": total["next"]})
        sums = {name: total[name] + more[name] for name in COUNTS}
        total = more | sums | {"oldest": total["oldest"] or more["oldest"]}
    return total


def _instead(given: list[str] | None) -> list[str] | None:
    """What is to stand there; `""` stands for nothing, and None leaves what is there."""
    return None if given is None else [one for one in given if one]


def _instead_pairs(option: str, given: list[str] | None) -> dict[str, str] | None:
    """The same of NAME=VALUE options."""
    return None if given is None else options.pairs(option, _instead(given)) or {}


def group() -> typer.Typer:
    """Put them together."""
    app = typer.Typer(help="Who is called back, and for what.", no_args_is_help=True)
    app.command("list")(list_all)
    app.command("add")(add)
    app.command("set")(change)
    app.command("enable")(enable)
    app.command("replay")(replay)
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


def _show(one: dict[str, Any], *, json: bool) -> None:
    if json:
        return output.document(one)
    return output.table(COLUMNS, [_row(one)])


def _show_replay(done: dict[str, Any], *, json: bool) -> None:
    if json:
        return output.document(done)
    output.line(
        f"{done['queued']} queued, {done['pending']} waiting already, "
        f"{done['delivered_before']} delivered before, {done['gone']} gone"
    )
    if done["oldest"]:
        output.say(f"the event log goes back to {done['oldest']}")
    return None


def _show_secret(made: dict[str, Any], *, json: bool) -> None:
    if json:
        return output.document(made)
    output.line(f"id      {made['id']}")
    if made["secret"] is None:
        return output.line(f"public key  {made['public_key']}")
    output.line(f"secret  {made['secret']}")
    return output.say("keep the secret now: it is not shown again")
