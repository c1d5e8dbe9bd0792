"""The signature of a push, parsed but not yet checked: signatures, time, and the signed content."""

from collections.abc import Callable

import msgspec

from processor.model import Push
from processor.signing.parse import fields, timestamp
from processor.signing.parse.encoding import Encoding
from processor.signing.parse.signed_content import SignedContent
from processor.signing.verify_rule import Verify


class ParsedSignature(msgspec.Struct, frozen=True, gc=False):
    """What a push says about its signature."""

    signatures: tuple[str, ...]  # ASCII, in our own spelling; one valid signature is enough
    content: tuple[bytes, ...]  # what was signed, split where the secret belongs
    time: float | None = None  # when it was signed, in seconds since 1970; None if not given
    version: str = ""  # of the scheme, if it has several


Reader = Callable[[Push], ParsedSignature]
"""Parses the signature of a push; BadSignature if a part of it is missing."""


def reader(rule: Verify) -> Reader:
    """Compile the reader of a scheme whose rule describes the signature (hmac-…, hash-…, ed25519)."""
    signed_content = SignedContent(rule.signs)
    if rule.field or signed_content.needs_form:
        return _FormReader(rule, signed_content).read
    plain = rule.format or rule.timestamp or not signed_content.whole
    return _HeaderReader(rule, signed_content).read if plain else _PlainReader(rule).read


class _PlainReader:
    """The most common rule, on a fast path: one header signs the whole body."""

    __slots__ = ("_header", "_key", "_normal")

    def __init__(self, rule: Verify) -> None:
        self._header, self._key = rule.header, rule.header.lower()
        self._normal = Encoding("", rule.encoding).normal

    def read(self, push: Push) -> ParsedSignature:
        value = push.headers.get(self._key)
        if not value or not value.isascii():
            value = fields.header(push, self._header)  # says what is wrong
        return ParsedSignature((self._normal(value),), (push.body,))


class _HeaderReader:
    """The signature is in a header and signs what `signs` says."""

    __slots__ = ("_encoding", "_signature_field", "_signed_content", "_time_header", "_timed")

    def __init__(self, rule: Verify, signed_content: SignedContent) -> None:
        self._time_header, self._signature_field = rule.timestamp, rule.header
        self._signed_content = signed_content
        self._encoding = Encoding(rule.format, rule.encoding)
        self._timed = bool(rule.timestamp) or self._encoding.timed

    def read(self, push: Push) -> ParsedSignature:
        return self._parse(push, fields.header(push, self._signature_field), {})

    def _parse(self, push: Push, value: str, form: fields.Form) -> ParsedSignature:
        time, signatures = self._encoding.read(value)
        if self._time_header:
            time = fields.header(push, self._time_header)
        where = self._time_header or self._signature_field
        at = timestamp.seconds(time, f"the time in {where}") if self._timed else None
        return ParsedSignature(signatures, self._signed_content.fill(push, form, time), at)


class _FormReader(_HeaderReader):
    """The signature, or a part of the signed content, is in a form field."""

    __slots__ = ("_in_field",)

    def __init__(self, rule: Verify, signed_content: SignedContent) -> None:
        super().__init__(rule, signed_content)
        self._in_field = bool(rule.field)
        self._signature_field = rule.field or rule.header

    def read(self, push: Push) -> ParsedSignature:
        form = fields.form(push)
        if self._in_field:
            return self._parse(push, fields.field(form, self._signature_field), form)
        return self._parse(push, fields.header(push, self._signature_field), form)
