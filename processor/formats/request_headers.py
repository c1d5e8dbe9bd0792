"""The headers of every delivery: the subscription's own, and ours: id, timestamp, signatures."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from processor import signing
from processor.model import Subscription


class Event(msgspec.Struct, frozen=True):
    """An event as committed: its id, its payload, and the trace that it belongs to."""

    id: str
    body: bytes
    trace: str | None = None


class SignedRequest(NamedTuple):
    """One request: headers with lower-case names, and the signed body."""

    headers: dict[str, str]
    body: bytes


def signed_request(
    target: Subscription,
    event: Event,
    now: float,
    headers: Mapping[str, str],
) -> SignedRequest:
    """Sign an event as Standard Webhooks requires; our headers override the subscription's."""
    stamp = int(now)
    keys = [signing.signing_key(secret) for secret in signing_secrets(target, now)]
    ours = {
        **headers,
        "webhook-id": event.id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": signing.sign(keys, event.id, stamp, event.body),
    }
    if event.trace:
        ours["traceparent"] = event.trace
    if target.origin:
        ours["webhook-request-origin"] = target.origin
    return SignedRequest({**target.headers, **ours} if target.headers else ours, event.body)


def signing_secrets(target: Subscription, now: float) -> tuple[str, ...]:
    """The secrets that sign now: the newest, the old ones for a while after a rotation.

    For a subscription from the configuration file, all of its secrets.
    """
    if target.static or now < target.old_secret_until:
        return target.secrets
    return target.secrets[:1]
