"""What a push claims: signatures, a time, and what they were made over. Nothing is checked yet."""

from collections.abc import Callable

import msgspec

from processor.model import Push
from processor.signing.parse import fields, timestamp
from processor.signing.parse.encoding import Encoding
from processor.signing.parse.signed_content import SignedContent
from processor.signing.verify_rule import Verify


class ParsedSignature(msgspec.Struct, frozen=True, gc=False):
    """What a push claims about itself."""

    signatures: tuple[str, ...]  # signatures, ASCII, as we would write them; any of them may hold
    content: tuple[bytes, ...]  # what they were made over, cut where the secret stands
    time: float | None = None  # when, in seconds since 1970; None where nothing says so
    version: str = ""  # of the scheme, where it has several


Reader = Callable[[Push], ParsedSignature]  # BadSignature for a push that lacks something


def reader(rule: Verify) -> Reader:
    """Compile a rule that describes its signatures itself."""
    signs = SignedContent(rule.signs)
    if rule.field or signs.needs_form:
        return _FormReader(rule, signs).read
    plain = rule.format or rule.timestamp or not signs.whole
    return _Reader(rule, signs).read if plain else _PlainReader(rule).read


class _PlainReader:
    """The most common rule, in the shortest way: one header signs the body."""

    __slots__ = ("_header", "_key", "_normal")

    def __init__(self, rule: Verify) -> None:
        self._header, self._key = rule.header, rule.header.lower()
        self._normal = Encoding("", rule.encoding).normal

    def read(self, push: Push) -> ParsedSignature:
        value = push.headers.get(self._key)
        if not value or not value.isascii():
            value = fields.header(push, self._header)  # says what is wrong
        return ParsedSignature((self._normal(value),), (push.body,))


class _Reader:
    """One header, and what it signs."""

    __slots__ = ("_clock", "_encoding", "_signs", "_timed", "_where")

    def __init__(self, rule: Verify, signs: SignedContent) -> None:
        self._clock, self._where = rule.timestamp, rule.header
        self._signs = signs
        self._encoding = Encoding(rule.format, rule.encoding)
        self._timed = bool(rule.timestamp) or self._encoding.timed

    def read(self, push: Push) -> ParsedSignature:
        return self._claim(push, fields.header(push, self._where), {})

    def _claim(self, push: Push, value: str, form: fields.Form) -> ParsedSignature:
        time, given = self._encoding.read(value)
        if self._clock:
            time = fields.header(push, self._clock)
        where = self._clock or self._where
        at = timestamp.seconds(time, f"the time in {where}") if self._timed else None
        return ParsedSignature(given, self._signs.fill(push, form, time), at)


class _FormReader(_Reader):
    """The same where the signature, or what it signs, is in the fields of a form."""

    __slots__ = ("_in_field",)

    def __init__(self, rule: Verify, signs: SignedContent) -> None:
        super().__init__(rule, signs)
        self._in_field = bool(rule.field)
        self._where = rule.field or rule.header

    def read(self, push: Push) -> ParsedSignature:
        form = fields.form(push)
        if self._in_field:
            return self._claim(push, fields.field(form, self._where), form)
        return self._claim(push, fields.header(push, self._where), form)
