"""Signatures hold or are refused: published vectors, other people's libraries, and vandals."""

import base64
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given, settings, strategies as st

from processor.errors import BadSignature
from processor.signing import Verify, decode_secret, secret_key, sign, verify

STANDARD = Verify("standard-webhooks")
PLAIN = Verify("hmac-sha256", header="X-Wistia-Signature")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = decode_secret(SECRET)
NOW = 1614265330.0
BODY = b'{"test": 2432232314}'
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
VECTORS = json.loads((Path(__file__).parent / "vectors" / "signatures.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=[v["name"] for v in VECTORS])
def test_published_vectors_come_out_as_published(vector: dict[str, Any]) -> None:
    rule = Verify(**vector["rule"])

    def check() -> None:
        keys = [secret_key(rule, vector["secret"])]
        verify(rule, keys, vector["headers"], vector["body"].encode(), vector["now"])

    if vector["valid"]:
        check()
    else:
        with pytest.raises((BadSignature, ValueError)):
            check()


def test_what_we_sign_the_other_libraries_accept() -> None:
    now = int(time.time())
    signed = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign([b"k" * 24, KEY], "msg_1", now, BODY),
    }
    standardwebhooks.Webhook(SECRET).verify(BODY.decode(), signed)
    svix.webhooks.Webhook(SECRET).verify(BODY.decode(), signed)


@pytest.mark.parametrize("library", [standardwebhooks, svix.webhooks])
def test_what_the_other_libraries_sign_we_accept(library: Any) -> None:
    at = datetime.fromtimestamp(NOW, UTC)
    signature = library.Webhook(SECRET).sign("msg_1", at, BODY.decode())
    headers = {**HEADERS, "webhook-id": "msg_1", "webhook-signature": signature}
    verify(STANDARD, [KEY], headers, BODY, NOW)
    assert sign([KEY], "msg_1", int(NOW), BODY) == signature


@pytest.mark.parametrize("place", ["body", *HEADERS])
def test_any_changed_byte_is_refused(place: str) -> None:
    original = BODY if place == "body" else HEADERS[place].encode()
    for index in range(len(original)):
        changed = bytearray(original)
        changed[index] ^= 1
        body = bytes(changed) if place == "body" else BODY
        headers = HEADERS if place == "body" else {**HEADERS, place: changed.decode()}
        with pytest.raises(BadSignature):
            verify(STANDARD, [KEY], headers, body, NOW)


def test_any_changed_byte_of_a_plain_hmac_is_refused() -> None:
    key = secret_key(PLAIN, "shh")
    signature = "4c6cbf993d582a5110680a0ceb0a724137840be984a782bc6b12df577db24578"
    for index in range(len(signature)):
        changed = signature[:index] + chr(ord(signature[index]) ^ 1) + signature[index + 1 :]
        with pytest.raises(BadSignature):
            verify(PLAIN, [key], {"x-wistia-signature": changed}, BODY, NOW)


def test_any_of_several_secrets_will_do_and_no_secret_never() -> None:
    other = b"o" * 24
    verify(STANDARD, [other, KEY], HEADERS, BODY, NOW)
    verify(STANDARD, [KEY, other], HEADERS, BODY, NOW)
    with pytest.raises(BadSignature, match="none of this source's secrets"):
        verify(STANDARD, [other], HEADERS, BODY, NOW)
    with pytest.raises(BadSignature, match="no secret"):
        verify(STANDARD, [], HEADERS, BODY, NOW)


@pytest.mark.parametrize("age", [-300, 0, 300])
def test_five_minutes_either_way_are_tolerated(age: float) -> None:
    verify(STANDARD, [KEY], HEADERS, BODY, NOW + age)


@pytest.mark.parametrize(("age", "word"), [(301, "301 s old"), (-301, "301 s ahead")])
def test_more_than_five_minutes_are_refused_with_the_reason(age: float, word: str) -> None:
    with pytest.raises(BadSignature, match=word):
        verify(STANDARD, [KEY], HEADERS, BODY, NOW + age)


def test_a_good_signature_counts_among_entries_that_mean_nothing() -> None:
    good = HEADERS["webhook-signature"]
    for noise in ("garbage", "v1", "v1,", "v1,%%%", "v1a,AAAA", ",", "v2," + good[3:]):
        for both in (f"{noise} {good}", f"{good} {noise}", f"  {noise}  {good} "):
            verify(STANDARD, [KEY], {**HEADERS, "webhook-signature": both}, BODY, NOW)
        with pytest.raises(BadSignature):
            verify(STANDARD, [KEY], {**HEADERS, "webhook-signature": noise}, BODY, NOW)


BAD_TIMESTAMPS = [
    "", "hello", "1614265330.0", "-1614265330", "+1614265330", " 1614265330", "1_614_265_330",
    "1e9", "٣", "²", "9" * 13, "9" * 5000, "0x60", "nan", "inf",
]  # fmt: skip


@pytest.mark.parametrize("timestamp", BAD_TIMESTAMPS)
def test_a_timestamp_is_whole_seconds_and_nothing_else(timestamp: str) -> None:
    with pytest.raises(BadSignature):
        verify(STANDARD, [KEY], {**HEADERS, "webhook-timestamp": timestamp}, BODY, NOW)


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("value", ["", "é", "\udcff", "\x00", "x" * 65_536])
def test_a_malformed_header_is_a_bad_signature(name: str, value: str) -> None:
    with pytest.raises(BadSignature):
        verify(STANDARD, [KEY], {**HEADERS, name: value}, BODY, NOW)


@pytest.mark.parametrize("value", ["", "é", "\udcff", "ab", "sha256=ab", "zz" * 32, " " * 64])
def test_a_malformed_hex_signature_is_a_bad_signature(value: str) -> None:
    with pytest.raises(BadSignature):
        verify(PLAIN, [b"shh"], {"x-wistia-signature": value}, BODY, NOW)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*HEADERS, "x-wistia-signature"]),
        st.text() | st.sampled_from(list(HEADERS.values())),
    ),
    st.binary(),
    st.sampled_from([STANDARD, PLAIN]),
)
def test_noise_is_a_bad_signature_and_never_another_error(
    headers: dict[str, str], body: bytes, rule: Verify
) -> None:
    with pytest.raises(BadSignature):
        verify(rule, [KEY], headers, body + b"!", NOW)


