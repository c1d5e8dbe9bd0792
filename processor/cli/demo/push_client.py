"""What the simulated providers push, and how they sign it."""

import hmac
import http.client
import json
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from standardwebhooks.webhooks import Webhook

from processor.cli.demo.payloads import JSON, Scene


@dataclass(frozen=True)
class Push:
    """One push, due at so many seconds: signed, repeated or forged."""

    at: float
    source: str
    headers: dict[str, str]
    body: bytes
    label: str


def wistia_headers(body: bytes, secret: str) -> dict[str, str]:
    """Sign as Wistia documents it: the hex HMAC-SHA256 of the raw body."""
    signature = hmac.new(secret.encode(), body, "sha256").hexdigest()
    return {"X-Wistia-Signature": signature, "User-Agent": "Wistia-Webhooks/0.0.47"}


def standard_headers(body: bytes, secret: str, name: str) -> dict[str, str]:
    """Sign as Standard Webhooks, with that project's own library."""
    now = datetime.now(UTC)
    signature = Webhook(secret).sign(name, now, body.decode())
    stamp = str(int(now.timestamp()))
    return {"webhook-id": name, "webhook-timestamp": stamp, "webhook-signature": signature}


def pushes(scene: Scene, secrets: dict[str, str]) -> list[Push]:
    """Sign all pushes of a scene; the last comes twice, as providers do, and once forged."""
    signed = [
        _push(scene, number, at, payload, secrets)
        for number, (at, payload) in enumerate(scene.says)
    ]
    last = signed[-1]
    forged = replace(last, at=last.at + 0.2, body=last.body + b" ", label="forged")
    again = replace(last, at=last.at + 0.4, label="repeated")
    return [*signed, forged, again]


def send(url: str, push: Push) -> int:
    """Push to `/hooks/{source}`; gives the status."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=10)) as connection:
        headers = {"Content-Type": "application/json", **push.headers}
        connection.request("POST", f"/hooks/{push.source}", push.body, headers)
        return connection.getresponse().status


def _push(scene: Scene, number: int, at: float, payload: JSON, secrets: dict[str, str]) -> Push:
    secret = secrets[scene.source]
    if scene.source == "wistia":
        body = json.dumps(_dated(payload, at)).encode()
        headers = wistia_headers(body, secret)
    else:
        body = json.dumps(payload).encode()
        headers = standard_headers(body, secret, f"{scene.id}-{number}")
    return Push(at, scene.source, headers, body, "signed")


def _dated(webhook: JSON, seconds: float) -> JSON:
    """Say when each event happened, as Wistia writes it."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    when = {"generated_at": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
    return {**webhook, "events": [{**event, **when} for event in webhook["events"]]}
