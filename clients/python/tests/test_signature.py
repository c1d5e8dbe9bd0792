"""`verify` believes what the library of Standard Webhooks believes, and nothing else."""

import base64
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ringback import BadSignature, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # Standard Webhooks' own example
OTHER = "whsec_" + base64.b64encode(b"another secret of enough bytes").decode()
BODY = json.dumps(
    {"type": "job.succeeded", "timestamp": "2026-11-22T10:00:00Z", "data": {"id": "ä"}}
)


def headers_of(body: str, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    now = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(secret).sign("evt_1", now, body),
    }


@pytest.mark.parametrize("body", [BODY, BODY.encode()])
@pytest.mark.parametrize("secrets", [[SECRET], [OTHER, SECRET], [SECRET.removeprefix("whsec_")]])
def test_a_genuine_callback_is_its_event(body: Any, secrets: list[str]) -> None:
    event = verify(headers_of(BODY), body, *secrets)
    assert (event.id, event.type, event.data) == ("evt_1", "job.succeeded", {"id": "ä"})
    assert event.timestamp == datetime(2026, 11, 22, 10, tzinfo=UTC)


def test_names_of_headers_may_have_any_case() -> None:
    headers = {name.title(): value for name, value in headers_of(BODY).items()}
    assert verify(headers, BODY, SECRET).id == "evt_1"


def test_one_of_several_signatures_is_enough() -> None:
    headers = headers_of(BODY)
    both = (
        headers_of(BODY, OTHER)["webhook-signature"]
        + " v1a,bm8= v9,x "
        + headers["webhook-signature"]
    )
    assert verify(headers | {"webhook-signature": both}, BODY, SECRET)


@pytest.mark.parametrize(
    ("change", "body", "secrets"),
    [
        ({}, BODY + " ", [SECRET]),
        ({}, BODY, [OTHER]),
        ({}, BODY, []),
        ({"webhook-id": "evt_2"}, BODY, [SECRET]),
        ({"webhook-timestamp": "soon"}, BODY, [SECRET]),
        ({"webhook-signature": ""}, BODY, [SECRET]),
        ({"webhook-signature": "v1"}, BODY, [SECRET]),
        ({}, BODY, ["whsec_not base64!"]),
        ({"webhook-timestamp": "9" * 400}, BODY, [SECRET]),
        ({"webhook-timestamp": "-1"}, BODY, [SECRET]),
        ({"webhook-id": "\udcff"}, BODY, [SECRET]),  # a byte that is not UTF-8, by surrogateescape
        ({"webhook-signature": "v1,\udcff"}, BODY, [SECRET]),
        ({}, "\ud800", [SECRET]),
    ],
)
def test_everything_else_is_refused(change: dict[str, str], body: str, secrets: list[str]) -> None:
    with pytest.raises(BadSignature):
        verify(headers_of(BODY) | change, body, *secrets)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name: str) -> None:
    headers = headers_of(BODY)
    del headers[name]
    with pytest.raises(BadSignature, match=name):
        verify(headers, BODY, SECRET)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_an_old_or_early_callback_is_refused(seconds: float) -> None:
    headers = headers_of(BODY, at=time.time() + seconds)
    with pytest.raises(BadSignature, match="webhook-timestamp"):
        verify(headers, BODY, SECRET)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(BODY, headers)


def test_a_public_key_verifies_v1a() -> None:
    private = Ed25519PrivateKey.generate()
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    headers = headers_of(BODY)
    signed = f"evt_1.{headers['webhook-timestamp']}.{BODY}".encode()
    text = base64.b64encode(private.sign(signed)).decode()
    headers["webhook-signature"] = f"v1a,{text}"
    public = "whpk_" + base64.b64encode(raw).decode()
    assert verify(headers, BODY, public).id == "evt_1"
    with pytest.raises(BadSignature):
        verify(headers, BODY + " ", public)


@pytest.mark.parametrize("secret", ["", "whsec_", "whpk_", "!!!!"])
def test_an_empty_secret_verifies_nothing(secret: str) -> None:
    headers = headers_of(BODY)
    signed = f"evt_1.{headers['webhook-timestamp']}.{BODY}".encode()
    text = base64.b64encode(hmac.digest(b"", signed, "sha256")).decode()
    with pytest.raises(BadSignature, match="empty"):
        verify(headers | {"webhook-signature": f"v1,{text}"}, BODY, secret)


@pytest.mark.parametrize("body", ["", "x", "[1]", "{}", '{"type":"x","timestamp":5,"data":{}}'])
def test_a_signed_body_that_is_not_an_event_is_refused(body: str) -> None:
    with pytest.raises(BadSignature, match="format"):
        verify(headers_of(body), body, SECRET)


def test_a_damaged_signature_does_not_hide_a_good_one() -> None:
    public = "whpk_" + base64.b64encode(b"k" * 32).decode()
    headers = headers_of(BODY)
    both = f"v1a,A {headers['webhook-signature']}"
    assert verify(headers | {"webhook-signature": both}, BODY, public, SECRET)
