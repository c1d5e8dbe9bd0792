"""Explains to people, step by step, why a signature is valid or not; secrets are redacted."""

from collections.abc import Iterator, Sequence

import msgspec

from processor.errors import BadSignature
from processor.model import Push
from processor.signing import verify
from processor.signing.keys import Key
from processor.signing.parse.encoding import base64
from processor.signing.parsed_signature import ParsedSignature
from processor.signing.redaction import Redactor, redact, redact_signatures
from processor.signing.schemes.registry import SCHEMES
from processor.signing.signature_fields import fields_of, value_of
from processor.signing.verify_rule import Verify

LONGEST = 200  # characters of a value that are shown


class ExplainStep(msgspec.Struct, frozen=True):
    """One fact of the verification; `ok` is None if it decides nothing by itself."""

    name: str
    value: str
    ok: bool | None = None


def explain(
    rule: Verify, keys: Sequence[Key], push: Push, now: float, document: bytes = b""
) -> list[ExplainStep]:
    """List what the rule reads, what the push holds, what was signed, and what was expected.

    Never raises, and never shows a whole secret, token or valid signature.
    """
    rule, keys = _chosen_alternative(rule, keys, push, now)
    rule = rule.for_push(push)
    try:
        parsed = verify.compiled_rule(rule).read(push)
    except BadSignature:
        parsed = None
    expected = _signatures_by_key(rule, keys, parsed) if parsed else []
    sent = parsed.signatures if parsed else ()
    redactor = Redactor([*_key_texts(keys), *(text for texts in expected for text in texts), *sent])
    steps = [*_field_steps(rule, push, redactor), *_key_steps(rule, push)]
    if parsed:
        sure = bool(expected) and not any(key.public for key in keys)  # those make no signatures
        steps += [*_time_steps(rule, parsed, now), *_content_steps(parsed, redactor)]
        steps += _comparison_steps(parsed, expected, sure=sure)
    steps.append(_verdict(rule, keys, push, now, document))
    return [
        ExplainStep(step.name, redactor.redact(step.value)[: LONGEST * 2], step.ok)
        for step in steps
    ]


def _chosen_alternative(
    rule: Verify, keys: Sequence[Key], push: Push, now: float
) -> tuple[Verify, Sequence[Key]]:
    """The alternative whose signature is valid, else one of which the push has a signature."""
    if rule.other is None:
        return rule, keys
    known = verify.usable_alternatives(rule, keys)
    for way, own in known:
        if _verdict(way, own, push, now, b"").ok:
            return way, own
    return next((one for one in known if verify.has_signature(one[0], push)), known[0])


def _signatures_by_key(
    rule: Verify, keys: Sequence[Key], parsed: ParsedSignature
) -> list[Sequence[str]]:
    """The signatures that each key makes; empty if only the provider can make one."""
    maker = SCHEMES[rule.scheme].maker
    return [maker(rule)(key, parsed) for key in keys] if maker else []


def _key_texts(keys: Sequence[Key]) -> Iterator[str]:
    """Every spelling of the keys, for redaction."""
    for key in keys:
        yield key.data.decode("utf-8", "replace")
        yield base64(key.data)


def _field_steps(rule: Verify, push: Push, redactor: Redactor) -> Iterator[ExplainStep]:
    """Each field that the rule reads, with its value."""
    token = rule.scheme == "token"

    def shown_value(value: str) -> str:
        """A token is redacted whole; of other values first the secrets, then what looks signed."""
        return (
            redactor.redact(redact(value)) if token else redact_signatures(redactor.redact(value))
        )

    missing = None if rule.query and (rule.header or rule.field) else False  # one is enough
    for field in fields_of(rule):
        value = value_of(field, push)
        shown = shown_value(value) if field.signs else redactor.redact(value)
        shown = shown[:LONGEST] or "not there"
        yield ExplainStep(field.kind, f"{field.name}: {shown}", bool(value) or missing)


def _key_steps(rule: Verify, push: Push) -> Iterator[ExplainStep]:
    """The URL of the published keys, if the scheme has one."""
    try:
        url = verify.keys_url(rule, push)
        if url:
            yield ExplainStep("keys", url, ok=True)
    except BadSignature as error:
        yield ExplainStep("keys", str(error), ok=False)


def _time_steps(rule: Verify, parsed: ParsedSignature, now: float) -> Iterator[ExplainStep]:
    if parsed.time is not None:
        age, tolerance = now - parsed.time, float(rule.tolerance)
        side = "before" if age >= 0 else "after"
        text = f"{parsed.time:.0f}, {abs(age):.0f} s {side} now; {tolerance:.0f} s are allowed"
        yield ExplainStep("timestamp", text, -tolerance <= age <= tolerance)


def _content_steps(parsed: ParsedSignature, redactor: Redactor) -> Iterator[ExplainStep]:
    """The signed content; a dot replaces the secret if that is a part of it."""
    if parsed.content:
        text = redactor.redact("•".join(part.decode("utf-8", "replace") for part in parsed.content))
        size = sum(map(len, parsed.content))
        beside = " and the secret •" if len(parsed.content) > 1 else ""
        yield ExplainStep("signed", f"{size} bytes{beside}: {text[:LONGEST]}")


def _comparison_steps(
    parsed: ParsedSignature, expected: Sequence[Sequence[str]], *, sure: bool
) -> Iterator[ExplainStep]:
    """What each key makes, and what the push holds; a mismatch is certain only if `sure`."""
    for number, texts in enumerate(expected, 1):
        for text in texts:
            yield ExplainStep(
                "expected", f"by key {number}: {_redacted(text)}", text in parsed.signatures
            )
    known = {text for texts in expected for text in texts}
    for text in parsed.signatures:
        yield ExplainStep("given", _redacted(text), text in known or (False if sure else None))


def _redacted(text: str) -> str:
    """Redact a signature, but show the version or algorithm in front of it."""
    for mark in (",", ":"):
        name, found, rest = text.partition(mark)
        if found and name.isalnum() and len(name) <= len("sha256"):
            return f"{name}{mark}{redact(rest)}"
    return redact(text)


def _verdict(
    rule: Verify, keys: Sequence[Key], push: Push, now: float, document: bytes
) -> ExplainStep:
    try:
        verify.verify(rule, keys, push, now, document)
    except BadSignature as error:
        return ExplainStep("verdict", str(error), ok=False)
    return ExplainStep("verdict", "the signature is valid", ok=True)
