"""`ringback subscriptions …`: list, add, change and remove subscriptions."""

import time
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from processor.cli import options, output, setting_options
from processor.cli.client import Client, path
from processor.cli.exit_codes import CommandError, Exit
from processor.cli.lazy_group import command_group
from processor.cli.replay import replay, replay_all
from processor.cli.setting_options import SettingOptions

CHECK_EVERY = 0.1  # seconds between looks at a delivery
MAX_LIMIT = 200  # items of a page
SHORTEST_PAUSE = 1.0  # seconds; what is due later than its event by less is just not made yet
COLUMNS = ("id", "url", "events", "sources", "from", "disabled")


@options.server
def list_all(
    *,
    limit: options.Limit = 50,
    cursor: options.Cursor = None,
    server: Client,
    json: options.Json = False,
) -> None:
    """List subscriptions.

    Example: `ringback subscriptions list --json`.
    """
    page = server.get("/v1/subscriptions", limit=limit, cursor=cursor)
    output.page(page, COLUMNS, _row, json=json)


@setting_options.settings
@options.server
def add(
    target: Annotated[str, typer.Argument(metavar="URL", help="Where to send the events.")],
    *,
    settings: SettingOptions,
    secret: Annotated[str | None, typer.Option(help="whsec_…. Default: a new one.")] = None,
    signature: Annotated[
        str | None, typer.Option(help="v1 (a shared secret), or v1a (a public key).")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="Also deliver past events: of the last 24h, or since a time with its zone."
        ),
    ] = None,
    server: Client,
    json: options.Json = False,
) -> None:
    """Subscribe a URL. Its secret is shown only now, a public key at any time.

    Examples: `ringback subscriptions add https://app.example/hooks`,
    `ringback subscriptions add https://app.example/hooks --event job.failed --source wistia --since 24h`.
    """
    new = options.given(url=target, secret=secret, signature=signature, since=since)
    made = server.call("POST", "/v1/subscriptions", new | settings.body())
    if since and made["replay"]["next"]:
        replay_all(server, made["id"], {"after": made["replay"]["next"]})
    _show_secret(made, json=json, given=secret is not None)


@setting_options.settings
@options.server
def change(
    subscription: options.SubscriptionId,
    *,
    to: Annotated[str | None, typer.Option(help="The new URL.")] = None,
    settings: SettingOptions,
    server: Client,
    json: options.Json = False,
) -> None:
    """Change the given settings of a subscription; the given values replace the old ones.

    Examples: `ringback subscriptions set sub_1 --to https://app.example/new`,
    `ringback subscriptions set sub_1 --source wistia --source mux --rate 100/1m`.
    """
    body = options.given(url=to) | settings.body()
    if not body:
        raise CommandError("name a setting to change: --to, --event, --source, … (--help has all)")
    _show(server.call("PATCH", path("v1", "subscriptions", subscription), body), json=json)


@options.server
def enable(
    subscription: options.SubscriptionId, *, server: Client, json: options.Json = False
) -> None:
    """Enable a disabled subscription, and end a pause; `replay` delivers the events that it missed.

    Example: `ringback subscriptions enable sub_1`.
    """
    _show(_post(server, subscription, "enable"), json=json)


@options.server
def remove(
    subscription: options.SubscriptionId, *, server: Client, json: options.Json = False
) -> None:
    """Remove a subscription.

    Example: `ringback subscriptions rm sub_1`.
    """
    server.call("DELETE", path("v1", "subscriptions", subscription))
    removed = {"id": subscription, "removed": True}
    output.result(removed, f"removed {subscription}", json=json)


@options.server
def rotate(
    subscription: options.SubscriptionId, *, server: Client, json: options.Json = False
) -> None:
    """Give a subscription a new secret; the old secret also signs for a while.

    Example: `ringback subscriptions rotate sub_1`.
    """
    _show_secret(_post(server, subscription, "rotate"), json=json)


@options.server
def send_test(
    subscription: options.SubscriptionId,
    *,
    timeout: Annotated[
        str, typer.Option(help="Wait this long for the first attempt: 5s, 30s.")
    ] = "30s",
    server: Client,
    json: options.Json = False,
) -> None:
    """Send a subscription.test event to a subscription, and say what came of the first attempt.

    Ends with 0 if the subscriber took it, 1 if not, 4 if nothing was attempted in time; at once if
    the subscriber is paused for longer.

    Example: `ringback subscriptions test sub_1 --timeout 10s`.
    """
    limit = options.seconds(timeout) or 0.0
    before = _deliveries(server, subscription, limit=1)["items"]
    since = _created(before[0]) if before else None
    event = _post(server, subscription, "test")["event_id"]
    delivery = _attempted(server, subscription, event, since, limit)
    code, text = _outcome(delivery, limit)
    output.result({"event_id": event, "delivery": delivery}, text, json=json)
    raise typer.Exit(code)


