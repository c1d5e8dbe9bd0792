"""Rules with two alternatives (`or`), and secrets without the prefix `whsec_`."""

import base64
import hashlib
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest
import standardwebhooks
import svix.webhooks

from processor import provider
from processor.config import load
from processor.errors import BadSignature, ConfigError
from processor.model import Push
from processor.provider import Profile
from processor.signing import (
    Key,
    Verify,
    explain,
    secret_key,
    sign_as_provider,
    signing_key,
    verify,
)

FOLDER = Path(provider.__file__).parents[1] / "providers"
NOW = 1_795_900_000.0
BODY = b'{"object_kind": "pipeline"}'
TOKEN = "a secret token"
SIGNING = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BARE = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the secret of the vectors of the official libraries


def shipped(name: str) -> Profile:
    return provider.parse(name, (FOLDER / f"{name}.toml").read_text())


def rule_of(name: str) -> Verify:
    rule = shipped(name).verify
    assert rule is not None
    return rule


def keys(rule: Verify, *secrets: str) -> list[Key]:
    return [secret_key(rule, secret) for secret in secrets]


def signed(
    secret: str, body: bytes = BODY, at: float = NOW, library: Any = standardwebhooks
) -> Any:
    """The headers of somebody else's library."""
    moment = datetime.fromtimestamp(at, UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at)),
        "webhook-signature": library.Webhook(secret).sign("msg_1", moment, body.decode()),
    }


# GitLab: a token, or a signing token ---------------------------------------------------------

GITLAB = rule_of("gitlab")
WITH_TOKEN = Push({"x-gitlab-token": TOKEN}, BODY)
WITH_SIGNATURE = Push(signed(SIGNING), BODY)
WITH_BOTH = Push({"x-gitlab-token": TOKEN, **signed(SIGNING)}, BODY)


@pytest.mark.parametrize(
    ("secrets", "pushes"),
    [
        ([TOKEN], [WITH_TOKEN, WITH_BOTH]),
        ([SIGNING], [WITH_SIGNATURE, WITH_BOTH]),
        ([TOKEN, SIGNING], [WITH_TOKEN, WITH_SIGNATURE, WITH_BOTH]),
    ],
    ids=["token", "signing token", "both"],
)
def test_a_gitlab_hook_is_verified_by_whichever_token_the_source_has(
    secrets: list[str], pushes: list[Push]
) -> None:
    for order in permutations(secrets):
        for push in pushes:
            verify(GITLAB, keys(GITLAB, *order), push, NOW)


@pytest.mark.parametrize(
    ("secrets", "push", "why"),
    [
        ([SIGNING], WITH_TOKEN, "no webhook-id header"),
        ([TOKEN], WITH_SIGNATURE, "no X-Gitlab-Token header"),
        ([TOKEN], Push({"x-gitlab-token": SIGNING}, BODY), "the token is not one"),
        ([SIGNING], Push({"x-gitlab-token": SIGNING}, BODY), "no webhook-id header"),
        ([SIGNING, TOKEN], Push({}, BODY), "no X-Gitlab-Token header"),
        ([SIGNING], Push(signed(SIGNING), BODY + b" "), "none of this source's secrets"),
        ([TOKEN, SIGNING], Push(signed(SIGNING), BODY + b" "), "none of this source's secrets"),
        ([SIGNING], Push(signed(SIGNING, at=NOW - 301), BODY), "301 s old"),
        ([], WITH_BOTH, "no secret"),
    ],
)
def test_a_secret_of_one_alternative_does_not_verify_another(
    secrets: list[str], push: Push, why: str
) -> None:
    with pytest.raises(BadSignature, match=why):
        verify(GITLAB, keys(GITLAB, *secrets), push, NOW)


def test_a_broken_signing_token_is_not_used_as_a_plain_token() -> None:
    with pytest.raises(ValueError, match="base64 of 24 to 75"):
        secret_key(GITLAB, "whsec_not-base64")


def test_each_alternative_is_signed_with_its_own_secret() -> None:
    assert sign_as_provider(GITLAB, TOKEN, BODY, NOW, "p")["headers"] == {"X-Gitlab-Token": TOKEN}
    made = sign_as_provider(GITLAB, SIGNING, BODY, NOW, "p")["headers"]
    verify(GITLAB, keys(GITLAB, SIGNING), Push(made, BODY), NOW)


def test_a_profile_with_a_token_alternative_counts_as_unsigned() -> None:
    assert not shipped("gitlab").signs
    assert shipped("cloudinary").signs


# Cloudinary: two digests, one secret ---------------------------------------------------------

CLOUDINARY = rule_of("cloudinary")


def notified(algorithm: str, key: str = "abcd", at: float = NOW) -> Push:
    time = str(int(at))
    digest = hashlib.new(algorithm, BODY + (time + key).encode()).hexdigest()
    return Push({"x-cld-signature": digest, "x-cld-timestamp": time}, BODY)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_cloudinary_accounts_of_either_digest_are_verified(algorithm: str) -> None:
    for secrets in (["abcd"], ["old", "abcd"], ["abcd", "old"]):
        verify(CLOUDINARY, keys(CLOUDINARY, *secrets), notified(algorithm), NOW + 7200)
    for push in (notified(algorithm, "wrong"), notified(algorithm, at=NOW - 7201)):
        with pytest.raises(BadSignature):
            verify(CLOUDINARY, keys(CLOUDINARY, "abcd"), push, NOW)


