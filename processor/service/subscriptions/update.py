"""Changes, enables and disables subscriptions."""

from typing import Any

import msgspec
import structlog
from msgspec import UNSET, UnsetType
from msgspec.structs import fields, replace

from processor import vault
from processor.errors import Conflict
from processor.event_filters import EventRouter
from processor.event_types import DISABLED
from processor.model import Subscription
from processor.payload import utc
from processor.service.events.publish import delivery_item
from processor.service.runtime.context import Context
from processor.service.subscriptions.handshake import shake
from processor.service.subscriptions.manage import changeable, get, missing
from processor.service.subscriptions.validation import checked_settings
from processor.store.change import NewEvent
from processor.store.reseal import has_sealed_secrets
from processor.subscription_settings import SubscriptionSettings

log = structlog.get_logger()

UpdateSubscription = msgspec.defstruct(
    "UpdateSubscription",
    [
        *((f.name, f.type | UnsetType, UNSET) for f in fields(SubscriptionSettings)),
        ("handshake", bool | UnsetType, UNSET),
    ],
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    namespace={
        "__doc__": "What is named is replaced, as a whole; a `rate` of null removes the limit.\n\n"
        "With a handshake another `url` is asked first, and must allow us. `signature` cannot change."
    },
)
"""The body of `PATCH /v1/subscriptions/{id}`: every setting, all optional."""


async def change(context: Context, target: str, request: msgspec.Struct) -> Subscription:
    """Change settings by an UpdateSubscription; commits that were decided on the old ones are refused.

    A subscription that was created with a handshake moves to another URL only if that allows us.
    """
    given = {k: v for k, v in msgspec.structs.asdict(request).items() if v is not UNSET}
    handshake: bool | None = given.pop("handshake", None)
    found = await changeable(context, target)
    changes = checked_settings(context, given)
    _check_signature(found, changes)
    moves = "url" in changes or handshake is not None
    if moves:
        changes["origin"] = await _origin(
            context, found, replace(found, **changes), handshake=handshake
        )

    def edit(current: Subscription) -> Subscription:
        if moves and (current.url, current.origin) != (found.url, found.origin):
            raise Conflict(f"{target}: its URL was changed by somebody else meanwhile; try again")
        return replace(current, **changes)

    await _recheck(context, found, replace(found, **changes))  # if the next steps fail, too
    new = _found(target, await context.store.subscriptions.change(target, edit))
    await _recheck(context, found, new)
    return new


async def _recheck(context: Context, old: Subscription, new: Subscription) -> None:
    """Let deliveries start that waited for the old rate, or for the end of the old URL's pause.

    Those of a disabled one would be canceled now, right before it is enabled.
    """
    if new.disabled:
        return
    moved = new.url != old.url
    if moved:
        await context.store.failure_scores.forget(new.id)
    if moved or new.rate != old.rate:
        await context.store.backlogs.recheck(
            "deliver", new.id, end_pause=moved, unlimited=new.rate is None
        )


def _check_signature(found: Subscription, changes: dict[str, Any]) -> None:
    wanted = changes.get("signature", found.signature)
    if wanted != found.signature:
        raise Conflict(
            f"{found.id} is signed with {found.signature}, and so are its secrets: "
            f'make a new subscription with "signature": "{wanted}", and remove this one'
        )


async def _origin(
    context: Context, found: Subscription, new: Subscription, *, handshake: bool | None
) -> str | None:
    """The `WebHook-Request-Origin` that the new URL confirmed, by a handshake if one is due."""
    if not (found.origin if handshake is None else handshake):
        return None
    if handshake is None and new.url == found.url:
        return found.origin
    if has_sealed_secrets(new):
        remedy = f"put their key back into {vault.NAME}"
        raise Conflict(f"{new.id}: its secrets do not open, so its URL cannot be asked: {remedy}")
    return await shake(context, new.url, new.headers)


async def enable(context: Context, target: str) -> Subscription:
    """Enable a subscription, also one of the configuration file: it receives events from now on.

    Its failures are forgotten, and its pause ends, also if it was not disabled.
    """
    ends = await context.store.events.end()  # read first: later ones may be for it
    found = await get(context, target)
    await context.store.failure_scores.forget(target)
    if found.disabled:  # its overflow from before is left to a replay
        for keys in context.store.shards:
            await context.store.deliveries.advance_overflow(keys, target, ends[keys.shard])
    done = await context.store.subscriptions.change(target, lambda s: replace(s, disabled=None))
    await context.store.backlogs.recheck("deliver", target, end_pause=True)
    return _found(target, done)


async def disable(context: Context, target: Subscription, reason: str) -> None:
    """Disable a subscription, and publish `subscription.disabled` to the others: both, or neither.

    Does nothing if it is disabled already, or has another URL by now.
    """
    now = await context.store.now()
    disables = False  # by the last try, which is the one that counts

    def edit(current: Subscription) -> Subscription:
        nonlocal disables
        disables = not current.disabled and current.url == target.url
        return replace(current, disabled=reason) if disables else current

    def publish(new: Subscription, router: EventRouter) -> NewEvent:
        return _disabled_event(new, router, now)

    written = await context.store.subscriptions.change(target.id, edit, publish)
    if written and disables:
        log.warning("subscription_disabled", subscription=target.id, reason=reason)


def _disabled_event(disabled: Subscription, router: EventRouter, now: float) -> NewEvent:
    """The `subscription.disabled` event; the version makes its id unique each time."""
    event = f"evt_disabled_{disabled.id.removeprefix('sub_')}_{router.version}"
    body = {
        "type": DISABLED,
        "timestamp": utc(now),
        "data": {"subscription": disabled.id, "url": disabled.url, "reason": disabled.disabled},
    }
    others = [s.id for s in router.matching_type(DISABLED) if s.id != disabled.id]
    items = tuple(delivery_item(event, DISABLED, other, other, now) for other in others)
    return NewEvent(event, DISABLED, msgspec.json.encode(body), items)


def _found(target: str, subscription: Subscription | None) -> Subscription:
    if subscription is None:  # removed a moment ago
        raise missing(target)
    return subscription
