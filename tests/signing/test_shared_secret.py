"""Signatures and tokens by a shared secret: accepted and refused encodings."""

import base64
import hashlib
import hmac
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, strategies as st

from processor.errors import BadSignature
from processor.model import Push
from processor.signing import Verify, secret_key, verify
from processor.signing.keys import hmac_of

NOW = 1_700_000_000.0
BODY = b'{"id": "job-1"}'
SECRET = "a secret of ours"
FORM = "application/x-www-form-urlencoded"


def check(
    rule: Verify, headers: dict[str, str], body: bytes = BODY, query: str = "", at: float = NOW
) -> None:
    verify(rule, [secret_key(rule, SECRET)], Push(headers, body, query), at)


def refused(rule: Verify, headers: dict[str, str], why: str = ".", query: str = "") -> None:
    with pytest.raises(BadSignature, match=why):
        check(rule, headers, query=query)


def digest(algorithm: str = "sha256", body: bytes = BODY) -> bytes:
    return hmac.digest(SECRET.encode(), body, algorithm)


@given(
    st.sampled_from(["sha1", "sha256", "sha384", "sha512"]),
    st.binary(min_size=1, max_size=300),
    st.binary(max_size=300),
)
def test_a_cached_hmac_equals_a_new_one(algorithm: str, key: bytes, content: bytes) -> None:
    assert hmac_of(algorithm, key, content).digest() == hmac.digest(key, content, algorithm)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
def test_an_hmac_may_be_written_in_any_case_of_hexadecimal(algorithm: str) -> None:
    rule = Verify(f"hmac-{algorithm}", header="X-Sig")
    check(rule, {"x-sig": digest(algorithm).hex()})
    check(rule, {"x-sig": digest(algorithm).hex().upper()})
    for other in (digest("md5").hex(), digest(algorithm).hex()[:-2], "é", "zz" * 32, " " * 64):
        refused(rule, {"x-sig": other})
    refused(rule, {}, "there is no X-Sig header")


def test_base64_is_strict_and_base64url_may_lack_its_padding() -> None:
    strict = Verify("hmac-sha1", header="X-Sig", encoding="base64")
    text = base64.b64encode(digest("sha1")).decode()
    check(strict, {"x-sig": text})
    url = Verify("hmac-sha1", header="X-Sig", encoding="base64url")
    safe = base64.urlsafe_b64encode(digest("sha1")).decode()
    check(url, {"x-sig": safe})
    check(url, {"x-sig": safe.rstrip("=")})
    for rule in (strict, url):
        for other in (digest("sha1").hex(), f"{text} ", f" {text}", text.lower()):
            refused(rule, {"x-sig": other})
    refused(strict, {"x-sig": text.rstrip("=")})


def test_the_prefix_of_a_signature_must_match() -> None:
    rule = Verify("hmac-sha256", header="X-Sig", format="sha256=")
    check(rule, {"x-sig": f"sha256={digest().hex()}"})
    for other in ("", "SHA256=", "sha1=", "sha256=sha256="):
        refused(rule, {"x-sig": other + digest().hex()})


PAIRS = Verify("hmac-sha256", header="X-Sig", format="t=,v1=", signs="{timestamp}.{body}")
GOOD = digest(body=b"1700000000." + BODY).hex()


@pytest.mark.parametrize(
    "value",
    [
        f"t=1700000000,v1={GOOD}",
        f"v1={GOOD},t=1700000000",
        f" t=1700000000 , v1={GOOD} ",
        f"t=1700000000,v1=no,v0=no,v1={GOOD}",
        f"t=1700000000,,v1,=,x=,v1={GOOD.upper()}",
        f"t=1700000000,{'v1=no,' * 15}v1={GOOD}",
    ],
)
def test_pairs_may_come_in_any_order_with_others(value: str) -> None:
    check(PAIRS, {"x-sig": value})


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (f"v1={GOOD}", "`t=` must occur once, not 0 times"),
        (f"t=1700000000,t=1700000000,v1={GOOD}", "not 2 times"),
        ("t=1700000000", "`v1=` is missing"),
        (f"t=1700000000;v1={GOOD}", "`v1=` is missing"),
        (f"t=1700000000,v0={GOOD}", "`v1=` is missing"),
        (f"t=1700000000,V1={GOOD}", "`v1=` is missing"),
        (f"t=1700000001,v1={GOOD}", "none of this source's secrets"),
        (f"t=,v1={GOOD}", "not whole seconds"),
        (f"t=1700000000.0,v1={GOOD}", "not whole seconds"),
        (f"t=01700000000000,v1={GOOD}", "not whole seconds"),
        (f"t=1700000000,{'v1=no,' * 16}v1={GOOD}", "none of this source's secrets"),
        (f"t=1699999699,v1={GOOD}", "301 s old, more than 300"),
    ],
)
def test_pairs_that_lack_or_repeat_something_are_refused(value: str, why: str) -> None:
    refused(PAIRS, {"x-sig": value}, why)


