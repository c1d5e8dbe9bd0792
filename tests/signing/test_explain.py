"""`explain` shows every step of a verification, with secrets redacted."""

import base64
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, strategies as st

from processor.errors import BadSignature
from processor.model import Push
from processor.signing import (
    SCHEMES,
    ExplainStep,
    Verify,
    explain,
    secret_key,
    sign_as_provider,
    verify,
)

VECTORS = runpy.run_path(str(Path(__file__).parent / "vectors" / "signatures.py"))
KNOWN: list[Any] = VECTORS["vectors"]()
NOW = 1_700_000_000.0
BODY = b'{"id": "job-1"}'
MORE: list[dict[str, Any]] = [
    {"scheme": "hmac-sha1", "header": "X-Sig", "encoding": "base64", "format": "sha1="},
    {"scheme": "hmac-sha384", "header": "X-Sig", "encoding": "base64url"},
    {"scheme": "hmac-sha256", "header": "X-Sig", "signs": "v0:{header:X-Id}:{sha256}"},
    {"scheme": "hmac-named", "header": "X-Sig"},
    {
        "scheme": "hash-sha256",
        "header": "X-Sig",
        "format": "ts=;h=",
        "signs": "{timestamp}{field:a}{secret}",
    },
    {"scheme": "token", "header": "Authorization", "format": "Bearer ", "query": "access_token"},
    {"scheme": "token", "query": "a token"},
    {"scheme": "token", "field": "token"},
]
RULES = [
    rule
    for rule in (
        *VECTORS["RULES"].values(),
        *(Verify(**t) for t in MORE),
    )
    if SCHEMES[rule.scheme].maker
]
PUBLISHED = [VECTORS["RULES"][name] for name in ("fal", "aws-sns")]

texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=80)
bodies = st.text(st.characters(codec="utf-8"), max_size=300).map(str.encode)


def secret_of(rule: Verify, text: str) -> str:
    """A secret that the scheme takes, made of a text."""
    if rule.scheme != "standard-webhooks":
        return text
    return "whsec_" + base64.b64encode(text.encode().ljust(24)[:64]).decode()


def pushed(rule: Verify, secret: str, body: bytes, now: float = NOW) -> Push:
    """What arrives when the provider sends this body."""
    sent = sign_as_provider(rule, secret, body, now, "push-1")
    headers = {name.lower(): value for name, value in sent["headers"].items()}
    if sent["form"] is None:
        return Push(headers, body, sent["query"])
    headers["content-type"] = "application/x-www-form-urlencoded"
    return Push(headers, urlencode(sent["form"]).encode(), sent["query"])


@given(st.sampled_from(RULES), texts, bodies, st.integers(0, 4_000_000_000))
def test_a_simulated_signature_verifies_with_its_secret_only(
    rule: Verify, text: str, body: bytes, now: int
) -> None:
    secret = secret_of(rule, text)
    push = pushed(rule, secret, body, now)
    verify(rule, [secret_key(rule, secret)], push, now)
    with pytest.raises(BadSignature):
        verify(rule, [secret_key(rule, secret_of(rule, "~" + text))], push, now)


def test_every_scheme_with_a_secret_can_be_simulated() -> None:
    secret = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    for rule in (*PUBLISHED, Verify("standard-webhooks")):
        with pytest.raises(ValueError, match="private key that only the provider has"):
            sign_as_provider(rule, secret, BODY, NOW, "push-1")
    assert {rule.scheme for rule in (*RULES, *PUBLISHED)} >= set(SCHEMES) - {"hash-sha1"}


def test_a_simulated_signature_lists_headers_query_and_form() -> None:
    timed = VECTORS["RULES"]["cloudinary"]
    sent = sign_as_provider(timed, "shh", BODY, NOW, "push-1")
    assert set(sent["headers"]) == {"X-Cld-Timestamp", "X-Cld-Signature"}
    assert sent["headers"]["X-Cld-Timestamp"] == "1700000000"
    form = sign_as_provider(VECTORS["RULES"]["transloadit"], "shh", BODY, NOW, "push-1")["form"]
    assert form
    assert form["transloadit"] == BODY.decode()
    assert form["signature"].startswith("sha384:")
    in_url = sign_as_provider(Verify("token", query="token"), "s/ +%&=", BODY, NOW, "push-1")
    assert in_url == {"headers": {}, "query": "token=s%2F%20%2B%25%26%3D", "form": None}


def shown(steps: Sequence[ExplainStep]) -> str:
    return "\n".join(step.value for step in steps)


