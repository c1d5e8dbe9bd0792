"""Where callers want to be called back: which URLs and secrets may be, and the lane of a callback."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from processor import durations, event_filters, signing
from processor.config.secrets import MASK
from processor.egress import check_url
from processor.errors import BlockedTarget, InvalidValue
from processor.formats import check_headers
from processor.service.runtime.context import Context


def lane_of(url: str) -> str:
    """The lane of a callback target: one a host, however many URLs it has."""
    parts = urlsplit(url)
    return f"cb:{parts.scheme}://{parts.netloc}".lower()


def check_secret(field: str, secret: str) -> None:
    """Invalid unless we can sign with this."""
    try:
        signing.decode_secret(secret)
    except ValueError as error:
        raise InvalidValue(f"{field}: {error}") from None


def check_target(context: Context, field: str, url: str) -> None:
    """Invalid for a URL that the egress guard refuses."""
    try:
        check_url(url, context.egress.policy)
    except BlockedTarget as error:
        raise InvalidValue(f"{field}: {error}") from None


Value = TypeVar("Value")


EventType = Annotated[
    str,  # checked by hand, for a better message
    msgspec.Meta(extra_json_schema={"enum": [*event_filters.EVENT_TYPES, *event_filters.GROUPS]}),
]


def read_headers(given: Mapping[str, str]) -> dict[str, str]:
    """Headers as they are kept; Invalid for those that cannot be sent, or were masked by us."""
    headers = checked("headers", check_headers, given)
    if MASK in headers.values():
        raise InvalidValue(f"headers: {MASK} stands for a value that is not shown: write the value")
    return headers


def unique(words: Sequence[str]) -> tuple[str, ...]:
    """Each word of a filter once: so there are no more of them than there are good ones."""
    return tuple(dict.fromkeys(words))


def check_rate(rate: str | None) -> None:
    """Invalid for what is no rate."""
    if rate is not None:
        checked("rate", durations.parse_rate, rate)


def checked(field: str, check: Callable[..., Value], *given: Any) -> Value:
    """What a check makes of a value; Invalid, naming the field, for what it refuses."""
    try:
        return check(*given)
    except ValueError as error:
        raise InvalidValue(f"{field}: {error}") from None


def check_filter(
    context: Context,
    events: Sequence[str] | UnsetType,
    sources: Sequence[str] | UnsetType,
    providers: Sequence[str] | UnsetType,
) -> None:
    """Invalid for event types, sources and providers that there are not."""
    known = context.settings.sources
    check_known("events", events, (*event_filters.EVENT_TYPES, *event_filters.GROUPS))
    check_known("sources", sources, tuple(known))
    check_known("providers", providers, tuple({s.profile.name for s in known.values()}))


def check_known(field: str, given: Sequence[str] | UnsetType, good: Sequence[str]) -> None:
    """Invalid for a word that is not one of the good ones."""
    for one in () if given is UNSET else given:
        if one not in good:
            raise InvalidValue(
                f"{field}: {one!r} is not known; there is {', '.join(good) or 'none'}"
            )