def test_pairs_may_be_separated_by_semicolons() -> None:
    rule = Verify("hmac-sha256", header="X-Sig", format="ts=;h1=", signs="{timestamp}:{body}")
    good = digest(body=b"1700000000:" + BODY).hex()
    check(rule, {"x-sig": f"ts=1700000000;h1={good}"})
    refused(rule, {"x-sig": f"ts=1700000000,h1={good}"})


def test_the_time_may_be_in_a_header_of_its_own() -> None:
    rule = Verify(
        "hmac-sha256",
        header="X-Sig",
        timestamp="X-Time",
        signs="{timestamp}.{body}",
        tolerance="1m",
    )
    check(rule, {"x-sig": GOOD, "x-time": "1700000000"})
    refused(rule, {"x-sig": GOOD}, "there is no X-Time header")
    refused(rule, {"x-sig": GOOD, "x-time": "1699999900"}, "100 s old, more than 60")


def test_a_former_header_name_is_read() -> None:
    rule = Verify("hmac-sha256", header="X-Sig", older=("X-Older", "X-Oldest"))
    for name in ("x-sig", "x-older", "x-oldest"):
        check(rule, {name: digest().hex()})
        refused(rule, {name: digest("md5").hex()}, "(?i)" + name)
    refused(rule, {"x-sig": "", "x-older": digest().hex()}, "there is no X-Sig header")
    refused(rule, {}, "there is no X-Sig header")


def test_signed_content_is_filled_from_headers_and_digests() -> None:
    signs = "v0:{header:X-Id}:{sha256}"
    rule = Verify("hmac-sha256", header="X-Sig", signs=signs)
    content = f"v0:push-1:{hashlib.sha256(BODY).hexdigest()}".encode()
    check(rule, {"x-sig": digest(body=content).hex(), "x-id": "push-1"})
    refused(rule, {"x-sig": digest(body=content).hex(), "x-id": "push-2"})
    refused(rule, {"x-sig": digest(body=content).hex()}, "there is no X-Id header")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_hash_covers_the_secret_at_its_place(algorithm: str) -> None:
    for signs in ("{body}{secret}", "{secret}.{body}.{secret}"):
        rule = Verify(f"hash-{algorithm}", header="X-Sig", signs=signs)
        content = signs.replace("{secret}", SECRET).replace("{body}", BODY.decode())
        check(rule, {"x-sig": hashlib.new(algorithm, content.encode()).hexdigest()})
        refused(rule, {"x-sig": hashlib.new(algorithm, BODY).hexdigest()})


NAMED = Verify("hmac-named", header="X-Sig")


@pytest.mark.parametrize("name", ["sha1", "sha256", "sha384", "sha512"])
def test_a_signature_may_name_its_algorithm(name: str) -> None:
    check(NAMED, {"x-sig": f"{name}:{digest(name).hex()}"})
    refused(NAMED, {"x-sig": f"{name}:{digest('md5').hex()}"})


def test_a_signature_without_a_name_is_sha1() -> None:
    check(NAMED, {"x-sig": digest("sha1").hex()})
    refused(NAMED, {"x-sig": digest("sha256").hex()})


@pytest.mark.parametrize("name", ["md5", "sha224", "", "sha3_256", "blake2b", "shake_128", " sha1"])
def test_a_signature_of_another_algorithm_is_refused(name: str) -> None:
    refused(NAMED, {"x-sig": f"{name}:{'00' * 20}"}, "does not name one of sha1, sha256")


