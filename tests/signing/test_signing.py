"""Standard Webhooks signatures agree with those of other libraries, in both directions."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from hypothesis import given, strategies as st

from processor import signing
from processor.errors import BadSignature
from processor.model import Push
from processor.signing import (
    Key,
    Verify,
    decode_secret,
    private_text,
    public_text,
    secret_key,
    sign,
    signer,
    signing_key,
    verify,
)
from processor.subscription_settings import SIGNATURE_NAMES

STANDARD = Verify("standard-webhooks")
OPENAI = Verify("standard-webhooks", raw_secret=True)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = secret_key(STANDARD, SECRET)
OTHER = Key(b"o" * 24)
NOW = 1614265330.0
BODY = b'{"test": 2432232314}'
GOOD = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": GOOD,
}


def check(*keys: Key, rule: Verify = STANDARD, now: float = NOW, **headers: str) -> None:
    """Verify the push, with other headers where some are given: `signature="v1,…"`."""
    changed = {f"webhook-{name}": value for name, value in headers.items()}
    verify(rule, keys or [KEY], Push({**HEADERS, **changed}, BODY), now)


def test_a_subscription_can_name_every_signature_that_we_make() -> None:
    assert tuple(signing.SIGNATURES) == SIGNATURE_NAMES


def test_other_libraries_accept_our_signatures() -> None:
    now = int(time.time())
    signed = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign([b"k" * 24, decode_secret(SECRET)], "msg_1", now, BODY),
    }
    standardwebhooks.Webhook(SECRET).verify(BODY.decode(), signed)
    svix.webhooks.Webhook(SECRET).verify(BODY.decode(), signed)


@pytest.mark.parametrize("library", [standardwebhooks, svix.webhooks])
@given(
    key=st.binary(min_size=24, max_size=64),
    body=st.text(st.characters(codec="utf-8")),
    message_id=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
    at=st.integers(0, 4_000_000_000),
)
def test_we_accept_signatures_of_other_libraries(
    library: Any, key: bytes, body: str, message_id: str, at: int
) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    signature = library.Webhook(secret).sign(message_id, datetime.fromtimestamp(at, UTC), body)
    check_headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": signature,
    }
    ours = secret_key(STANDARD, secret)
    verify(STANDARD, [ours], Push(check_headers, body.encode()), at)
    assert sign([decode_secret(secret)], message_id, at, body.encode()) == signature


def test_the_signature_header_gives_the_names_of_the_other_two() -> None:
    at = datetime.fromtimestamp(NOW, UTC)
    signature = svix.webhooks.Webhook(SECRET).sign("msg_1", at, BODY.decode())
    headers = {"svix-id": "msg_1", "svix-timestamp": "1614265330", "svix-signature": signature}
    svix_rule = Verify("standard-webhooks", header="Svix-Signature")
    verify(svix_rule, [KEY], Push(headers, BODY), NOW)
    with pytest.raises(BadSignature, match="there is no webhook-id header"):
        verify(STANDARD, [KEY], Push(headers, BODY), NOW)


def test_any_of_several_secrets_verifies_and_without_secrets_none_does() -> None:
    check(OTHER, KEY)
    check(KEY, OTHER)
    with pytest.raises(BadSignature, match="none of this source's secrets"):
        check(OTHER)
    with pytest.raises(BadSignature, match="no secret"):
        verify(STANDARD, [], Push(HEADERS, BODY), NOW)


@pytest.mark.parametrize("age", [-300, 0, 300])
def test_five_minutes_either_way_are_allowed(age: float) -> None:
    check(now=NOW + age)


@pytest.mark.parametrize(("age", "word"), [(301, "301 s old"), (-301, "301 s in the future")])
def test_more_than_five_minutes_are_refused_with_the_reason(age: float, word: str) -> None:
    with pytest.raises(BadSignature, match=word):
        check(now=NOW + age)


@pytest.mark.parametrize("signed", [0, 299, -299])
@pytest.mark.parametrize("wrong", [600, -600, 3500, -3500])
def test_a_push_recent_by_either_of_two_clocks_is_accepted(signed: float, wrong: float) -> None:
    push = Push(HEADERS, BODY)
    verify(STANDARD, [KEY], push, NOW + signed + wrong, here=NOW + signed)
    verify(STANDARD, [KEY], push, NOW + signed, here=NOW + signed + wrong)


@pytest.mark.parametrize(
    ("now", "here", "says"),
    [
        (0, 900, "900 s behind this machine's, set both by NTP"),
        (900, 0, "900 s ahead of this machine's, set both by NTP"),
        (3601, 0, "3601 s ahead of this machine's"),  # further apart: only Redis' clock counts
        (0, -86_400, "86400 s ahead of this machine's"),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_error_names_a_difference_of_the_clocks(
    now: float, here: float, says: str, sign: int
) -> None:
    far = NOW + sign * 100_000
    with pytest.raises(BadSignature, match=f"Redis' clock is {says}") as refusal:
        verify(STANDARD, [KEY], Push(HEADERS, BODY), far + now, here=far + here)
    assert "clock of this machine" not in str(refusal.value)


def test_a_clock_difference_over_an_hour_is_not_accepted() -> None:
    with pytest.raises(BadSignature, match="3601 s in the future, more than 300"):
        verify(STANDARD, [KEY], Push(HEADERS, BODY), NOW - 3601, here=NOW)
    verify(STANDARD, [KEY], Push(HEADERS, BODY), NOW, here=NOW - 3601)


def test_if_the_clocks_agree_the_error_names_the_senders_clock() -> None:
    with pytest.raises(BadSignature, match="correct the clock of this machine or of the sender"):
        verify(STANDARD, [KEY], Push(HEADERS, BODY), NOW - 400, here=NOW - 401)


def test_the_tolerance_comes_from_the_rule() -> None:
    check(rule=Verify("standard-webhooks", tolerance="1h"), now=NOW + 3600)
    with pytest.raises(BadSignature, match="61 s old, more than 60"):
        check(rule=Verify("standard-webhooks", tolerance="1m"), now=NOW + 61)


def test_a_valid_signature_counts_among_unknown_entries() -> None:
    for noise in ("garbage", "v1", "v1,", "v1,%%%", "v1a,AAAA", ",", "v2," + GOOD[3:]):
        for both in (
            f"{noise} {GOOD}",
            f"{GOOD} {noise}",
            f"  {noise}  {GOOD} ",
            f"{noise}\t{GOOD}",
        ):
            check(signature=both)
        with pytest.raises(BadSignature):
            check(signature=noise)


def test_at_most_sixteen_signatures_are_checked() -> None:
    check(signature="v1,no " * 15 + GOOD)
    check(signature="v2,no " * 99 + GOOD)  # no signatures of a version that we know
    with pytest.raises(BadSignature):
        check(signature="v1,no " * 16 + GOOD)


BAD_TIMESTAMPS = [
    "", "hello", "1614265330.0", "-1614265330", "+1614265330", " 1614265330", "1_614_265_330",
    "1e9", "٣", "²", "9" * 13, "9" * 5000, "0x60", "nan", "inf",
]  # fmt: skip


@pytest.mark.parametrize("timestamp", BAD_TIMESTAMPS)
def test_a_timestamp_is_whole_seconds_and_nothing_else(timestamp: str) -> None:
    with pytest.raises(BadSignature):
        check(timestamp=timestamp)


@pytest.mark.parametrize("name", ["id", "timestamp", "signature"])
@pytest.mark.parametrize("value", ["", "é", "\udcff", "\x00", "x" * 65_536])
def test_a_malformed_header_is_a_bad_signature(name: str, value: str) -> None:
    with pytest.raises(BadSignature):
        check(**{name: value})


def test_a_public_key_checks_v1a_and_only_that() -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    key = secret_key(STANDARD, "whpk_" + base64.b64encode(public).decode())
    content = f"{HEADERS['webhook-id']}.{HEADERS['webhook-timestamp']}.".encode() + BODY
    signature = "v1a," + base64.b64encode(private.sign(content)).decode()
    check(key, signature=f"{GOOD} {signature}")
    check(KEY, key, signature=GOOD)
    check(key, OTHER, signature=signature)
    for other in (GOOD, signature.replace("v1a", "v1"), signature[:-2], "v1a,", "v1a,é"):
        with pytest.raises(BadSignature):
            check(key, signature=other)


def test_a_raw_secret_is_the_key_and_allows_signatures_without_version() -> None:
    key = secret_key(OPENAI, "synthetic-webhook-secret")
    at, message_id = int(NOW), HEADERS["webhook-id"]
    signature = sign([b"synthetic-webhook-secret"], message_id, at, BODY)
    check(key, rule=OPENAI, signature=signature)
    check(key, rule=OPENAI, signature="noise\t" + signature.removeprefix("v1,"))
    check(rule=OPENAI)  # a `whsec_` one is decoded all the same
    with pytest.raises(BadSignature):
        check(key, rule=STANDARD, signature=signature.removeprefix("v1,"))
    with pytest.raises(ValueError, match="whsec_"):
        secret_key(OPENAI, "whsec_not-base64")


BAD_SECRETS = [
    "", "whsec_", SECRET[6:], SECRET + "\n", SECRET[:-1], "WHSEC_" + SECRET[6:],
    "whsec_" + SECRET, "whsec_é" * 9, "whsec_" + "A" * 28, "whsec_" + "A" * 88,
    "whsec_" + "A" * 28 + "=====", "whsec_" + "A" * 30 + "B=",
]  # fmt: skip


@pytest.mark.parametrize("secret", BAD_SECRETS)
def test_a_bad_secret_is_refused_with_a_remedy_and_not_quoted(secret: str) -> None:
    with pytest.raises(ValueError, match="openssl rand -base64 32") as refusal:
        decode_secret(secret)
    assert SECRET[6:-1] not in str(refusal.value)


@pytest.mark.parametrize("secret", ["whpk_", "whpk_" + "A" * 44, "whpk_" + SECRET[6:], "whpk_é"])
def test_a_bad_public_key_is_refused_with_the_remedy(secret: str) -> None:
    with pytest.raises(ValueError, match="base64 of 32 bytes"):
        secret_key(STANDARD, secret)


def test_the_repr_of_a_key_is_redacted() -> None:
    assert "o" * 3 not in f"{OTHER} {OTHER!r} {[OTHER]}"


# --- Ed25519 --------------------------------------------------------------------------------

SEED = bytes(range(32))
PRIVATE = private_text(SEED)
CONTENT = f"{HEADERS['webhook-id']}.{HEADERS['webhook-timestamp']}.".encode() + BODY


def test_what_we_sign_with_a_private_key_its_public_key_verifies() -> None:
    key = signing_key(PRIVATE)
    signature = sign([key], HEADERS["webhook-id"], int(NOW), BODY)
    public = base64.b64decode(public_text(key).removeprefix("whpk_"))
    theirs = Ed25519PublicKey.from_public_bytes(public)
    theirs.verify(base64.b64decode(signature.removeprefix("v1a,")), CONTENT)
    check(secret_key(STANDARD, public_text(key)), signature=signature)


@given(seed=st.binary(min_size=32, max_size=32), body=st.binary())
def test_a_v1a_signature_equals_that_of_cryptography(seed: bytes, body: bytes) -> None:
    theirs = Ed25519PrivateKey.from_private_bytes(seed)
    expected = base64.b64encode(theirs.sign(b"msg_1.1." + body)).decode()
    assert sign([signing_key(private_text(seed))], "msg_1", 1, body) == f"v1a,{expected}"


def test_a_private_key_is_written_with_its_public_half_and_read_without_it_too() -> None:
    assert len(base64.b64decode(PRIVATE.removeprefix("whsk_"))) == 64
    alone = "whsk_" + base64.b64encode(SEED).decode()
    assert signing_key(alone) == signing_key(PRIVATE) == Key(SEED, private=True)


def test_secrets_and_private_keys_sign_together_in_order() -> None:
    both = sign([signing_key(PRIVATE), signing_key(SECRET)], "msg_1", 1, BODY).split()
    assert [entry.partition(",")[0] for entry in both] == ["v1a", "v1"]
    assert both[1] == sign([decode_secret(SECRET)], "msg_1", 1, BODY)


def test_a_public_key_cannot_sign() -> None:
    with pytest.raises(ValueError, match="public key cannot sign"):
        sign([Key(b"p" * 32, public=True)], "msg_1", 1, BODY)


BAD_PRIVATE_KEYS = [
    "whsk_", "whsk_é", "whsk_AAAA", PRIVATE + "\n", PRIVATE[:-4], PRIVATE[:-2] + "A=", "WHSK_" + PRIVATE[5:],
    "whsk_" + base64.b64encode(SEED + b"p" * 32).decode(),  # somebody else's public half
    "whpk_" + base64.b64encode(SEED).decode(),
]  # fmt: skip


@pytest.mark.parametrize("secret", BAD_PRIVATE_KEYS)
def test_a_bad_private_key_is_refused_with_a_remedy_and_not_quoted(secret: str) -> None:
    with pytest.raises(ValueError, match="openssl rand -base64 32") as refusal:
        signing_key(secret)
    assert PRIVATE[5:-4] not in str(refusal.value)


def test_a_secret_of_the_wrong_type_for_the_signature_is_refused() -> None:
    assert signer("v1", SECRET) == KEY
    assert signer("v1a", PRIVATE) == signing_key(PRIVATE)
    for signature, secret in (("v1a", SECRET), ("v1", PRIVATE)):
        with pytest.raises(ValueError, match="begins with"):
            signer(signature, secret)


def test_the_repr_of_a_private_key_is_redacted() -> None:
    assert "\\x01" not in f"{signing_key(PRIVATE)!r}"


# --- in JavaScript --------------------------------------------------------------------------

NODE = shutil.which("node")
NATIVE = """
const crypto = require("node:crypto");
const [signature, content, secret, publicKey] = JSON.parse(require("fs").readFileSync(0));
const bytes = Buffer.from(content, "base64"), by = {};
for (const entry of signature.split(" ")) by[entry.split(",")[0]] = entry.split(",")[1];
const key = {kty: "OKP", crv: "Ed25519", x: Buffer.from(publicKey, "base64").toString("base64url")};
const made = crypto.createHmac("sha256", Buffer.from(secret, "base64")).update(bytes);
const good = crypto.verify(null, bytes, crypto.createPublicKey({key, format: "jwk"}),
                           Buffer.from(by.v1a, "base64"));
