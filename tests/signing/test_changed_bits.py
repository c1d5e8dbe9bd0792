"""Any hostile push ends as BadSignature, and `explain` never fails."""

import json
import runpy
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from processor.errors import BadSignature
from processor.model import Push
from processor.signing import (
    SCHEMES,
    Verify,
    explain,
    keys_url,
    needs_secret,
    secret_key,
    sender,
    verify,
)
from processor.signing.schemes import standard_webhooks

VECTORS = runpy.run_path(str(Path(__file__).parent / "vectors" / "signatures.py"))
KNOWN: list[Any] = VECTORS["vectors"]()
MORE: dict[str, dict[str, Any]] = {
    "sha1": {"scheme": "hmac-sha1", "header": "X-Sig", "format": "sha1="},
    "prefix": {"scheme": "hmac-sha384", "header": "X-Sig", "format": "v=", "encoding": "base64url"},
    "form": {
        "scheme": "hmac-sha1",
        "field": "sig",
        "format": "t=;s=",
        "signs": "{timestamp}{field:a}{header:X-Id}",
    },
    "hash": {"scheme": "hash-sha256", "header": "X-Sig", "signs": "{sha256}{secret}"},
    "bearer": {"scheme": "token", "header": "X-Sig", "format": "Bearer ", "query": "token"},
    "field": {"scheme": "token", "field": "token"},
    "jwks": {"scheme": "ed25519", "header": "X-Sig", "keys": "https://k.example/k"},
}
RULES = VECTORS["RULES"] | {name: Verify(**table) for name, table in MORE.items()}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
FORMS = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"]
PART = b'--b\r\nContent-Disposition: form-data; name="signature"\r\n\r\nsha1:00\r\n--b--\r\n'


def names(rule: Verify) -> Iterator[str]:
    """The headers that a rule looks at."""
    if rule.scheme == "standard-webhooks":
        yield from standard_webhooks.header_names(rule.header)
    placeholders = (
        placeholder[7:] for placeholder in rule.placeholders if placeholder.startswith("header:")
    )
    for name in (rule.header, rule.timestamp, *placeholders):
        if name:
            yield name.lower()


texts = st.one_of(
    st.text(max_size=60),
    st.text("0123456789abcdefABCDEF,;=: v1sht+/-_%", max_size=120),
    st.sampled_from(
        [
            "1700000000",
            "t=1,v1=00",
            "t=1,t=2,v1=",
            "v1,AA== v1a,AA== v1a",
            "sha1:00",
            "Bearer x",
            "\udcff",
        ]
    ),
    st.sampled_from([value for one in KNOWN for value in one.push.headers.values()]),
)
members = [
    "Type",
    "Message",
    "Signature",
    "SignatureVersion",
    "SigningCertURL",
    "Timestamp",
    "keys",
]
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | texts
    | st.sampled_from(["1", "2", "2023-11-14T22:13:20.000Z", "OKP", "Ed25519", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*members, "kty", "crv", "x"]) | st.text(), inner, max_size=8
        )
    ),
    max_leaves=12,
)
bodies = st.one_of(
    st.binary(max_size=200),
    documents.map(lambda value: json.dumps(value).encode("utf-8", "replace")),
    st.sampled_from([one.push.body for one in KNOWN]),
    st.sampled_from(
        [b"a=%FF&sig=1", b"signature=%&&==&signature", PART, PART[:50], b"[" * 100_000]
    ),
)


moments = st.floats(0, 4e9) | st.sampled_from([0.0, 1e308, float("inf"), float("nan")])


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A certificate or a key set with a piece replaced."""
    whole = draw(st.sampled_from([one.document for one in KNOWN if one.document]))
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    return bytes(whole[:start] + draw(st.binary(max_size=6)) + whole[end:])


@st.composite
def pushes(draw: st.DrawFn, rule: Verify) -> Push:
    headers = draw(st.dictionaries(st.sampled_from([*names(rule), "x-other"]), texts))
    if draw(st.booleans()):
        headers["content-type"] = draw(st.sampled_from(FORMS) | texts)
    query = draw(texts | texts.map(lambda text: f"token={text}"))
    return Push(headers, draw(bodies), query)


def judge(rule: Verify, push: Push, now: float, document: bytes) -> bool:
    """Call every function on the push; return whether it verifies. Only BadSignature may be raised."""
    keys = [secret_key(rule, SECRET)] * 2 if needs_secret(rule) else []
    for ask in (keys_url, sender):
        with suppress(BadSignature):
            ask(rule, push)
    genuine = False
    with suppress(BadSignature):
        verify(rule, keys, push, now, document)
        genuine = True
    steps = explain(rule, keys, push, now, document)
    assert (steps[-1].name, steps[-1].ok) == ("verdict", genuine)
    return genuine


@pytest.mark.parametrize("scheme", SCHEMES)
@given(data=st.data())
def test_garbage_raises_bad_signature_and_never_another_error(
    scheme: str, data: st.DataObject
) -> None:
    rule = data.draw(st.sampled_from([rule for rule in RULES.values() if rule.scheme == scheme]))
    document = data.draw(st.binary(max_size=99) | bodies | broken())
    assert not judge(rule, data.draw(pushes(rule)), data.draw(moments), document)


@given(st.sampled_from(KNOWN), st.data())
def test_a_damaged_genuine_push_raises_no_other_error(known: Any, data: st.DataObject) -> None:
    headers, body, document = known.push.headers, known.push.body, known.document
    if data.draw(st.booleans()) and headers:
        headers = {**headers, data.draw(st.sampled_from(sorted(headers))): data.draw(texts)}
    if data.draw(st.booleans()) and body.startswith(b"{"):
        changed = data.draw(st.dictionaries(st.sampled_from(members), documents | texts))
        body = json.dumps({**json.loads(body), **changed}).encode()
    if data.draw(st.booleans()):
        document = data.draw(documents.map(lambda value: json.dumps(value).encode()) | broken())
    judge(known.rule, Push(headers, body), data.draw(moments | st.just(known.now)), document)


def test_every_scheme_is_tested_with_garbage() -> None:
    assert {rule.scheme for rule in RULES.values()} == set(SCHEMES)
