"""Handshakes and challenges of providers, and the status codes that they require."""

import hmac
import json
from urllib.parse import urlencode

import pytest

from .calling import Web, refused

TOKEN = "a token that was made up"
JSON = {"content-type": "application/json"}
ASKING = {"webhook-request-origin": "events.example", "webhook-request-rate": "120"}


async def test_a_cloudevents_handshake_is_allowed(web: Web) -> None:
    answer = await web("OPTIONS", "/hooks/clouds", headers=ASKING)
    assert answer.status_code == 200
    assert answer.headers["webhook-allowed-origin"] == "events.example"
    assert answer.headers["webhook-allowed-rate"] == "*"
    assert answer.headers["allow"] == "POST, OPTIONS"


@pytest.mark.parametrize("source", ["feed", "wistia", "ci"])
async def test_options_of_other_sources_lists_the_methods(web: Web, source: str) -> None:
    answer = await web("OPTIONS", f"/hooks/{source}", headers=ASKING)
    assert (answer.status_code, answer.headers["allow"]) == (200, "POST, OPTIONS")
    assert "webhook-allowed-origin" not in answer.headers


@pytest.mark.parametrize("source", ["nobody", "bluesky", "unsigned", "anyones"])
async def test_options_of_a_source_without_pushes_is_404(web: Web, source: str) -> None:
    refused(await web("OPTIONS", f"/hooks/{source}", headers=ASKING), 404)


async def test_a_cloudevents_token_may_come_in_the_url(web: Web) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
    event |= {"data": {"id": "job-1", "status": "running"}}
    headers = {"content-type": "application/cloudevents+json"}
    body = json.dumps(event)
    good = await web("POST", f"/hooks/clouds?access_token={TOKEN}", content=body, headers=headers)
    assert good.json() == {"accepted": 1, "duplicates": 0, "ignored": 0}
    headers["authorization"] = f"Bearer {TOKEN}"
    again = await web("POST", "/hooks/clouds", content=body, headers=headers)
    assert again.json() == {"accepted": 0, "duplicates": 1, "ignored": 0}
    for query in ("", "?access_token=", "?access_token=other", "?token=" + TOKEN):
        bare = {"content-type": "application/cloudevents+json"}
        refused(await web("POST", f"/hooks/clouds{query}", content=body, headers=bare), 401)


async def test_a_provider_that_requires_200_gets_200(web: Web) -> None:
    headers = JSON | {"x-gitlab-token": TOKEN}
    body = {"object_kind": "pipeline", "project": {"id": 7}}
    body |= {"object_attributes": {"id": 31, "status": "running"}}
    answer = await web("POST", "/hooks/ci", body, headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    ignored = await web("POST", "/hooks/ci", {"object_kind": "push"}, headers=headers)
    assert (ignored.status_code, ignored.json()["ignored"]) == (200, 1)


async def test_a_verified_challenge_is_echoed_and_no_other(web: Web) -> None:
    asked = {"challenge": "xyz"}
    good = await web("POST", "/hooks/challenger", asked, headers={"x-token": "made up"})
    assert (good.status_code, good.json()) == (200, {"answer": "xyz"})
    refused(await web("POST", "/hooks/challenger", asked, headers={"x-token": "other"}), 401)


async def test_a_form_is_accepted_only_from_providers_that_send_forms(web: Web) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    refused(await web("POST", "/hooks/forms", content="a=1", headers=form), 401)
    refused(await web("POST", "/hooks/feed", content="a=1", headers=form), 415)
    refused(await web("POST", "/hooks/forms", content="a=1", headers={"content-type": "a/b"}), 415)


async def test_a_signature_with_shared_keys_needs_a_known_sender(web: Web) -> None:
    """Without configured senders no push is accepted; an unknown sender is refused before a key is fetched."""
    body = json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:1:evil"})
    text = {"content-type": "text/plain; charset=UTF-8"}
    detail = refused(await web("POST", "/hooks/anyones", content=body, headers=text), 404)
    assert "senders" in detail
    detail = refused(await web("POST", "/hooks/topic", content=body, headers=text), 401)
    assert "'arn:aws:sns:us-east-1:1:evil', which is not among the `senders`" in detail


async def test_a_stranger_cannot_put_a_job_in_front_of_a_form_that_was_signed(web: Web) -> None:
    """Whoever has seen one push of the provider can send it again, with something before it."""
    assembly = json.dumps({"ok": "ASSEMBLY_EXECUTING", "assembly_id": "seen"})
    made = hmac.new(b"made up", assembly.encode(), "sha384").hexdigest()
    seen = urlencode({"transloadit": assembly, "signature": f"sha384:{made}"})
    forged = json.dumps({"ok": "ASSEMBLY_COMPLETED", "assembly_id": "victim", "results": {}})
    for content in (f"{forged}&{seen}", seen):
        form = {"content-type": "application/x-www-form-urlencoded"}
        await web("POST", "/hooks/forms", content=content, headers=form)
    await web.ingest()
    refused(await web("GET", "/v1/jobs/forms/victim"), 404)
    assert (await web("GET", "/v1/jobs/forms/seen")).json()["state"] == "running"


async def test_a_body_of_almost_too_long_numbers_is_refused_before_any_signature(web: Web) -> None:
    """It is read before it is verified, so nothing in it may take long."""
    digits = "x".join(["1" * 4300] * 229)
    body = f'{{"z": NaN, "a": "{digits}", "b": {"2" * 4301}}}'
    text = {"content-type": "text/plain"}
    detail = refused(await web("POST", "/hooks/topic", content=body, headers=text), 401)
    assert "not an SNS message" in detail
