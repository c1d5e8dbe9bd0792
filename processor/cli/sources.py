"""`ringback sources`: lists sources, and what their jobs have shown."""

from typing import Any

import typer

from processor.cli import options, output
from processor.cli.lazy_group import Command, command_group

COLUMNS = (
    "source",
    "provider",
    "push",
    "scheme",
    "trust",
    "polled",
    "lost",
    "stalled",
    "failing",
    "last error",
)
LEARNT = ("source", "kind", "last jobs", "median", "shortest 1%", "first poll after")
REGISTER = Command(
    "Register the webhook of a source: create or update its hook, or print what to paste.",
    "register",
    "register",
)


def sources(
    context: typer.Context,
    *,
    url: options.Url = options.DEFAULT_URL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """List the server's sources, where their providers must push to, and how long their jobs took.

    Example: `ringback sources --url https://ringback.example.com`.
    """
    if context.invoked_subcommand is None:
        page = options.client(url=url, key=key, data=data).get("/v1/sources")
        output.page(page, COLUMNS, _row, json=json)
        learnt = [(s["name"], row) for s in page["items"] for row in s.get("learnt", [])]
        if learnt and not json:
            output.line("")
            output.table(LEARNT, [_learnt(name, row) for name, row in learnt])


def group() -> typer.Typer:
    """The group; without a command it lists the sources."""
    return command_group({"register": REGISTER}, alone=sources)


def _row(source: dict[str, Any]) -> tuple[object, ...]:
    polled = "yes" if source["poll"] else "no"
    signed = source["scheme"] or ("unsigned" if source["push"] else None)
    name, provider, push = source["name"], source["provider"], source["push"]
    last = source["poll_error"]
    error = last and f"{last['at']} {last['job']}: {last['error']}"
    lost = _lost(source.get("push_loss"))
    failing = source.get("failing_polls") or None  # jobs
    shown = (name, provider, push, signed, source["trust"], polled, lost, source["stalled"])
    return (*shown, failing, error)


def _lost(loss: dict[str, Any] | None) -> str | None:
    """The share of lost pushes; None if no job has shown any yet."""
    if not loss or not loss["jobs"]:
        return None
    turned = ", poll-first" if loss["poll_first"] else ""
    return f"{output.percent(loss['share'])} of {loss['jobs']}{turned}"


def _learnt(source: str, row: dict[str, Any]) -> tuple[object, ...]:
    """How long the last jobs of a kind took."""
    seconds = (row["median"], row["shortest"], row["first_poll"])
    return (source, row["kind"], row["jobs"], *(f"{number:.1f}s" for number in seconds))
