"""The vectors in signatures.json as pushes, each with the rule that its provider's profile has.

Most are from official suites and documentation, verbatim; each says where it is from, and
those that were derived from a documented scheme say so.
"""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from processor.config.profiles import ProfileRegistry
from processor.model import Push
from processor.signing import Verify

LISTED = json.loads(Path(__file__).with_suffix(".json").read_text())
RULES = {
    name: ProfileRegistry()[name].verify for name in sorted({one["provider"] for one in LISTED})
}


class Vector(NamedTuple):
    """One push, what it is checked with, and whether it is genuine."""

    name: str
    rule: Verify
    secret: str | None
    push: Push
    form: dict[str, str] | None  # where the body is one
    now: float
    document: bytes
    valid: bool


def vectors() -> list[Vector]:
    """Read them all."""
    return [_vector(f"{one['provider']}-{place}", one) for place, one in enumerate(LISTED)]


def _vector(name: str, one: dict[str, Any]) -> Vector:
    headers = {key.lower(): value for key, value in one["headers"].items()}
    form = one.get("form")
    if form:
        headers.setdefault("content-type", "application/x-www-form-urlencoded")
    body = urlencode(form) if form else one["body"]
    push = Push(headers, body.encode())
    jwks = json.dumps(one["jwks"]) if "jwks" in one else ""
    document = (one.get("cert_pem") or jwks).encode()
    now = one["now"] or _moment(push)
    return Vector(
        name, RULES[one["provider"]], one["secret"], push, form, now, document, one["valid"]
    )


def _moment(push: Push) -> float:
    """When a push was sent, as far as it says so: for vectors that are judged at no time."""
    if (stamp := push.headers.get("webhook-timestamp", "")).isdigit():
        return float(stamp)
    if found := re.search(rb'"Timestamp"\s*:\s*"([^"]+)"', push.body):
        return datetime.fromisoformat(found[1].decode()).timestamp()
    return 0.0
