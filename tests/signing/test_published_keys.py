"""Signatures whose keys are published: Ed25519 with a JWKS, Amazon SNS with a certificate."""

import base64
import json
import math
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from processor.errors import BadSignature, UnknownKey
from processor.model import Push
from processor.signing import (
    Verify,
    amazon_url,
    has_senders,
    keys_url,
    needs_secret,
    secret_key,
    sender,
    verify,
)
from processor.signing.schemes import sns_certificate

NOW = 1_700_000_000.0
BODY = b'{"id": "job-1"}'
JWKS = "https://keys.example/jwks.json"
RULE = Verify(
    "ed25519",
    header="X-Sig",
    keys=JWKS,
    sender="header:X-From",
    signs="{header:X-From}\n{timestamp}\n{sha256}",
    timestamp="X-Time",
)
PLAIN = Verify("ed25519", header="X-Sig", keys=JWKS)
PRIVATE = ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32)


def jwk(key: bytes, **more: object) -> dict[str, object]:
    x = base64.urlsafe_b64encode(key).decode().rstrip("=")
    return {"kty": "OKP", "crv": "Ed25519", "x": x, **more}


OURS = jwk(PRIVATE.public_key().public_bytes_raw(), kid="1", use="sig")
OTHER = jwk(ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw())


def judge(document: object, rule: Verify = PLAIN, **changed: str) -> None:
    signature = {"x-sig": PRIVATE.sign(BODY).hex(), **changed}
    message = document if isinstance(document, bytes) else json.dumps(document).encode()
    verify(rule, [], Push(signature, BODY), NOW, message)


def test_any_published_key_verifies() -> None:
    judge({"keys": [OURS]})
    judge({"keys": [OTHER, OURS], "more": 1})
    judge({"keys": [OTHER] * 31 + [OURS]})


@pytest.mark.parametrize(
    "document",
    [
        {"keys": []},
        {"keys": [OTHER]},
        {"keys": [OTHER] * 32 + [OURS]},
        {"keys": [{**OURS, "crv": "X25519"}, {**OURS, "kty": "EC"}, {**OURS, "x": "AAAA"}]},
        {"keys": {}},
        [],
        b"",
        b"<html>",
        b'{"keys": "\xff"}',
        b"[" * 100_000,
    ],
)
def test_a_missing_key_raises_unknown_key(document: object) -> None:
    with pytest.raises(UnknownKey, match="none of the keys at https://keys"):
        judge(document)


def test_garbage_among_the_keys_is_skipped() -> None:
    garbage = [None, 1, "key", [], {}, {**OURS, "x": 1}, {**OURS, "x": "é"}, {**OURS, "x": "%%%"}]
    judge({"keys": [*garbage, OURS]})


@pytest.mark.parametrize("encoding", ["hex", "base64", "base64url"])
def test_the_encoding_of_the_rule_is_used(encoding: str) -> None:
    raw = PRIVATE.sign(BODY)
    texts = {
        "hex": raw.hex(),
        "base64": base64.b64encode(raw).decode(),
        "base64url": base64.urlsafe_b64encode(raw).decode(),
    }
    rule = Verify("ed25519", header="X-Sig", keys=JWKS, encoding=encoding)
    judge({"keys": [OURS]}, rule, **{"x-sig": texts.pop(encoding)})
    for other in ("", "é", "00", raw.hex()[:-2], "zz" * 64):
        with pytest.raises(BadSignature):
            judge({"keys": [OURS]}, rule, **{"x-sig": other})


def test_a_key_may_be_given_as_pem() -> None:
    pem = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    judge(pem)
    for other in (pem[:40], pem.replace(b"M", b"N", 1), pem_of(rsa_key())):
        with pytest.raises(UnknownKey):
            judge(other)


def test_a_signed_header_names_the_sender() -> None:
    push = Push({"x-from": "user-1"}, BODY)
    assert (sender(RULE, push), sender(RULE, Push({}, BODY))) == ("user-1", None)
    assert has_senders(RULE)
    assert not has_senders(PLAIN)
    assert (keys_url(RULE, push), needs_secret(RULE)) == (JWKS, False)
    with pytest.raises(ValueError, match="remove the secret"):
        secret_key(RULE, "a secret")


# Amazon SNS

SNS = Verify("sns", tolerance="65m")
AT = datetime.fromtimestamp(NOW, UTC)
CERT_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem"
MESSAGE = {
    "Type": "Notification",
    "MessageId": "m-1",
    "TopicArn": "arn:aws:sns:eu-west-1:1:jobs",
    "Message": '{"id": "ü"}',
    "Timestamp": "2023-11-14T22:13:20.000Z",
    "SignatureVersion": "2",
    "SigningCertURL": CERT_URL,
}
CANONICAL = (
    'Message\n{"id": "ü"}\nMessageId\nm-1\nTimestamp\n2023-11-14T22:13:20.000Z\n'
    "TopicArn\narn:aws:sns:eu-west-1:1:jobs\nType\nNotification\n"
)


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem_of(key: Any) -> bytes:
    public: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return public