console.log(JSON.stringify([made.digest("base64") === by.v1, good]));
"""
VERIFIES = """
const { Webhook } = require("standardwebhooks");
const [secrets, body, headers] = JSON.parse(require("fs").readFileSync(0));
const verdict = (secret) => {
  try { return new Webhook(secret).verify(body, headers); } catch (error) { return error.name; }
};
console.log(JSON.stringify(secrets.map(verdict)));
"""
SIGNS = """
const { Webhook } = require("standardwebhooks");
const given = JSON.parse(require("fs").readFileSync(0));
const signed = ([secret, id, at, body]) => new Webhook(secret).sign(id, new Date(at * 1000), body);
console.log(JSON.stringify(given.map(signed)));
"""
MODULES = Path(sys.prefix, "npm", "node_modules")  # where `make setup` puts it


def in_node(script: str, values: Any) -> Any:
    """What a script prints as JSON; the test is skipped where it lacks what it requires."""
    assert NODE
    places = filter(None, (os.environ.get("NODE_PATH"), str(MODULES)))
    done = subprocess.run(
        [NODE, "-e", script],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NODE_PATH": os.pathsep.join(places)},
    )
    if "Cannot find module 'standardwebhooks'" in done.stderr:
        pytest.skip(
            f"no npm package standardwebhooks in NODE_PATH, nor from `make setup` in {MODULES}"
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not NODE, reason="there is no node")
def test_node_verifies_both_kinds_of_signature() -> None:
    key = signing_key(PRIVATE)
    signature = sign([signing_key(SECRET), key], HEADERS["webhook-id"], int(NOW), BODY)
    content = base64.b64encode(CONTENT).decode()
    values = [signature, content, SECRET[6:], public_text(key)[5:]]
    assert in_node(NATIVE, values) == [True, True]


NEW_SECRET = "whsec_" + base64.b64encode(bytes(range(64))).decode()


@pytest.mark.skipif(not NODE, reason="there is no node")
def test_the_library_for_javascript_accepts_what_we_sign_with_either_secret_of_a_rotation() -> None:
    now, body = int(time.time()), '{"naïve": "☃ 🎬"}'
    keys = [signing_key(PRIVATE), signing_key(NEW_SECRET), signing_key(SECRET)]
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign(keys, "msg_1", now, body.encode()),
    }
    nobodys = "whsec_" + base64.b64encode(OTHER.data).decode()
    verdicts = in_node(VERIFIES, [[NEW_SECRET, SECRET, nobodys], body, headers])
    assert verdicts == [json.loads(body), json.loads(body), "WebhookVerificationError"]


@pytest.mark.skipif(not NODE, reason="there is no node")
def test_we_accept_what_the_library_for_javascript_signs() -> None:
    bodies = "", BODY.decode(), '{"naïve": "☃ 🎬"}', " \r\n\t", "\x00"
    values = [
        [s, f"msg_{at}", at, b] for s in (SECRET, NEW_SECRET) for at in (0, NOW) for b in bodies
    ]
    signatures = in_node(SIGNS, values)
    assert len(signatures) == len(values)
    for (secret, message_id, at, body), signature in zip(values, signatures, strict=True):
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at)),
            "webhook-signature": signature,
        }
        verify(STANDARD, [OTHER, secret_key(STANDARD, secret)], Push(headers, body.encode()), at)
        with pytest.raises(BadSignature):
            verify(STANDARD, [OTHER], Push(headers, body.encode()), at)
