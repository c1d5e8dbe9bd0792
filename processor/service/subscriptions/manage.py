"""Creates, reads, tests, rotates and removes subscriptions."""

import base64
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import replace

from processor import signing
from processor.config.secrets import MASK
from processor.errors import Conflict, NotFound
from processor.event_types import TEST
from processor.formats import signing_secrets
from processor.model import Subscription
from processor.payload import utc
from processor.service.events.publish import delivery_item
from processor.service.runtime.context import Context
from processor.service.runtime.size_limits import check_count
from processor.service.subscriptions.handshake import shake
from processor.service.subscriptions.ids import new_id
from processor.service.subscriptions.validation import checked, checked_settings
from processor.store.change import NewEvent
from processor.store.reserve import subscription_price
from processor.subscription_settings import SubscriptionSettings, settings_of

_encode = msgspec.json.Encoder().encode

SECRET_BYTES = 32
NEWEST_KEPT = OLDEST_KEPT = 2  # secrets of a subscription, of those that sign


class CreateSubscription(
    SubscriptionSettings, frozen=True, forbid_unknown_fields=True, kw_only=True
):
    """The body of `POST /v1/subscriptions`, but for `since`."""

    secret: str | None = None
    handshake: bool = False


async def create(context: Context, request: CreateSubscription) -> Subscription:
    """Create a subscription; commits that did not consider it are refused, so it misses no event."""
    settings = checked_settings(context, settings_of(request))
    secret = new_secret(request.signature) if request.secret is None else request.secret
    checked("secret", signing.signer, request.signature, secret)
    check_count(await context.store.subscriptions.count())
    headers = settings["headers"]
    made = Subscription(
        id=new_id(),
        secrets=(secret,),
        origin=await shake(context, request.url, headers) if request.handshake else None,
        created_at=await context.store.now(),
        **settings,
    )
    async with context.store.memory.admitted(subscription_price(len(_encode(made)))):
        await context.store.subscriptions.save(made)
    return made


async def get(context: Context, target: str) -> Subscription:
    """A subscription, or NotFound."""
    found = await context.store.subscriptions.get(target)
    if found is None or not target.startswith("sub_"):
        raise missing(target)
    return found


async def changeable(context: Context, target: str) -> Subscription:
    """A subscription, or NotFound; Conflict for one of the configuration file."""
    found = await get(context, target)
    if found.static:
        raise Conflict(f"{target} is in the configuration file: change it there")
    return found


async def remove(context: Context, target: str) -> None:
    """Remove a subscription; its pending deliveries are canceled when they fall due.

    A removal that was interrupted may have left the subscription in some shards, where `get` does
    not find it: those are tried too, and NotFound is raised only if no shard had it.
    """
    with suppress(NotFound):
        await changeable(context, target)
    if not target.startswith("sub_") or not await context.store.subscriptions.remove(target):
        raise missing(target)


async def rotate(context: Context, target: str) -> Subscription:
    """Give a subscription a new secret; the old ones also sign for a while."""
    old = await changeable(context, target)
    now = await context.store.now()
    secret, until = new_secret(old.signature), now + context.settings.secret_overlap

    def edit(current: Subscription) -> Subscription:
        return _rotated(current, secret, now, until)

    new = await context.store.subscriptions.change(target, edit)
    if new is None:  # removed a moment ago
        raise missing(target)
    return new


def _rotated(old: Subscription, secret: str, now: float, until: float) -> Subscription:
    """A subscription with a new secret, and with the old ones whose time is not over.

    The answers of earlier rotations may be lost: then its subscriber has one of the oldest. If none
    was, it has the newest but one.
    """
    known = (secret, *signing_secrets(old, now))
    kept = (*known[:NEWEST_KEPT], *known[NEWEST_KEPT:][-OLDEST_KEPT:])
    return replace(old, secrets=kept, old_secret_until=max(until, old.old_secret_until))


def check_enabled(target: Subscription) -> None:
    """Raise Conflict for a disabled subscription."""
    if target.disabled:
        raise Conflict(f"{target.id} is disabled ({target.disabled}): enable it first")


async def test(context: Context, target: str) -> str:
    """Send a `subscription.test` event to one subscription; returns the event's id."""
    found = await get(context, target)
    check_enabled(found)
    event = f"evt_test_{secrets.token_hex(8)}"
    now = await context.store.now()
    body = {
        "type": TEST,
        "timestamp": utc(now),
        "data": {"subscription": found.id, "message": "Ringback can reach this URL"},
    }
    item = delivery_item(event, TEST, found.id, found.id, now)
    new_event = NewEvent(event, TEST, msgspec.json.encode(body), (item,), logged=False)
    await context.store.jobs.enqueue_deliveries(context.store.shards[0], new_event)
    return event


def view(subscription: Subscription) -> dict[str, Any]:
    """A subscription as the API shows it: without its secrets."""
    return settings_of(subscription) | {
        "id": subscription.id,
        "public_key": next(iter(_public(subscription.secrets[:1])), None),
        "headers": dict.fromkeys(subscription.headers, MASK),
        "handshake": subscription.origin is not None,
        "created_at": utc(subscription.created_at) if subscription.created_at else None,
        "disabled": subscription.disabled,
        "read_only": subscription.static,
    }


def view_with_secret(subscription: Subscription) -> dict[str, Any]:
    """A subscription with its newest secret; a private key (`v1a`) is never shown."""
    shared = subscription.signature == "v1"
    return view(subscription) | {"secret": subscription.secrets[0] if shared else None}


async def public_keys(context: Context, target: str) -> list[str]:
    """The keys that verify a subscription's requests now; NotFound if it has none."""
    found = await get(context, target)
    if found.signature != "v1a":
        raise NotFound(f'{target} has no public key: it was not made with "signature": "v1a"')
    return _public(signing_secrets(found, await context.store.now()))


def _public(texts: Sequence[str]) -> list[str]:
    return [signing.public_text(signing.signing_key(s)) for s in texts if s.startswith("whsk_")]


def new_secret(signature: str = "v1") -> str:
    """A fresh `whsec_` secret, or a `whsk_` private key."""
    if signature == "v1a":
        return signing.private_text(secrets.token_bytes(SECRET_BYTES))
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def missing(target: str) -> NotFound:
    """The error for a subscription that does not exist."""
    return NotFound(f"No subscription {target!r}: `ringback subscriptions list` shows all")