FIELD = Verify("hmac-sha256", field="signature", signs="{field:payload}")


def test_a_form_field_can_sign_another_field() -> None:
    text = '{"ü": "+ &"}'
    good = digest(body=text.encode()).hex()
    check(FIELD, {"content-type": FORM}, urlencode({"payload": text, "signature": good}).encode())
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = part.format("payload", text) + part.format("signature", good) + "--b--\r\n"
    check(FIELD, {"content-type": "multipart/form-data; boundary=b"}, body.encode())


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ("payload=a", "no field `signature`"),
        ("signature=00", "no field `payload`"),
        ("payload=a&signature=", "no field `signature`"),
        ("payload=a&signature=%C3%A9", "`signature` is not ASCII"),
        ("payload=é&signature=00", "none of this source's secrets"),
        ("payload=a&signature=00", "none of this source's secrets"),
    ],
)
def test_a_form_that_lacks_something_is_refused(form: str, why: str) -> None:
    with pytest.raises(BadSignature, match=why):
        check(FIELD, {"content-type": FORM}, form.encode())


def test_a_body_that_is_not_a_form_is_refused() -> None:
    with pytest.raises(BadSignature, match="the body is not a form"):
        check(FIELD, {"content-type": "application/json"}, b"{}")


TOKEN = Verify("token", header="Authorization", format="Bearer ", query="access_token")


@pytest.mark.parametrize("prefix", ["Bearer ", "bearer ", "BEARER "])
def test_a_token_in_a_header_has_a_prefix_of_any_case(prefix: str) -> None:
    check(TOKEN, {"authorization": prefix + SECRET})


@pytest.mark.parametrize(
    "value",
    [SECRET, "Bearer", "Bearer ", f"Basic {SECRET}", f"Bearer {SECRET.upper()}", "Bearer é"],
)
def test_any_other_header_is_refused(value: str) -> None:
    refused(TOKEN, {"authorization": value})


def test_a_token_may_be_in_the_url() -> None:
    for query in (f"access_token={quote(SECRET)}", f"a=b&access%5Ftoken={quote(SECRET)}&c"):
        check(TOKEN, {}, query=query)
        check(TOKEN, {"authorization": "Basic somebody-elses"}, query=query)
    refused(TOKEN, {"authorization": f"Bearer {SECRET}"}, query="access_token=no")
    check(TOKEN, {"authorization": f"Bearer {SECRET}"}, query="no_access_token=no")


IN_URL = Verify("token", query="access_token")


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "no parameter `access_token`"),
        ("access_token", "no parameter"),
        ("access_token=", "no parameter"),
        ("Access_Token=a", "no parameter"),
        ("access_token=a%20secret%20of%20ours&access_token=a%20secret%20of%20ours", "2 times"),
        ("access_token=&access_token=a%20secret%20of%20ours", "2 times"),
        ("access_token=a+secret+of+ours", "not one of this source's secrets"),
        ("access_token=a secret of ours", "not percent-encoded ASCII"),
        ("access_token=a%2", "not percent-encoded ASCII"),
        ("access_token=%C3%A9", "not percent-encoded ASCII"),
        ("access_token=%FF", "not percent-encoded ASCII"),
        ("access_token=é", "not percent-encoded ASCII"),
    ],
)
def test_a_parameter_of_the_url_is_read_strictly(query: str, why: str) -> None:
    refused(IN_URL, {}, why, query)


def test_a_token_may_be_in_a_form_field() -> None:
    rule = Verify("token", field="token")
    check(rule, {"content-type": FORM}, urlencode({"token": SECRET}).encode())


@pytest.mark.parametrize("secret", ["", " ", "\n", "a\udcff"])
def test_an_empty_or_broken_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match=r"set the provider's secret|copy it again"):
        secret_key(NAMED, secret)


@pytest.mark.parametrize("secret", ["ü", "a\n", " a", "a\tb", "a\x7f"])
def test_a_token_that_no_header_can_hold_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="must be printable ASCII"):
        secret_key(TOKEN, secret)
