"""What needs attention: the most urgent first."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from processor.model import Subscription
from processor.push_loss import ENOUGH, PUSH_FIRST_FROM
from processor.service.delivery.history import Health
from processor.store.reserve import FULL

LATE = 60.0  # seconds that the oldest due work of a backlog may be late


class Item(NamedTuple):
    """Something to look at: what, why, and where."""

    subject: str
    problem: str
    href: str
    urgent: bool = True


def of_subscriptions(found: Sequence[Subscription], health: Mapping[str, Health]) -> Iterator[Item]:
    """Subscriptions that are disabled, fail, overflow, or have dead letters."""
    for one in found:
        fares, href = health[one.id], f"/dashboard/subscriptions/{quote(one.id, safe='')}"
        if one.disabled:
            yield Item(one.url, f"Disabled: {one.disabled}", href)
        elif fares.failing.failures:
            many = (
                "1 failed attempt"
                if fares.failing.failures == 1
                else f"{fares.failing.failures} failed attempts in a row"
            )
            yield Item(one.url, many, href)
        if fares.overflows:
            yield Item(one.url, "Overflow: more waits than its queue may hold", href)
        if fares.counts.dead:
            letters = "dead letter" if fares.counts.dead == 1 else "dead letters"
            yield Item(one.url, f"{fares.counts.dead} {letters}", href, urgent=False)


def of_sources(views: Sequence[Mapping[str, Any]]) -> Iterator[Item]:
    """Sources that are stalled, cannot work, lose webhooks, or whose polls fail."""
    for source in views:
        name, href = source["name"], f"/dashboard/sources#{source['name']}"
        loss, error = source["push_loss"], source["poll_error"]
        if source["stalled"]:
            yield Item(name, f"Polls are stalled: {source['stalled']}", href)
        if source["lacks"]:
            yield Item(name, f"Cannot work: {source['lacks']}", href)
        if loss and loss["jobs"] >= ENOUGH and loss["share"] > PUSH_FIRST_FROM:
            yield Item(name, f"{loss['share']:.0%} of its webhooks never come", href)
        if error and not source["stalled"]:
            yield Item(
                name, f"A poll of {error['job']} failed: {error['error']}", href, urgent=False
            )


def of_server(
    workers: int, fullness: float, late: Mapping[str, float], warnings: Sequence[str]
) -> Iterator[Item]:
    """No workers, late work, a full Redis, and what is wrong with Redis' settings."""
    if not workers:
        yield Item("Workers", "None is alive: start `ringback worker`", "#work")
    if fullness >= FULL:
        yield Item("Redis", f"{fullness:.0%} of its memory is used", "#work")
    for backlog, seconds in late.items():
        if seconds > LATE:
            yield Item(f"Backlog {backlog}", f"The oldest work is {seconds:.0f} s late", "#work")
    for warning in warnings:
        yield Item("Server", warning, "#work", urgent=False)


def by_urgency(items: Iterator[Item]) -> list[Item]:
    """The urgent ones first, else in the same order."""
    return sorted(items, key=lambda item: not item.urgent)
