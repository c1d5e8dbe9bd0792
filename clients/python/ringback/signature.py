"""Verifies a callback: Standard Webhooks 1.0.0 (github.com/standard-webhooks), `v1` and `v1a`."""

import base64
import binascii
import hashlib
import hmac
import json
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
    content = body.encode() if isinstance(body, str) else bytes(body)
    signed = f"{name}.{at}.".encode() + content
    if not any(_fits(secret, signed, signatures.split(" ")) for secret in secrets):
        raise BadSignature("no signature fits one of the secrets")
    return Event.read(json.loads(content), name)


def _check_time(text: str) -> None:
    try:
        at = int(text)
    except ValueError:
        raise BadSignature(f"webhook-timestamp: {text!r} is not a time") from None
    if abs(time.time() - at) > TOLERANCE:
        raise BadSignature(f"webhook-timestamp: {at} is more than {TOLERANCE:g} s from now")


def _fits(secret: str, signed: bytes, signatures: list[str]) -> bool:
    version = "v1a" if secret.startswith("whpk_") else "v1"
    given = [text.partition(",")[2] for text in signatures if text.partition(",")[0] == version]
    key = _decoded(secret.removeprefix("whsec_").removeprefix("whpk_"))
    if version == "v1a":
        return any(_fits_public_key(key, signed, text) for text in given)
    right = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return any(hmac.compare_digest(right.encode(), text.encode()) for text in given)


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


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise BadSignature("a secret is not base64: copy it again, with its `whsec_`") from None
