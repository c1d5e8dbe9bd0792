"""Subscriptions that change: what they want, and whether they are disabled."""

from typing import Annotated, Any, Literal

import msgspec
import structlog
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from processor import vault
from processor.errors import Conflict, NotFound
from processor.event_filters import DISABLED, Router
from processor.formats import Format
from processor.model import Concurrency, Subscription
from processor.payload import utc
from processor.service.events.publish import delivery_item
from processor.service.runtime.context import Context
from processor.service.runtime.size_limits import check_filter_size
from processor.service.subscriptions.handshake import shake
from processor.service.subscriptions.manage import changeable, get
from processor.service.subscriptions.validation import (
    EventType,
    check_filter,
    check_rate,
    check_target,
    read_headers,
    unique,
)
from processor.store.jobs import NewEvent
from processor.store.reseal import unopened

log = structlog.get_logger()


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PATCH /v1/subscriptions/{id}`: what is named is replaced, as a whole."""

    url: str | UnsetType = UNSET
    events: Annotated[tuple[EventType, ...], msgspec.Meta(min_length=1)] | UnsetType = UNSET
    sources: tuple[str, ...] | UnsetType = UNSET
    providers: tuple[str, ...] | UnsetType = UNSET
    metadata: (
        Annotated[dict[str, Any], msgspec.Meta(description="At most 8,192 bytes as JSON")]
        | UnsetType
    ) = UNSET
    format: Format | UnsetType = UNSET
    signature: Literal["v1", "v1a"] | UnsetType = UNSET  # only as it is
    headers: dict[str, str] | UnsetType = UNSET
    handshake: bool | UnsetType = UNSET
    concurrency: Concurrency | UnsetType = UNSET
    rate: str | UnsetType | None = UNSET  # None: no limit
    ordered: bool | UnsetType = UNSET
    auto_disable: bool | UnsetType = UNSET


async def change(context: Context, target: str, wish: Change) -> Subscription:
    """Change what a subscription wants; commits that matched the old wish are refused.

    One that was made with a handshake moves to another URL only if that allows us.
    """
    found = await changeable(context, target)
    _check(context, found, wish)
    named = _named(wish)
    moves = wish.url is not UNSET or wish.handshake is not UNSET
    if moves:
        named["origin"] = await _origin(context, found, replace(found, **named), wish)

    def edit(stands: Subscription) -> Subscription:
        if moves and (stands.url, stands.origin) != (found.url, found.origin):
            raise Conflict(f"{target} was moved by somebody else meanwhile: try again")
        return replace(stands, **named)

    return _there(target, await context.store.subscriptions.change(target, edit))


def _named(wish: Change) -> dict[str, Any]:
    """What is to be replaced, by its name in a subscription."""
    named = {k: v for k, v in msgspec.structs.asdict(wish).items() if v is not UNSET}
    named.pop("handshake", None)
    if wish.headers is not UNSET:
        named["headers"] = read_headers(wish.headers)
    for field in {"events", "sources", "providers"} & named.keys():
        named[field] = unique(named[field])
    return named


async def _origin(
    context: Context, found: Subscription, new: Subscription, wish: Change
) -> str | None:
    """Who we said that we are to the new URL; it is asked unless it was, or need not be."""
    if not (found.origin if wish.handshake is UNSET else wish.handshake):
        return None
    if wish.handshake is UNSET and new.url == found.url:
        return found.origin
    if unopened(new):
        remedy = f"put their key back into {vault.NAME}"
        raise Conflict(f"{new.id}: its secrets do not open, so its URL cannot be asked: {remedy}")
    return await shake(context, new.url, new.headers)


async def enable(context: Context, target: str) -> Subscription:
    """Let a subscription get events again, from now on; one of the file too."""
    found = await get(context, target)
    await context.store.failure_scores.forget(target)
    if found.disabled:  # what was left for it before is a replay's now
        await context.store.deliveries.forget_overflow(target)
    done = await context.store.subscriptions.change(target, lambda s: replace(s, disabled=None))
    return _there(target, done)


async def disable(context: Context, target: Subscription, reason: str) -> None:
    """Disable a subscription, and tell the others that want to know: both, or neither.

    Nothing is done, or told, where it is disabled already, or its URL is another by now.
    """
    now = await context.store.now()

    def edit(stands: Subscription) -> Subscription:
        return (
            stands
            if stands.disabled or stands.url != target.url
            else replace(stands, disabled=reason)
        )

    def tell(new: Subscription, router: Router) -> NewEvent:
        log.warning("subscription_disabled", subscription=new.id, reason=reason)
        return _telling(new, router, now)

    await context.store.subscriptions.change(target.id, edit, tell)


def _telling(disabled: Subscription, router: Router, now: float) -> NewEvent:
    """The event that a subscription is disabled; the version tells it from another time."""
    event = f"evt_disabled_{disabled.id.removeprefix('sub_')}_{router.version}"
    body = {
        "type": DISABLED,
        "timestamp": utc(now),
        "data": {"subscription": disabled.id, "url": disabled.url, "reason": disabled.disabled},
    }
    others = [s.id for s in router.matching_type(DISABLED) if s.id != disabled.id]
    puts = tuple(delivery_item(event, DISABLED, one, one, now) for one in others)
    return NewEvent(event, DISABLED, msgspec.json.encode(body), puts)


def _check(context: Context, found: Subscription, wish: Change) -> None:
    """Conflict for another signature; Invalid for what creation refuses too."""
    if wish.signature not in (UNSET, found.signature):
        raise Conflict(
            f"{found.id} is signed with {found.signature}, and so are its secrets: "
            f'make a new subscription with "signature": "{wish.signature}", and remove this one'
        )
    if wish.url is not UNSET:
        check_target(context, "url", wish.url)
    if wish.rate is not UNSET:
        check_rate(wish.rate)
    if wish.metadata is not UNSET:
        check_filter_size(wish.metadata)
    check_filter(context, wish.events, wish.sources, wish.providers)


def _there(target: str, found: Subscription | None) -> Subscription:
    if found is None:  # removed a moment ago
        raise NotFound(f"No subscription {target!r}")
    return found
