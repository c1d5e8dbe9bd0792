"""`ringback sources`: how each source is heard and asked, and whether it is stalled."""

from typing import Any

from processor.cli import options, printing

COLUMNS = ("source", "provider", "push", "polled", "stalled")


def sources(
    *,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    json: options.Json = False,
) -> None:
    """List the server's sources, and where their providers should send their pushes."""
    page = options.client(url, key).get("/v1/sources")
    printing.page(page, COLUMNS, _row, json=json)


def _row(source: dict[str, Any]) -> tuple[object, ...]:
    polled = "yes" if source["poll"] else "no"
    return (source["name"], source["provider"], source["push"], polled, source["stalled"])
