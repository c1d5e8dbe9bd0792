"""Subscriptions as callers see them: make, list, rotate, test, remove; and their deliveries."""

import base64
import secrets
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from processor import filters, signing
from processor.config.secret import MASK
from processor.errors import Conflict, Invalid, NotFound
from processor.formats import Format, check_headers, secrets_now
from processor.model import Subscription
from processor.payload import utc
from processor.service.context import Context
from processor.service.deciding import deliver
from processor.service.handshaking import shake
from processor.service.watching import check_target
from processor.store.jobs import Telling

Value = TypeVar("Value")

SECRET_BYTES = 32
MOST_LISTED = 1000  # deliveries looked through for one answer

STATES = ("pending", "delivered", "failed", "canceled")
"""Where a delivery can be."""


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/subscriptions`."""

    url: str
    events: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("job.completed",)
    sources: list[str] = []
    providers: list[str] = []
    metadata: dict[str, Any] = {}
    secret: str | None = None
    format: Format = "standard"
    signature: Literal["v1", "v1a"] = "v1"
    headers: dict[str, str] = {}
    handshake: bool = False


async def create(context: Context, wish: Wish) -> Subscription:
    """Make a subscription; commits that matched without it are refused, so it misses nothing."""
    check_target(context, "url", wish.url)
    _known("events", wish.events, (*filters.EVENT_TYPES, *filters.GROUPS))
    sources = context.settings.sources
    _known("sources", wish.sources, tuple(sources))
    _known("providers", wish.providers, tuple({s.profile.name for s in sources.values()}))
    secret = wish.secret or new_secret(wish.signature)
    _checked("secret", signing.signer, wish.signature, secret)
    headers = _checked("headers", check_headers, wish.headers)
    made = Subscription(
        id=f"sub_{secrets.token_hex(8)}",
        url=wish.url,
        secrets=(secret,),
        events=tuple(wish.events),
        sources=tuple(wish.sources),
        providers=tuple(wish.providers),
        metadata=wish.metadata,
        format=wish.format,
        signature=wish.signature,
        headers=headers,
        origin=await shake(context, wish.url, headers) if wish.handshake else None,
        created_at=await context.store.now(),
    )
    await context.store.targets.save(made)
    return made


async def get(context: Context, target: str) -> Subscription:
    """A subscription; NotFound if there is none."""
    found = await context.store.targets.get(target)
    if found is None or not target.startswith("sub_"):
        raise NotFound(f"No subscription {target!r}")
    return found


async def remove(context: Context, target: str) -> None:
    """Remove a subscription; what still waits for it is canceled when it falls due."""
    await _changeable(context, target)
    await context.store.targets.remove(target)


async def rotate(context: Context, target: str) -> Subscription:
    """Give a subscription a new secret; the old one signs too for a while."""
    old = await _changeable(context, target)
    until = await context.store.now() + context.settings.secret_overlap
    new = replace(old, secrets=(new_secret(old.signature), old.secrets[0]), old_secret_until=until)
    await context.store.targets.save(new)
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
    put = deliver(event, "subscription.test", found.id, found.id, now)
    telling = Telling(event, "subscription.test", msgspec.json.encode(body), (put,), logged=False)
    await context.store.jobs.tell(context.store.shards[0], telling)
    return event


async def deliveries(
    context: Context, target: str, state: str | None, limit: int
) -> list[dict[str, Any]]:
    """Deliveries of a subscription with their attempts, the newest first."""
    _known("state", [state] if state else [], STATES)
    found: list[dict[str, Any]] = []
    if state in (None, "pending"):
        rows = await context.store.targets.pending(target, MOST_LISTED)
        found += [{"state": "pending", "why": None, **msgspec.json.decode(doc)} for doc in rows]
    if state != "pending":
        rows = await context.store.targets.delivered(target, MOST_LISTED)
        ended = [msgspec.json.decode(doc) for doc in rows]
        found += [one for one in ended if state in (None, one["state"])]
    found.sort(key=lambda one: -one["created_at"])
    return [_shown(one) for one in found[:limit]]


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
    return _public(secrets_now(found, await context.store.now()))


def _public(texts: Sequence[str]) -> list[str]:
    return [signing.public_text(signing.signing_key(s)) for s in texts if s.startswith("whsk_")]


def new_secret(signature: str = "v1") -> str:
    """A fresh `whsec_` secret, or a `whsk_` private key."""
    if signature == "v1a":
        return signing.private_text(secrets.token_bytes(SECRET_BYTES))
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


async def _changeable(context: Context, target: str) -> Subscription:
    found = await get(context, target)
    if found.static:
        raise Conflict(f"{target} is in the configuration file: change it there")
    return found


def _checked(field: str, check: Callable[..., Value], *given: Any) -> Value:
    """What a check makes of a value; Invalid, naming the field, for what it refuses."""
    try:
        return check(*given)
    except ValueError as error:
        raise Invalid(f"{field}: {error}") from None


def _known(field: str, given: Sequence[str], good: tuple[str, ...]) -> None:
    for one in given:
        if one not in good:
            raise Invalid(f"{field}: {one!r} is not known; there is {', '.join(good) or 'none'}")


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "id": one["id"],
        "event_id": one["event_id"],
        "type": one["type"],
        "subscription": one["target"],
        "state": one["state"],
        "why": one["why"],
        "created_at": utc(one["created_at"]),
    }
    attempts = [
        {
            "at": utc(a["at"]),
            "seconds": a["seconds"],
            "status": a.get("status"),
            "error": a.get("error"),
        }
        for a in one.get("attempts") or []
    ]
    return shown | {"attempts": attempts}