@cache
def certificate(
    name: str = "sns.amazonaws.com", host: str = "", days: int = 0, *, curve: bool = False
) -> bytes:
    """A certificate around NOW; with `days` it ended, or begins, so many days from then."""
    key: Any = ec.generate_private_key(ec.SECP256R1()) if curve else rsa_key()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)] if name else [])
    starts = AT + timedelta(days=days if days > 0 else days - 10)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(starts)
        .not_valid_after(starts + timedelta(days=10 if days else 20))
    )
    if host:
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        built = built.add_extension(names, critical=False)
    return built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def signed(content: str = CANONICAL, **changed: str | None) -> Push:
    message = {**MESSAGE, **changed}
    digest = hashes.SHA1() if message["SignatureVersion"] == "1" else hashes.SHA256()  # noqa: S303 - as SNS does
    signature = rsa_key().sign(content.encode(), padding.PKCS1v15(), digest)
    message.setdefault("Signature", base64.b64encode(signature).decode())
    body = json.dumps({key: value for key, value in message.items() if value is not None})
    return Push({}, body.encode())


def receive(push: Push, document: bytes | None = None, now: float = NOW) -> None:
    verify(SNS, [], push, now, certificate() if document is None else document)


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_signature_versions_of_sns_verify(version: str) -> None:
    receive(signed(SignatureVersion=version))


@pytest.mark.parametrize("version", ["3", "", "01", "1 ", None])
def test_other_versions_are_refused(version: str | None) -> None:
    with pytest.raises(BadSignature, match="SignatureVersion is not one of 1, 2"):
        receive(signed(SignatureVersion=version))


def test_a_subject_is_signed_unless_it_is_null_or_empty() -> None:
    with_subject = CANONICAL.replace("Timestamp\n", "Subject\nNews\nTimestamp\n", 1)
    receive(signed(with_subject, Subject="News"))
    receive(signed(Subject=""))
    body = signed().body
    receive(Push({}, body.replace(b"{", b'{"Subject": null, ', 1)))
    with pytest.raises(UnknownKey):
        receive(signed(Subject="News"))


def test_a_subscription_confirmation_signs_its_url_and_token() -> None:
    url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
    content = (
        f"Message\nHello\nMessageId\nm-1\nSubscribeURL\n{url}\nTimestamp\n"
        "2023-11-14T22:13:20.000Z\nToken\nt\nTopicArn\narn:aws:sns:eu-west-1:1:jobs\n"
        "Type\nSubscriptionConfirmation\n"
    )
    more = {"Type": "SubscriptionConfirmation", "Message": "Hello", "Token": "t"}
    receive(signed(content, SubscribeURL=url, **more))
    with pytest.raises(UnknownKey):
        receive(signed(content, SubscribeURL=url + "2", **more))


def test_of_a_duplicate_member_the_last_counts_and_must_be_signed() -> None:
    body = signed().body
    receive(Push({}, body.replace(b"{", b'{"Message": "forged", ', 1)))
    with pytest.raises(UnknownKey):
        receive(Push({}, body[:-1] + b', "Message": "forged"}'))


@pytest.mark.parametrize("now", [NOW - 3900, NOW + 3900])
def test_a_message_is_accepted_for_its_tolerance(now: float) -> None:
    receive(signed(), now=now)


@pytest.mark.parametrize(
    ("stamp", "why"),
    [
        ("2023-11-14T21:08:19.000Z", "3901 s old, more than 3900"),
        ("2023-11-14T23:18:21.000Z", "3901 s in the future"),
        ("2023-13-14T22:13:20.000Z", "Timestamp is not a time"),
        ("2023-11-14T22:13:20+00:00", "Timestamp is not a time"),
        ("1700000000", "Timestamp is not a time"),
        ("", "Timestamp is not a time"),
        (None, "Timestamp is not a time"),
    ],
)
def test_a_timestamp_must_be_valid_and_recent(stamp: str | None, why: str) -> None:
    with pytest.raises(BadSignature, match=why):
        receive(signed(Timestamp=stamp))


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("sns.amazonaws.com", ""),
        ("Amazon", "sns.amazonaws.com"),
        ("sns-signing.af-south-1.amazonaws.com", "sns.af-south-1.amazonaws.com"),
        ("sns-us-gov-west-1.amazonaws.com", ""),
        ("sns-cn-north-1.amazonaws.com.cn", ""),
    ],
)
def test_a_certificate_of_sns_is_accepted(name: str, host: str) -> None:
    receive(signed(), certificate(name, host))


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("", ""),
        ("amazonaws.com", ""),
        ("xsns.amazonaws.com", ""),
        ("sns.amazonaws.com.evil.example", "evil.example"),
        ("sqs.amazonaws.com", "s3.amazonaws.com"),
    ],
)
def test_a_certificate_of_another_owner_is_refused(name: str, host: str) -> None:
    with pytest.raises(UnknownKey, match="the certificate does not belong to Amazon SNS"):
        receive(signed(), certificate(name, host))