@pytest.mark.parametrize("algorithm", ["md5", "sha512"])
def test_other_digests_are_refused(algorithm: str) -> None:
    with pytest.raises(BadSignature, match="none of this source's secrets"):
        verify(CLOUDINARY, keys(CLOUDINARY, "abcd"), notified(algorithm), NOW)


@pytest.mark.parametrize(
    ("rule", "secret", "push"),
    [
        (CLOUDINARY, "abcd", notified("sha1")),
        (CLOUDINARY, "abcd", notified("sha256")),
        (GITLAB, TOKEN, WITH_TOKEN),
        (GITLAB, SIGNING, WITH_BOTH),
    ],
)
def test_explain_shows_the_alternative_that_is_valid(rule: Verify, secret: str, push: Push) -> None:
    steps = explain(rule, keys(rule, secret), push, NOW)
    assert steps[-1].value == "the signature is valid"
    assert [step.ok for step in steps if step.name == "expected"] == [True]
    assert all(secret not in step.value for step in steps)


# The `or` of a rule --------------------------------------------------------------------------

PLAIN = {"scheme": "hmac-sha256", "header": "X-Sig"}


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"scheme": "hmac-md5", "header": "X-Sig"}, "unknown scheme"),
        ({"scheme": "hmac-sha1"}, "needs `header`"),
        ({"scheme": "sns"}, "two schemes that use a secret"),
        ({"scheme": "token", "header": "X-T", "or": PLAIN}, "remove the `or` inside it"),
        ({"scheme": "token", "header": "X-T", "colour": 1}, "unknown field `colour`"),
    ],
)
def test_a_bad_second_alternative_is_refused(other: dict[str, Any], why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.convert({**PLAIN, "or": other}, Verify)


def test_an_error_in_the_second_alternative_names_its_line() -> None:
    text = (
        '[push]\nid = "/id"\nstatus = "/status"\n[push.verify]\nscheme = "token"\nheader = "X-T"\n'
    )
    text += '[push.verify.or]\nscheme = "hmac-sha1"\nheadre = "X-S"\n[states]\ndone = "succeeded"\n'
    with pytest.raises(ConfigError, match=r"\[push\.verify\.or\] unknown key `headre`") as refusal:
        provider.parse("acme", text)
    assert "acme.toml:9: " in str(refusal.value)


# Standard Webhooks without `whsec_` ----------------------------------------------------------

TAKE_BARE = ["standard-webhooks", "svix", "replicate", "parallel"]


@pytest.mark.parametrize("name", TAKE_BARE)
@pytest.mark.parametrize("library", [standardwebhooks, svix.webhooks])
def test_a_secret_without_its_prefix_is_the_same_secret(name: str, library: Any) -> None:
    rule = rule_of(name)
    headers = signed(BARE, library=library)
    if rule.header:
        headers = {key.replace("webhook", "svix"): value for key, value in headers.items()}
    for secret in (BARE, f"whsec_{BARE}"):
        verify(rule, keys(rule, secret), Push(headers, BODY), NOW)
    with pytest.raises(BadSignature):
        verify(rule, keys(rule, BARE), Push(headers, BODY + b"."), NOW)


def test_a_secret_without_its_prefix_can_be_configured(tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text(f'[sources.a]\nprovider = "standard-webhooks"\nwebhook_secret = "{BARE}"\n')
    assert len(load(file, {}).sources["a"].keys) == 1


@pytest.mark.parametrize("name", TAKE_BARE)
@pytest.mark.parametrize(
    "secret",
    [BARE[:-1], BARE + "\n", BARE[:28], "plain text", "Whsec_" + BARE, BARE.replace("8", "_")],
)
def test_a_key_that_is_not_strict_base64_is_refused(name: str, secret: str) -> None:
    with pytest.raises(ValueError, match="base64 of 24 to 75"):
        secret_key(rule_of(name), secret)


@pytest.mark.parametrize("name", ["standard", *TAKE_BARE])
@pytest.mark.parametrize("size", [24, 25, 26, 64, 65, 74, 75])
@pytest.mark.parametrize("library", [standardwebhooks, svix.webhooks])
def test_a_secret_as_senders_show_it_verifies(name: str, size: int, library: Any) -> None:
    """Svix takes up to 100 characters, 75 bytes; both libraries take them without padding."""
    rule, padded = rule_of(name), "whsec_" + base64.b64encode(bytes(range(size))).decode()
    headers = signed(padded, library=library)
    if rule.header:
        headers = {key.replace("webhook", "svix"): value for key, value in headers.items()}
    for secret in (padded, padded.rstrip("=")):
        verify(rule, keys(rule, secret), Push(headers, BODY), NOW)


def test_a_subscription_signs_with_what_the_specification_allows() -> None:
    for size in (23, 65, 75):
        with pytest.raises(ValueError, match="base64 of 24 to 64"):
            signing_key("whsec_" + base64.b64encode(bytes(size)).decode())
    with pytest.raises(ValueError, match="base64 of 24 to 64"):
        signing_key("whsec_" + base64.b64encode(bytes(25)).decode().rstrip("="))


def test_other_standard_webhooks_secrets_keep_their_prefix() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        secret_key(rule_of("standard"), BARE)
    assert secret_key(GITLAB, BARE).scheme == "token"


def test_openai_uses_a_secret_without_prefix_as_text() -> None:
    assert secret_key(rule_of("openai"), BARE).data == BARE.encode()


def test_raw_secret_is_true_or_base64() -> None:
    for odd in ("text", "", 1):
        with pytest.raises((ValueError, msgspec.ValidationError)):
            msgspec.convert({"scheme": "standard-webhooks", "raw_secret": odd}, Verify)
