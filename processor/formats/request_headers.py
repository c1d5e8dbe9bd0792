"""What every request carries: the subscription's own headers, our id, time and signatures."""

from collections.abc import Mapping
from typing import NamedTuple

from processor import signing
from processor.model import Subscription


class Event(NamedTuple):
    """An event as it was committed: its id, its payload, and the trace that it belongs to."""

    id: str
    body: bytes
    trace: str | None = None


class SignedRequest(NamedTuple):
    """One request: headers with names in lower case, and the bytes that were signed."""

    headers: dict[str, str]
    body: bytes


def signed_request(
    target: Subscription,
    event: Event,
    now: float,
    headers: Mapping[str, str],
) -> SignedRequest:
    """Sign what is sent as an event, as Standard Webhooks says. What is ours wins."""
    message, body, trace = event
    stamp = int(now)
    keys = [signing.signing_key(secret) for secret in signing_secrets(target, now)]
    ours = {
        **headers,
        "webhook-id": message,
        "webhook-timestamp": str(stamp),
        "webhook-signature": signing.sign(keys, message, stamp, body),
    }
    if trace:
        ours["traceparent"] = trace
    if target.origin:
        ours["webhook-request-origin"] = target.origin
    return SignedRequest({**target.headers, **ours} if target.headers else ours, body)


def signing_secrets(target: Subscription, now: float) -> tuple[str, ...]:
    """Which secrets sign: after a rotation the old one too, for a while; all of the file's."""
    if target.static or now < target.old_secret_until:
        return target.secrets
    return target.secrets[:1]
