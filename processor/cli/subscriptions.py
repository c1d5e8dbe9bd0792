"""`ringback subscriptions …`: list, add, change, replay and remove subscriptions."""

from typing import Annotated, Any

import typer

from processor.cli import options, output
from processor.cli.client import Client, path
from processor.subscription_settings import MAX_CONCURRENCY

COLUMNS = ("id", "url", "events", "sources", "from", "disabled")
COUNTS = ("queued", "pending", "delivered_before", "gone")
Concurrency = Annotated[
    int | None,
    typer.Option(min=1, max=MAX_CONCURRENCY, help="How many deliveries run at the same time."),
]
Id = Annotated[
    str, typer.Argument(metavar="ID", help="The id of the subscription, as `list` shows it.")
]


def list_all(
    *,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    cursor: Annotated[
        str | None, typer.Option(help="Continue after the page that ended here.")
    ] = None,
    url: options.Url = options.DEFAULT_URL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """List subscriptions."""
    page = options.client(url, key, data).get("/v1/subscriptions", limit=limit, cursor=cursor)
    output.page(page, COLUMNS, _row, json=json)


def add(
    target: Annotated[str, typer.Argument(metavar="URL", help="Where to send the events.")],
    *,
    event: Annotated[
        list[str] | None,
        typer.Option(help="An event type; may be repeated. Default: job.completed."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="Only events of this source; may be repeated. Default: all sources."),
    ] = None,
    metadata: options.Pairs = None,
    secret: Annotated[str | None, typer.Option(help="whsec_…. Default: a new one.")] = None,
    how: Annotated[
        str | None, typer.Option("--format", help="standard, or one of the cloudevents formats.")
    ] = None,
    signature: Annotated[
        str | None, typer.Option(help="v1 (a shared secret), or v1a (a public key).")
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A header to send; may be repeated."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="Also deliver past events: of the last 24h, or since a time with its zone."
        ),
    ] = None,
    concurrency: Concurrency = None,
    rate: Annotated[
        str | None, typer.Option(help="The most deliveries: 100/1m. Default: no limit.")
    ] = None,
    ordered: Annotated[
        bool,
        typer.Option(
            "--ordered", help="Deliver the events of a job in order, one after the other."
        ),
    ] = False,
    auto_disable: Annotated[
        bool, typer.Option(help="Disable the subscription after five days of consecutive failures.")
    ] = True,
    handshake: Annotated[
        bool,
        typer.Option(
            "--handshake", help="Ask the URL for permission first (CloudEvents' OPTIONS)."
        ),
    ] = False,
    url: options.Url = options.DEFAULT_URL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Subscribe a URL. Its secret is shown only now, a public key at any time."""
    settings = {
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
    body = {"url": target} | {name: value for name, value in settings.items() if value}
    if not auto_disable:
        body["auto_disable"] = False
    server = options.client(url, key, data)
    made = server.call("POST", "/v1/subscriptions", body)
    if since and made["replay"]["next"]:
        where = path("v1", "subscriptions", made["id"], "replay")
        _replay_all(server, where, {"after": made["replay"]["next"]})
    _show_secret(made, json=json)


def remove(
    subscription: Id,
    *,
    url: options.Url = options.DEFAULT_URL,
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
    url: options.Url = options.DEFAULT_URL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Give a subscription a new secret; the old secret also signs for a while."""
    where = path("v1", "subscriptions", subscription, "rotate")
    _show_secret(options.client(url, key, data).call("POST", where, {}), json=json)


def send_test(
    subscription: Id,
    *,
    url: options.Url = options.DEFAULT_URL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Send a subscription.test event to a subscription."""
    where = path("v1", "subscriptions", subscription, "test")
    event = options.client(url, key, data).call("POST", where, {})
    if json:
        return output.document(event)
    return output.line(f"sent a subscription.test event to {subscription}")


def change(
    subscription: Id,
    *,
    to: Annotated[str | None, typer.Option(help="The new URL.")] = None,
    event: Annotated[
        list[str] | None, typer.Option(help="The new event types; may be repeated.")
    ] = None,
    source: Annotated[list[str] | None, typer.Option(help='The new sources; "" for all.')] = None,
    provider: Annotated[
        list[str] | None, typer.Option(help='The new providers; "" for all.')
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help='The new metadata; "" for none.')
    ] = None,
    how: Annotated[
        str | None, typer.Option("--format", help="standard, or one of the cloudevents formats.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help='The new headers; "" for none.')
    ] = None,
    handshake: Annotated[
        bool | None, typer.Option(help="Ask the URL for permission first (CloudEvents' OPTIONS).")
    ] = None,
    concurrency: Concurrency = None,
    rate: Annotated[
        str | None, typer.Option(help='The most deliveries: 100/1m; "" for no limit.')
    ] = None,
    ordered: Annotated[
        bool | None,
        typer.Option(help="Deliver the events of a job in order, one after the other."),
    ] = None,
    auto_disable: Annotated[
        bool | None,
        typer.Option(help="Disable the subscription after five days of consecutive failures."),
    ] = None,
    url: options.Url = options.DEFAULT_URL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Change the given settings of a subscription."""
    settings = {
        "url": to,
        "events": event,
        "sources": _replacement(source),
        "providers": _replacement(provider),
        "metadata": _replacement_pairs("--metadata", metadata),
        "format": how,
        "headers": _replacement_pairs("--header", header),
        "handshake": handshake,
        "concurrency": concurrency,
        "rate": rate,
        "ordered": ordered,
        "auto_disable": auto_disable,
    }
    body: dict[str, Any] = {name: value for name, value in settings.items() if value is not None}
    if rate == "":  # the API wants null for no limit
        body["rate"] = None
    where = path("v1", "subscriptions", subscription)
    _show(options.client(url, key, data).call("PATCH", where, body), json=json)


def enable(
    subscription: Id,
    *,
    url: options.Url = options.DEFAULT_URL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Enable a disabled subscription; `replay` delivers the events that it missed."""
    where = path("v1", "subscriptions", subscription, "enable")
    _show(options.client(url, key, data).call("POST", where, {}), json=json)


def replay(
    subscription: Id,
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
    url: options.Url = options.DEFAULT_URL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Deliver the events that a subscription missed; it is safe to repeat."""
    settings = {
        "since": since,
        "until": until,
        "events": event,
        "source": source,
        "state": "failed" if failed else None,
        "again": again,
    }
    body = {name: value for name, value in settings.items() if value}
    server, where = (
        options.client(url, key, data),
        path("v1", "subscriptions", subscription, "replay"),
    )
    _show_replay(_replay_all(server, where, body), json=json)


def _replay_all(server: Client, where: str, body: dict[str, Any]) -> dict[str, Any]:
    """Replay to the end, in several calls."""
    total: dict[str, Any] = server.call("POST", where, body)
    while total["next"]:
        more = server.call("POST", where, body | {"after": total["next"]})
        sums = {name: total[name] + more[name] for name in COUNTS}
        total = more | sums | {"oldest": total["oldest"] or more["oldest"]}
    return total


def _replacement(given: list[str] | None) -> list[str] | None:
    """The new values; `""` alone gives an empty list, and None changes nothing."""
    return None if given is None else [value for value in given if value]


def _replacement_pairs(option: str, given: list[str] | None) -> dict[str, str] | None:
    """The same for NAME=VALUE options."""
    return None if given is None else options.pairs(option, _replacement(given)) or {}


def group() -> typer.Typer:
    """The group of these commands."""
    app = typer.Typer(
        help="Manage subscriptions: the URLs that receive events.", no_args_is_help=True
    )
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


def _show(subscription: dict[str, Any], *, json: bool) -> None:
    if json:
        return output.document(subscription)
    return output.table(COLUMNS, [_row(subscription)])


def _show_replay(done: dict[str, Any], *, json: bool) -> None:
    if json:
        return output.document(done)
    output.line(
        f"{done['queued']} queued, {done['pending']} pending already, "
        f"{done['delivered_before']} delivered before, {done['gone']} gone"
    )
    if done["oldest"]:
        output.notice(f"the event log begins at {done['oldest']}")
    return None


def _show_secret(made: dict[str, Any], *, json: bool) -> None:
    if json:
        return output.document(made)
    output.line(f"id      {made['id']}")
    if made["secret"] is None:
        return output.line(f"public key  {made['public_key']}")
    output.line(f"secret  {made['secret']}")
    return output.notice("save the secret now: it is not shown again")
