"""What both baselines share to receive: Standard Webhooks verified, a push decoded.

Their own code on purpose: they must not borrow Ringback's.
"""

import base64
import hmac

import msgspec

from bench.load import workload

SOURCE = "bench"
TOLERANCE = 300  # seconds between their clock and ours
ACCEPTED = b'{"accepted":1,"duplicates":0,"ignored":0}'
DUPLICATE = b'{"accepted":0,"duplicates":1,"ignored":0}'


class Push(msgspec.Struct):
    """One push of the in-house service."""

    id: str
    status: str
    progress: float | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")


KEYED = hmac.new(workload.PUSH_KEY, digestmod="sha256")
decode = msgspec.json.Decoder(Push).decode


def signature(keyed: hmac.HMAC, message_id: bytes, at: bytes, body: bytes) -> bytes:
    """Return a `v1` signature; a copy of a keyed HMAC costs a third of making a new one."""
    mac = keyed.copy()
    mac.update(b"%s.%s.%s" % (message_id, at, body))
    return b"v1," + base64.b64encode(mac.digest())


def verified(headers: dict[bytes, bytes], body: bytes, now: float) -> str | None:
    """Return the webhook-id of a push whose signature holds, else None."""
    try:
        at, message_id = headers[b"webhook-timestamp"], headers[b"webhook-id"]
        if abs(now - int(at)) > TOLERANCE:
            return None
        wanted = signature(KEYED, message_id, at, body)
        given = headers[b"webhook-signature"].split(b" ")
    except (KeyError, ValueError):
        return None
    return message_id.decode() if any(hmac.compare_digest(wanted, one) for one in given) else None
