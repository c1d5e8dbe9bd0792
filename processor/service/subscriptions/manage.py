"""Subscriptions as callers see them: make, list, rotate, test, remove; and their list_deliveries."""

import base64
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
from msgspec.structs import replace

from processor import signing
from processor.config.secrets import MASK
from processor.errors import Conflict, NotFound
from processor.formats import Format, signing_secrets
from processor.model import MAX_CONCURRENCY, Concurrency, Subscription
from processor.payload import utc
from processor.service.events.publish import delivery_item
from processor.service.runtime.context import Context
from processor.service.runtime.size_limits import check_count, check_filter_size
from processor.service.subscriptions.handshake import shake
from processor.service.subscriptions.validation import (
    EventType,
    check_filter,
    check_rate,
    check_target,
    checked,
    read_headers,
    unique,
)
from processor.store.jobs import NewEvent
from processor.store.reserve import subscription_price

_encode = msgspec.json.Encoder().encode

SECRET_BYTES = 32


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/subscriptions`."""

    url: str
    events: Annotated[tuple[EventType, ...], msgspec.Meta(min_length=1)] = ("job.completed",)
    sources: list[str] = []
    providers: list[str] = []
    metadata: Annotated[
        dict[str, Any], msgspec.Meta(description="At most 8,192 bytes as JSON")
    ] = {}
    secret: str | None = None
    format: Format = "standard"
    signature: Literal["v1", "v1a"] = "v1"
    headers: dict[str, str] = {}
    handshake: bool = False
    concurrency: Concurrency = MAX_CONCURRENCY
    rate: str | None = None
    ordered: bool = False
    auto_disable: bool = True


async def create(context: Context, wish: Wish) -> Subscription:
    """Make a subscription; commits that matched without it are refused, so it misses nothing."""
    check_target(context, "url", wish.url)
    check_filter(context, wish.events, wish.sources, wish.providers)
    secret = wish.secret or new_secret(wish.signature)
    checked("secret", signing.signer, wish.signature, secret)
    headers = read_headers(wish.headers)
    check_rate(wish.rate)
    check_filter_size(wish.metadata)
    check_count(await context.store.subscriptions.count())
    made = Subscription(
        id=f"sub_{secrets.token_hex(8)}",
        url=wish.url,
        secrets=(secret,),
        events=unique(wish.events),
        sources=unique(wish.sources),
        providers=unique(wish.providers),
        metadata=wish.metadata,
        format=wish.format,
        signature=wish.signature,
        headers=headers,
        origin=await shake(context, wish.url, headers) if wish.handshake else None,
        concurrency=wish.concurrency,
        rate=wish.rate,
        ordered=wish.ordered,
        auto_disable=wish.auto_disable,
        created_at=await context.store.now(),
    )
    async with context.store.memory.admitted(subscription_price(len(_encode(made)))):
        await context.store.subscriptions.save(made)
    return made


async def get(context: Context, target: str) -> Subscription:
    """A subscription; NotFound if there is none."""
    found = await context.store.subscriptions.get(target)
    if found is None or not target.startswith("sub_"):
        raise _missing(target)
    return found


async def remove(context: Context, target: str) -> None:
    """Remove a subscription; what still waits for it is canceled when it falls due.

    One whose removal was cut short is found no more, but may be left in some shards: those are
    tried too, and it is NotFound only where none had it.
    """
    with suppress(NotFound):
        await changeable(context, target)
    if not target.startswith("sub_") or not await context.store.subscriptions.remove(target):
        raise _missing(target)


async def rotate(context: Context, target: str) -> Subscription:
    """Give a subscription a new secret; the old one signs too for a while."""
    old = await changeable(context, target)
    until = await context.store.now() + context.settings.secret_overlap
    secret = new_secret(old.signature)

    def edit(stands: Subscription) -> Subscription:
        return replace(stands, secrets=(secret, stands.secrets[0]), old_secret_until=until)

    new = await context.store.subscriptions.change(target, edit)
    if new is None:  # removed a moment ago
        raise _missing(target)
    return new


async def test(context: Context, target: str) -> str:
    """Send a `subscription.test` event to one subscription; its id."""
    found = await get(context, target)
    event = f"evt_test_{secrets.token_hex(8)}"
    now = await context.store.now()
    body = {
        "type": "subscription.test",
        "timestamp": utc(now),
        "data": {"subscription": found.id, "message": "Ringback can reach this URL"},
    }
    put = delivery_item(event, "subscription.test", found.id, found.id, now)
    telling = NewEvent(event, "subscription.test", msgspec.json.encode(body), (put,), logged=False)
    await context.store.jobs.enqueue_deliveries(context.store.shards[0], telling)
    return event


def view(subscription: Subscription) -> dict[str, Any]:
    """A subscription as the API shows it: without its secrets."""
    return {
        "id": subscription.id,
        "url": subscription.url,
        "events": subscription.events,
        "sources": subscription.sources,
        "providers": subscription.providers,
        "metadata": subscription.metadata,
        "format": subscription.format,
        "signature": subscription.signature,
        "public_key": next(iter(_public(subscription.secrets[:1])), None),
        "headers": dict.fromkeys(subscription.headers, MASK),
        "handshake": subscription.origin is not None,
        "concurrency": subscription.concurrency,
        "rate": subscription.rate,
        "ordered": subscription.ordered,
        "auto_disable": subscription.auto_disable,
        "created_at": utc(subscription.created_at) if subscription.created_at else None,
        "disabled": subscription.disabled,
        "read_only": subscription.static,
    }


def once(subscription: Subscription) -> dict[str, Any]:
    """A subscription with its newest secret; a private key is nobody's but ours."""
    shared = subscription.signature == "v1"
    return view(subscription) | {"secret": subscription.secrets[0] if shared else None}


async def public_keys(context: Context, target: str) -> list[str]:
    """The keys that verify what a subscription gets now; NotFound if it has none."""
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


def _missing(target: str) -> NotFound:
    return NotFound(f"No subscription {target!r}")


async def changeable(context: Context, target: str) -> Subscription:
    """A subscription; NotFound if there is none, Conflict if it is one of the file."""
    found = await get(context, target)
    if found.static:
        raise Conflict(f"{target} is in the configuration file: change it there")
    return found
