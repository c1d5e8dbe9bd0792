"""Published signatures verify, and any changed bit of the signed content is refused."""

import re
import runpy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import assume, given, strategies as st

from processor.errors import BadSignature
from processor.model import Push
from processor.signing import SCHEMES, Verify, keys_url, needs_secret, secret_key, verify
from processor.signing.schemes import sns, standard_webhooks

VECTORS = runpy.run_path(str(Path(__file__).parent / "vectors" / "signatures.py"))["vectors"]()
VALID = [vector for vector in VECTORS if vector.valid]
SECRET = [vector for vector in VALID if vector.secret]
FORMS = [vector for vector in VALID if vector.form]
SNS = [vector for vector in VALID if vector.rule.scheme == "sns"]
BODIES = [vector for vector in VALID if vector not in (*FORMS, *SNS)]  # signed byte for byte
SIGNED = [vector for vector in BODIES if vector.rule.scheme != "token"]


def each(vectors: list[Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", vectors, ids=[vector.name for vector in vectors])


def check(vector: Any, push: Push | None = None, secret: str | None = None) -> None:
    """Verify as the receiver does, which first asks where the key is published."""
    rule, push, secret = vector.rule, push or vector.push, secret or vector.secret
    keys_url(rule, push)
    keys = [secret_key(rule, secret or "")] if needs_secret(rule) else []
    verify(rule, keys, push, vector.now, vector.document)


def flips(data: bytes, places: Iterable[int] | None = None) -> Iterator[bytes]:
    """Yield the data with one bit changed: each bit of every byte, or of the bytes at `places`."""
    for place in range(len(data)) if places is None else places:
        for bit in range(8):
            yield data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def meaning(rule: Verify, text: str) -> str:
    """Give the one way to write what may be written in several, which are all accepted.

    That is hexadecimal digits and the name of an algorithm, in capitals or not; and, where
    secrets are raw, a signature whose `v1` stands beside it instead of before it.
    """
    if rule.raw_secret:
        return re.sub(r"v1[,\s]", "", text)
    return re.sub(
        "(sha[0-9]+:)?[0-9A-F]{40,}", lambda same: same[0].lower(), text, flags=re.IGNORECASE
    )


def counting(vector: Any, name: str) -> Iterator[int]:
    """Bytes of a header that count: entries that are no signature of ours are ignored."""
    rule, value = vector.rule, vector.push.headers[name]
    entries = r"[^,]+" if rule.pairs else r"\S+"
    good = ".*"
    if rule.pairs and name == rule.header.lower():
        good = rf"{rule.pairs[1]}=\d+|{rule.pairs[3]}=[0-9a-f]{{64}}"
    if rule.scheme == "standard-webhooks":
        good = ".*[^e]"  # all but OpenAI's `v1,invalid_signature`
    for entry in re.finditer(entries, value):
        if re.fullmatch(good, entry[0]):
            yield from range(*entry.span())


def covered(vector: Any) -> set[str]:
    """The headers that a signature is in, or that it covers."""
    rule = vector.rule.for_push(vector.push)
    if rule.scheme == "standard-webhooks":
        return set(standard_webhooks.header_names(rule.header))
    names = {
        placeholder.removeprefix("header:")
        for placeholder in rule.placeholders
        if placeholder.startswith("header:")
    }
    return {name.lower() for name in (*names, rule.header, rule.timestamp) if name}


@each(VECTORS)
def test_published_vectors_verify(vector: Any) -> None:
    if vector.valid:
        check(vector)
    else:
        with pytest.raises(BadSignature):
            check(vector)


def test_every_scheme_has_a_valid_vector() -> None:
    neighbours = {"hmac-sha1", "hmac-sha384", "hash-sha256"}  # of others, by the same code
    assert {vector.rule.scheme for vector in VALID} == set(SCHEMES) - neighbours


@each(VALID)
def test_any_changed_bit_of_a_header_is_refused(vector: Any) -> None:
    for name in covered(vector):
        value = vector.push.headers[name]
        for changed in flips(value.encode(), counting(vector, name)):
            text = changed.decode("latin-1")
            if meaning(vector.rule, text) == meaning(vector.rule, value):
                continue
            push = Push({**vector.push.headers, name: text}, vector.push.body)
            with pytest.raises(BadSignature):
                check(vector, push)


@each(SIGNED)
def test_any_changed_bit_of_the_body_is_refused(vector: Any) -> None:
    for changed in flips(vector.push.body):
        with pytest.raises(BadSignature):
            check(vector, Push(vector.push.headers, changed))


@each(FORMS)
def test_any_changed_bit_of_a_form_is_refused(vector: Any) -> None:
    for name, value in vector.form.items():
        for changed in flips(value.encode()):
            text = changed.decode("latin-1")
            if meaning(vector.rule, text) == meaning(vector.rule, value):
                continue
            body = urlencode({**vector.form, name: changed}).encode()
            with pytest.raises(BadSignature):
                check(vector, Push(vector.push.headers, body))


@each(SECRET)
def test_any_changed_bit_of_the_secret_is_refused(vector: Any) -> None:
    for changed in flips(vector.secret.encode()):
        with pytest.raises((BadSignature, ValueError)):
            check(vector, secret=changed.decode("latin-1"))


@each(SNS)
def test_any_changed_bit_of_what_sns_signs_is_refused(vector: Any) -> None:
    """Blanks between members, and members that are not signed, may change."""
    for name in (*sns.SIGNED, "Signature", "SignatureVersion"):
        for value in re.finditer(rf'"{name}"\s*:\s*"([^"]*)"'.encode(), vector.push.body):
            for changed in flips(vector.push.body, range(*value.span(1))):
                with pytest.raises(BadSignature):
                    check(vector, Push({}, changed))


@each(SNS)
def test_any_changed_bit_of_the_certificates_url_is_refused_or_leads_elsewhere_at_amazon(
    vector: Any,
) -> None:
    url = keys_url(vector.rule, vector.push) or ""
    place = vector.push.body.index(url.encode())
    for changed in flips(vector.push.body, range(place, place + len(url))):
        try:
            other = keys_url(vector.rule, Push({}, changed)) or ""
        except BadSignature:
            continue
        assert other != url
        assert re.match(r"https://sns\.[a-z0-9-]+\.amazonaws\.com/", other)


@given(st.sampled_from(SIGNED), st.data())
def test_any_edit_of_the_body_is_refused(vector: Any, data: st.DataObject) -> None:
    body = vector.push.body
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(body))] * 2)))
    changed = body[:start] + data.draw(st.binary(max_size=8)) + body[end:]
    assume(changed != body)
    with pytest.raises(BadSignature):
        check(vector, Push(vector.push.headers, changed))
