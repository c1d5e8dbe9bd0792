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

from processor.model import Push
from processor.signing import Verify

STANDARD = {"scheme": "standard-webhooks"}
TIMED = {"scheme": "hmac-sha256", "signs": "{timestamp}.{body}"}

# Rules by provider; `None` in a header's place is the vector's own `header_name`.
RULES: dict[str, dict[str, Any]] = {
    "api.video": {"scheme": "hmac-sha256", "header": "X-Api-Video-Signature"},
    "assemblyai": {"scheme": "token", "header": "webhook-secret"},
    "aws-sns": {"scheme": "sns", "tolerance": "65m"},
    "bitmovin": {"scheme": "hmac-sha512", "header": "Bitmovin-Signature"},
    "cloudconvert": {"scheme": "hmac-sha256", "header": "CloudConvert-Signature"},
    "cloudflare-stream": {**TIMED, "header": "Webhook-Signature", "format": "time=,sig1="},
    "cloudinary": {
        "scheme": "hash-sha1",
        "header": "X-Cld-Signature",
        "timestamp": "X-Cld-Timestamp",
        "signs": "{body}{timestamp}{secret}",
        "tolerance": "2h",
    },
    "deepgram": {"scheme": "token", "header": "dg-token"},
    "elevenlabs": {
        **TIMED,
        "header": "ElevenLabs-Signature",
        "format": "t=,v0=",
        "tolerance": "30m",
    },
    "fal": {
        "scheme": "ed25519",
        "header": "X-Fal-Webhook-Signature",
        "timestamp": "X-Fal-Webhook-Timestamp",
        "signs": "{header:X-Fal-Webhook-Request-Id}\n{header:X-Fal-Webhook-User-Id}\n"
        "{timestamp}\n{sha256}",
        "keys": "https://rest.fal.ai/.well-known/jwks.json",
        "sender": "header:X-Fal-Webhook-User-Id",
    },
    "github": {"scheme": "hmac-sha256", "header": "X-Hub-Signature-256", "format": "sha256="},
    "gitlab": {"scheme": "token", "header": "X-Gitlab-Token"},
    "heygen": {"scheme": "hmac-sha256", "header": "Signature"},
    "mux": {**TIMED, "header": "Mux-Signature", "format": "t=,v1="},
    "openai": {**STANDARD, "raw_secret": True},
    "replicate": STANDARD,
    "standard-webhooks": STANDARD,
    "stripe": {**TIMED, "header": "Stripe-Signature", "format": "t=,v1="},
    "svix": {**STANDARD, "header": "svix-signature"},
    "transloadit": {
        "scheme": "hmac-named",
        "field": "signature",
        "signs": "{field:transloadit}",
    },
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


def rule_of(vector: dict[str, Any]) -> Verify:
    """Give the rule by which a provider's pushes are verified."""
    return Verify(**RULES[vector["provider"]])


def vectors() -> list[Vector]:
    """Read them all."""
    listed = json.loads(Path(__file__).with_suffix(".json").read_text())
    return [_vector(f"{one['provider']}-{place}", one) for place, one in enumerate(listed)]


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
    return Vector(name, rule_of(one), one["secret"], push, form, now, document, one["valid"])


def _moment(push: Push) -> float:
    """When a push was sent, as far as it says so: for vectors that are judged at no time."""
    if (stamp := push.headers.get("webhook-timestamp", "")).isdigit():
        return float(stamp)
    if found := re.search(rb'"Timestamp"\s*:\s*"([^"]+)"', push.body):
        return datetime.fromisoformat(found[1].decode()).timestamp()
    return 0.0