@given(st.sampled_from(RULES), texts, texts, bodies)
def test_no_secret_and_no_signature_is_shown(
    rule: Verify, text: str, other: str, body: bytes
) -> None:
    """Not even where they turn up in the body, or where what was given is wrong."""
    secrets = [secret_of(rule, text), secret_of(rule, other)]
    keys = [secret_key(rule, secret) for secret in secrets]
    hidden = [*secrets, *(secret.removeprefix("whsec_") for secret in secrets)]
    for content in (body, f"{body.decode()} {secrets[0]} {secrets[1]}".encode()):
        push = pushed(rule, secrets[0], content)
        given = SCHEMES[rule.scheme].reader(rule)(push).signatures
        for tried in (push, Push(push.headers, push.body + b"!", push.query)):
            value = shown(explain(rule, keys, tried, NOW))
            assert not [one for one in (*hidden, *given) if one in value]


@pytest.mark.parametrize("known", KNOWN, ids=[known.name for known in KNOWN])
def test_the_verdict_equals_the_result_of_verify(known: Any) -> None:
    keys: list[Any] = []
    if known.secret and SCHEMES[known.rule.scheme].key:
        keys = [secret_key(known.rule, known.secret)]
    steps = explain(known.rule, keys, known.push, known.now, known.document)
    assert (steps[-1].name, steps[-1].ok) == ("verdict", known.valid)


MUX = VECTORS["RULES"]["mux"]


def explained(rule: Verify, push: Push, *secrets: str, now: float = NOW) -> dict[str, ExplainStep]:
    """The last step of each name."""
    keys = [secret_key(rule, secret) for secret in secrets]
    return {step.name: step for step in explain(rule, keys, push, now)}


def test_a_good_push_is_explained() -> None:
    push = pushed(MUX, "shh, secret", BODY)
    steps = explained(MUX, push, "shh, secret")
    signature = push.headers["mux-signature"].partition("v1=")[2]
    masked = f"{signature[:6]}…{signature[-4:]} (64 characters)"
    assert {name: (step.value, step.ok) for name, step in steps.items()} == {
        "header": (f"Mux-Signature: t=1700000000,v1={masked}", True),
        "timestamp": ("1700000000, 0 s before now; 300 s are allowed", True),
        "signed": (f"26 bytes: 1700000000.{BODY.decode()}", None),
        "expected": (f"by key 1: {masked}", True),
        "given": (masked, True),
        "verdict": ("the signature is valid", True),
    }


def test_a_wrong_secret_shows_the_expected_signature() -> None:
    steps = explained(MUX, pushed(MUX, "another one", BODY), "shh, secret")
    assert (steps["expected"].ok, steps["given"].ok, steps["timestamp"].ok) == (False, False, True)
    assert "none of this source's secrets" in steps["verdict"].value


def test_an_old_push_shows_its_timestamp() -> None:
    steps = explained(MUX, pushed(MUX, "shh, secret", BODY), "shh, secret", now=NOW + 400)
    assert steps["timestamp"] == ExplainStep(
        "timestamp", "1700000000, 400 s before now; 300 s are allowed", ok=False
    )
    assert (steps["given"].ok, steps["verdict"].ok) == (True, False)


def test_a_missing_header_is_named() -> None:
    steps = explained(MUX, Push({}, BODY), "shh, secret")
    assert steps["header"] == ExplainStep("header", "Mux-Signature: not there", ok=False)
    assert steps["verdict"].value == "there is no Mux-Signature header"


def test_a_signed_secret_is_shown_as_a_dot() -> None:
    rule = Verify("hash-sha1", header="X-Sig", signs="{body}{secret}")
    assert explained(rule, pushed(rule, "shh, secret", BODY), "shh, secret")["signed"].value == (
        f"15 bytes and the secret •: {BODY.decode()}•"
    )


def test_a_long_body_is_cut_to_two_hundred_characters() -> None:
    signed = explained(MUX, pushed(MUX, "shh, secret", b"x" * 9000), "shh, secret")["signed"].value
    assert signed.startswith("9011 bytes: 1700000000.xxx")
    assert len(signed) < 220


def test_a_token_is_redacted_and_a_short_one_wholly() -> None:
    rule = Verify("token", header="X-Token")
    steps = explained(rule, pushed(rule, "glsecret", BODY), "glsecret")
    assert steps["header"].value == "X-Token: … (8 characters)"
    assert "signed" not in steps


def test_the_keys_url_is_shown_and_amazons_is_checked() -> None:
    fal, sns = PUBLISHED
    assert (
        explained(fal, Push({}, BODY))["keys"].value == "https://rest.fal.ai/.well-known/jwks.json"
    )
    step = explained(sns, Push({}, b'{"SigningCertURL": "https://evil.example/a.pem"}'))["keys"]
    assert (step.ok, "evil" in step.value) == (False, False)