def _attempted(
    server: Client, subscription: str, event: str, since: datetime | None, limit: float
) -> dict[str, Any] | None:
    """The delivery of an event once an attempt was made, or as it is when the time is up; at once if
    no attempt comes before. No delivery before `since` is of it.
    """
    deadline = time.monotonic() + limit
    while True:
        found = _delivery(server, subscription, event, since)
        if found and (found["attempts"] or found["state"] != "pending" or _is_late(found, limit)):
            return found
        if time.monotonic() >= deadline:
            return found
        time.sleep(CHECK_EVERY)


def _delivery(
    server: Client, subscription: str, event: str, since: datetime | None
) -> dict[str, Any] | None:
    """The delivery of an event, on the pages that have deliveries since then."""
    cursor = None
    while True:
        page = _deliveries(server, subscription, limit=MAX_LIMIT, cursor=cursor)
        items, cursor = page["items"], page["next"]
        found = next((one for one in items if one["event_id"] == event), None)
        if found or not cursor or (since and _created(items[-1]) < since):
            return found


def _deliveries(server: Client, subscription: str, **page: object) -> Any:
    return server.get("/v1/deliveries", subscription=subscription, **page)


def _created(delivery: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(delivery["created_at"])


def _is_late(delivery: dict[str, Any], limit: float) -> bool:
    """Whether the next attempt comes more than so many seconds after the event: after a pause."""
    at, wait = delivery["next_attempt_at"], timedelta(seconds=max(limit, SHORTEST_PAUSE))
    return at is not None and datetime.fromisoformat(at) - _created(delivery) > wait


def _outcome(delivery: dict[str, Any] | None, limit: float) -> tuple[Exit, str]:
    """What came of a delivery."""
    if delivery is None or (delivery["state"] == "pending" and not delivery["attempts"]):
        if delivery and _is_late(delivery, limit):
            until = delivery["next_attempt_at"]
            return Exit.TIMEOUT, (
                f"nothing was sent: after failures, or because it asked for it, the subscriber is "
                f"paused until {until}, when this is sent"
            )
        return Exit.TIMEOUT, (
            "nothing was sent in time: `ringback doctor` says whether workers run, and whether its "
            "secret can be decrypted, `ringback deliveries list` what waits for its `rate`"
        )
    if not delivery["attempts"]:
        return Exit.FAILED, f"nothing was sent: {delivery['reason']}"
    last = delivery["attempts"][-1]
    status, error = last["status"], last["error"]  # which says itself how long it took
    answer = f"HTTP {status} after {last['seconds']:.3f} s" if status else error
    took = delivery["state"] == "delivered"
    text = f"{'delivered' if took else 'not delivered'}: {answer}"
    return (Exit.GOOD if took else Exit.FAILED), text


def group() -> typer.Typer:
    """The group of these commands."""
    commands = {
        "list": list_all,
        "add": add,
        "set": change,
        "enable": enable,
        "replay": replay,
        "rm": remove,
        "rotate": rotate,
        "test": send_test,
    }
    return command_group(commands, about="Manage subscriptions: the URLs that receive events.")


def _post(server: Client, subscription: str, action: str) -> Any:
    return server.call("POST", path("v1", "subscriptions", subscription, action), {})


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    origin = "file" if item.get("read_only") else "api"
    sources = item["sources"] or "all"
    return item["id"], item["url"], item["events"], sources, origin, item.get("disabled")


def _show(subscription: dict[str, Any], *, json: bool) -> None:
    if json:
        output.document(subscription)
    else:
        output.table(COLUMNS, [_row(subscription)])


def _show_secret(made: dict[str, Any], *, json: bool, given: bool = False) -> None:
    """Show a new secret, or the public key; a secret that the caller has given is not repeated."""
    if json:
        return output.document(made)
    output.line(f"id      {made['id']}")
    if made["secret"] is None:
        return output.line(f"public key  {made['public_key']}")
    if given:
        return None
    output.line(f"secret  {made['secret']}")
    return output.notice("save the secret now: it is not shown again")
