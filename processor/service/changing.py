"""Subscriptions that change: what they want, and whether they are disabled."""

from typing import Annotated, Any

import msgspec
import structlog
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from processor import filters
from processor.errors import Conflict, NotFound
from processor.filters import DISABLED, Router
from processor.model import Concurrency, Subscription
from processor.payload import utc
from processor.service.context import Context
from processor.service.deciding import deliver
from processor.service.subscribing import check_known, check_rate, get
from processor.service.watching import check_target
from processor.store.jobs import Telling

log = structlog.get_logger()


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PATCH /v1/subscriptions/{id}`: what is named is replaced, as a whole."""

    url: str | UnsetType = UNSET
    events: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] | UnsetType = UNSET
    sources: tuple[str, ...] | UnsetType = UNSET
    providers: tuple[str, ...] | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    concurrency: Concurrency | UnsetType = UNSET
    rate: str | UnsetType | None = UNSET  # None: no limit
    ordered: bool | UnsetType = UNSET


async def change(context: Context, target: str, wish: Change) -> Subscription:
    """Change what a subscription wants; commits that matched the old wish are refused."""
    if (await get(context, target)).static:
        raise Conflict(f"{target} is in the configuration file: change it there")
    _check(context, wish)
    named = {k: v for k, v in msgspec.structs.asdict(wish).items() if v is not UNSET}
    return _there(target, await context.store.targets.change(target, lambda s: replace(s, **named)))


async def enable(context: Context, target: str) -> Subscription:
    """Let a subscription get events again, from now on; one of the file too."""
    await get(context, target)
    await context.store.health.forget(target)
    done = await context.store.targets.change(target, lambda s: replace(s, disabled=None))
    return _there(target, done)


async def disable(context: Context, target: Subscription, why: str) -> None:
    """Disable a subscription, and tell the others that want to know: both, or neither.

    Nothing is done, or told, where it is disabled already, or its URL is another by now.
    """
    now = await context.store.now()

    def edit(stands: Subscription) -> Subscription:
        return (
            stands if stands.disabled or stands.url != target.url else replace(stands, disabled=why)
        )

    def tell(new: Subscription, router: Router) -> Telling:
        log.warning("subscription_disabled", subscription=new.id, why=why)
        return _telling(new, router, now)

    await context.store.targets.change(target.id, edit, tell)


def _telling(disabled: Subscription, router: Router, now: float) -> Telling:
    """The event that a subscription is disabled; the version tells it from another time."""
    event = f"evt_disabled_{disabled.id.removeprefix('sub_')}_{router.version}"
    body = {
        "type": DISABLED,
        "timestamp": utc(now),
        "data": {"subscription": disabled.id, "url": disabled.url, "why": disabled.disabled},
    }
    others = [s.id for s in router.hearing(DISABLED) if s.id != disabled.id]
    puts = tuple(deliver(event, DISABLED, one, one, now) for one in others)
    return Telling(event, DISABLED, msgspec.json.encode(body), puts)


def _check(context: Context, wish: Change) -> None:
    """Invalid for what could not be wished for at creation either."""
    if wish.url is not UNSET:
        check_target(context, "url", wish.url)
    if wish.rate is not UNSET:
        check_rate(wish.rate)
    sources = context.settings.sources
    check_known("events", wish.events, (*filters.EVENT_TYPES, *filters.GROUPS))
    check_known("sources", wish.sources, tuple(sources))
    check_known("providers", wish.providers, tuple({s.profile.name for s in sources.values()}))


def _there(target: str, found: Subscription | None) -> Subscription:
    if found is None:  # removed a moment ago
        raise NotFound(f"No subscription {target!r}")
    return found
