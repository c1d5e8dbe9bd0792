"""Verifies a callback: Standard Webhooks 1.0.0 (github.com/standard-webhooks), `v1` and `v1a`."""

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping

from ringback.errors import BadSignature
from ringback.model import Event

TOLERANCE = 300.0  # seconds that the callback's time may differ from ours


def verify(headers: Mapping[str, str], body: bytes | str, *secrets: str) -> Event:
    """The event of a genuine callback; BadSignature for every other.

    `headers` are those of the request, in any case; `body` is exactly what came. `secrets` are
    `whsec_…`, or public keys `whpk_…` for `v1a` (which needs the extra `ed25519`): one of them must
    fit, so that a rotation needs no gap.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        name, at, signatures = (
            found[f"webhook-{word}"] for word in ("id", "timestamp", "signature")
        )
    except KeyError as missing:
        raise BadSignature(f"the header {missing.args[0]!r} is missing") from None
    _check_time(at)
    content = _encoded(body) if isinstance(body, str) else bytes(body)
    signed = _encoded(f"{name}.{at}.") + content
    if not any(_fits(secret, signed, signatures.split(" ")) for secret in secrets):
        raise BadSignature("no signature fits one of the secrets")
    try:
        return Event.read(json.loads(content), name)
    except (ValueError, TypeError, KeyError, RecursionError):
        reason = "the body is not an event: does the subscription have the format `standard`?"
        raise BadSignature(reason) from None


def _check_time(text: str) -> None:
    if not re.fullmatch("[0-9]{1,15}", text):
        raise BadSignature(f"webhook-timestamp: {text[:30]!r} is not a time in seconds")
    if abs(time.time() - int(text)) > TOLERANCE:
        raise BadSignature(f"webhook-timestamp: {text} is more than {TOLERANCE:g} s from now")


def _encoded(text: str) -> bytes:
    """Any text, each as other bytes: frameworks make lone surrogates of bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogatepass")


def _fits(secret: str, signed: bytes, signatures: list[str]) -> bool:
    version = "v1a" if secret.startswith("whpk_") else "v1"
    given = [text.partition(",")[2] for text in signatures if text.partition(",")[0] == version]
    key = _key(secret.removeprefix("whsec_").removeprefix("whpk_"))
    if version == "v1a":
        return any(_fits_public_key(key, signed, text) for text in given)
    right = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return any(hmac.compare_digest(right.encode(), _encoded(text)) for text in given)


def _fits_public_key(key: bytes, signed: bytes, text: str) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 -- an extra
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PublicKey,
    )

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(_decoded(text), signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _key(text: str) -> bytes:
    try:
        key = _decoded(text)
    except ValueError:
        raise BadSignature("a secret is not base64: copy it again, with its `whsec_`") from None
    if not key:
        raise BadSignature("a secret is empty, so anybody could sign: is its variable set?")
    return key


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))