BAD_SECRETS = [
    "", "whsec_", SECRET[6:], SECRET + "\n", SECRET[:-1], "WHSEC_" + SECRET[6:],
    "whsec_" + SECRET, "whsec_é" * 9, "whsec_" + "A" * 28, "whsec_" + "A" * 88,
    "whsec_" + "A" * 28 + "=====", "whsec_" + "A" * 30 + "B=",
]  # fmt: skip


@pytest.mark.parametrize("secret", BAD_SECRETS)
def test_a_bad_secret_is_refused_with_the_remedy_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="openssl rand -base64 32") as refusal:
        decode_secret(secret)
    assert SECRET[6:-1] not in str(refusal.value)


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=24, max_size=64))
def test_every_secret_of_24_to_64_bytes_is_taken_and_signs(key: bytes) -> None:
    secret = standardwebhooks.Webhook(key)
    assert decode_secret("whsec_" + base64.b64encode(key).decode()) == key
    assert sign([key], "id", 1, BODY) == secret.sign(
        "id", datetime.fromtimestamp(1, UTC), BODY.decode()
    )


@pytest.mark.parametrize("secret", ["", " ", "\n", "a\udcff"])
def test_an_empty_or_broken_text_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match=r"set the one|copy it again"):
        secret_key(PLAIN, secret)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"scheme": "hmac-md5"}, "known are hmac-sha256, standard-webhooks"),
        ({"scheme": "hmac-sha256"}, "needs `header`"),
        ({"scheme": "standard-webhooks", "header": "X"}, "remove `header`"),
    ],
)
def test_a_rule_that_could_never_hold_is_refused_at_once(rule: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Verify(**rule)
