"""Pushes, signed as providers sign them."""

import base64
import hmac
import json
import time
from typing import Any

KEY = b"a secret that was made up for tests"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
WISTIA_SECRET = "made up as well"


def signed(body: bytes, name: str = "msg_1", now: float | None = None) -> dict[str, str]:
    """The headers of a push of a `standard` service."""
    stamp = str(int(time.time() if now is None else now))
    mac = hmac.digest(KEY, f"{name}.{stamp}.".encode() + body, "sha256")
    return {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


def push(job: str = "1", status: str = "running", **more: Any) -> bytes:
    """The body of a push of a `standard` service."""
    return json.dumps({"id": job, "status": status, **more}).encode()


def wistia(*events: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a push of Wistia, which is always a batch."""
    body = json.dumps({"hook": {"uuid": "h"}, "events": events}).encode()
    mac = hmac.new(WISTIA_SECRET.encode(), body, "sha256").hexdigest()
    return body, {"content-type": "application/json", "x-wistia-signature": mac}


def medium(kind: str, media: str, uuid: str) -> dict[str, Any]:
    """One event of Wistia's about a media."""
    return {
        "uuid": uuid,
        "type": kind,
        "payload": {"media": {"id": media}},
        "generated_at": "2026-11-22T10:00:00Z",
    }
