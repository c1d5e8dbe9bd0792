"""Validates what callers ask of a subscription: URLs, secrets, filters, headers, rates.

Each check raises InvalidValue, which names the field and the remedy.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from processor import durations, signing
from processor.config.secrets import MASK
from processor.egress import check_url
from processor.errors import BlockedTarget, InvalidValue
from processor.event_types import FILTER_NAMES
from processor.formats import check_headers
from processor.model import Subscription
from processor.service.runtime.context import Context
from processor.service.runtime.size_limits import check_filter_size
from processor.subscription_settings import FORMAT_NAMES, SIGNATURE_NAMES, check_concurrency

Value = TypeVar("Value")


def checked_settings(context: Context, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a subscription, all or some, in the form in which Redis keeps them."""
    settings, sources = dict(given), context.settings.sources
    if "url" in given:
        check_target(context, "url", given["url"])
    if not given.get("events", FILTER_NAMES):
        raise InvalidValue("events: the list is empty; name at least one event type")
    for field, known in (
        ("events", FILTER_NAMES),
        ("sources", tuple(sources)),
        ("providers", tuple({s.profile.name for s in sources.values()})),
    ):
        check_known(field, given.get(field, ()), known)
    for field, known in (("format", FORMAT_NAMES), ("signature", SIGNATURE_NAMES)):
        check_known(field, [given[field]] if field in given else [], known)
    check_filter_size(given.get("metadata", {}))
    for field in {"events", "sources", "providers"} & given.keys():
        settings[field] = tuple(dict.fromkeys(given[field]))  # each name once
    for field, check in _CHECKS.items():
        if given.get(field) is not None:
            settings[field] = checked(field, check, given[field])
    return settings


def check_known(field: str, given: Sequence[str], known: Sequence[str]) -> None:
    """Check that each of the given names is known."""
    for name in given:
        if name not in known:
            there = ", ".join(known) or "none"
            raise InvalidValue(f"{field}: {name!r} is not known; there is {there}")


def checked(field: str, check: Callable[..., Value], *given: Any) -> Value:
    """What a check returns; its ValueError becomes an InvalidValue that names the field."""
    try:
        return check(*given)
    except ValueError as error:
        raise InvalidValue(f"{field}: {error}") from None


def check_target(context: Context, field: str, url: str) -> None:
    """Check that the egress guard allows a URL."""
    try:
        check_url(url, context.egress.policy)
    except BlockedTarget as error:
        raise InvalidValue(f"{field}: {error}") from None


def check_secret(field: str, secret: str) -> None:
    """Check that a secret can sign."""
    checked(field, signing.decode_secret, secret)


def lane_of_target(target: Subscription) -> str:
    """The lane of a subscription or callback target."""
    return lane_of(target.url) if target.id.startswith("cb_") else target.id


def lane_of(url: str) -> str:
    """The lane of a callback URL: one for each host, however many URLs it has."""
    parts = urlsplit(url)
    return f"cb:{parts.scheme}://{parts.netloc}".lower()


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    headers = check_headers(given)
    if MASK in headers.values():
        raise ValueError(f"{MASK} stands for a value that is not shown: write the value")
    return headers


def _rate(text: str) -> str:
    durations.parse_rate(text)
    return text


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "headers": _headers,
    "concurrency": check_concurrency,
    "rate": _rate,
}