@pytest.mark.parametrize("days", [-1, 1])
def test_a_certificate_must_be_valid_now(days: int) -> None:
    with pytest.raises(
        UnknownKey, match=r"the certificate is valid from .* and today is 2023-11-14"
    ):
        receive(signed(), certificate(days=days))


@pytest.mark.parametrize("now", [math.nan, math.inf, -1e300])
def test_a_time_without_a_date_is_shown_as_it_is(now: float) -> None:
    """`inspect --now` takes any number."""
    with pytest.raises(UnknownKey, match=re.escape(f"and today is {now:g}")):
        sns_certificate.public_key(certificate(), now)


def test_a_bare_public_key_is_accepted() -> None:
    receive(signed(), pem_of(rsa_key()))
    with pytest.raises(UnknownKey, match="not made with the certificate's key"):
        receive(signed(CANONICAL + "x"), pem_of(rsa_key()))


@pytest.mark.parametrize(
    "document", [b"", b"<html>", b"-----BEGIN CERTIFICATE-----", certificate()[:-60], b"\xff" * 99]
)
def test_a_document_that_is_not_a_certificate_raises_unknown_key(document: bytes) -> None:
    with pytest.raises(UnknownKey, match="did not return a certificate in PEM"):
        receive(signed(), document)


def test_a_certificate_without_an_rsa_key_is_refused() -> None:
    for document in (certificate(curve=True), pem_of(PRIVATE)):
        with pytest.raises(UnknownKey, match="does not hold an RSA key"):
            receive(signed(), document)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"Message": 1}', b"[" * 100_000, b'"\xff"', b"\xff"]
)
def test_a_body_that_is_not_an_sns_message_is_refused(body: bytes) -> None:
    for ask in (keys_url, sender, lambda _, push: receive(push)):
        with pytest.raises(BadSignature, match="not an SNS message"):
            ask(SNS, Push({}, body))


@pytest.mark.parametrize("signature", ["", "é", "AAAA", "!" * 344, None])
def test_an_invalid_signature_is_refused(signature: str | None) -> None:
    with pytest.raises(BadSignature):
        receive(signed(Signature=signature))


CERT_URLS = [
    CERT_URL,
    "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0.pem",
]
ELSEWHERE = [
    "", "http://sns.eu-west-1.amazonaws.com/a.pem", "https://sns.eu-west-1.amazonaws.com/a.crt",
    "https://sns.s3.amazonaws.com/a.pem", "https://evil.example/a.pem",
    "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem",
    "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
    "https://me@sns.eu-west-1.amazonaws.com/a.pem",
    "https://sns.eu-west-1.amazonaws.com@evil.example/a.pem",
    "https://evil.example/https://sns.eu-west-1.amazonaws.com/a.pem",
    "https://evil.example\\.amazonaws.com/a.pem", "https://sns.eu-west-1.amazonaws.com/a.pem#x",
    "https://sns.eu-west-1.amazonaws.com/a.pem?x", "https://sns.eu-west-1.amazonaws.com/?x=a.pem",
    "https://sns.eu-west-1.amazonaws.com/a.pem\n", " https://sns.eu-west-1.amazonaws.com/a.pem",
    "https://SNS.eu-west-1.amazonaws.com/a.pem", "https://sns.eu.west.amazonaws.com/a.pem",
    "https://sns.ü-west-1.amazonaws.com/a.pem", "https://sns.eu-west-1.amazonaws.co/a.pem",
    "//sns.eu-west-1.amazonaws.com/a.pem", "https://sns.eu-west-1.amazonaws.com",
]  # fmt: skip


@pytest.mark.parametrize("url", CERT_URLS)
@pytest.mark.parametrize("spelling", ["SigningCertURL", "SigningCertUrl"])
def test_a_certificate_is_fetched_from_sns(url: str, spelling: str) -> None:
    message = {**MESSAGE, "SigningCertURL": None, spelling: url}
    assert keys_url(SNS, Push({}, json.dumps(message).encode())) == url


@pytest.mark.parametrize("url", ELSEWHERE)
@pytest.mark.parametrize("spelling", ["SigningCertURL", "SigningCertUrl"])
def test_a_certificate_is_fetched_from_nowhere_else(url: str, spelling: str) -> None:
    message = {**MESSAGE, "SigningCertURL": None, spelling: url}
    with pytest.raises(BadSignature, match=r"SigningCertURL is not https://sns\.REGION"):
        keys_url(SNS, Push({}, json.dumps(message).encode()))


def test_a_subscription_is_confirmed_at_sns_and_nowhere_else() -> None:
    url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn:aws:sns&T=1"
    assert amazon_url(url) == url
    for other in (
        *(url for url in ELSEWHERE if "com/?" not in url and "pem?" not in url),
        url + "#",
    ):
        if not other.endswith(".crt"):
            with pytest.raises(BadSignature, match=r"is not one of https://sns\.REGION"):
                amazon_url(other)


def test_the_topic_is_the_sender() -> None:
    assert sender(SNS, signed()) == MESSAGE["TopicArn"]
    assert has_senders(SNS)
    assert not needs_secret(SNS)
