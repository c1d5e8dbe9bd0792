"""Why a push is genuine or not, step by step, for people; nothing secret is shown."""

from collections.abc import Iterator, Sequence

import msgspec

from processor.errors import BadSignature
from processor.model import Push
from processor.signing import verify
from processor.signing.keys import Key
from processor.signing.parse.encoding import base64
from processor.signing.parsed_signature import ParsedSignature
from processor.signing.redaction import Redactor, redact, redact_runs
from processor.signing.schemes.registry import SCHEMES
from processor.signing.signature_fields import fields_of, value_of
from processor.signing.verify_rule import Verify

LONGEST = 200  # characters of a value that are shown


class ExplainStep(msgspec.Struct, frozen=True):
    """One thing that was looked at; `ok` is None where it decides nothing by itself."""

    name: str
    value: str
    ok: bool | None = None


def explain(
    rule: Verify, keys: Sequence[Key], push: Push, now: float, document: bytes = b""
) -> list[ExplainStep]:
    """Say what was looked for, what was there, what was signed, and what should have been given.

    Never raises, and never shows a whole secret, token or signature that holds.
    """
    rule, keys = _chosen_alternative(rule, keys, push, now)
    rule = rule.at(push)
    try:
        claim = verify.compiled_rule(rule).read(push)
    except BadSignature:
        claim = None
    made = _made(rule, keys, claim) if claim else []
    given = claim.signatures if claim else ()
    redactor = Redactor([*_texts(keys), *(text for texts in made for text in texts), *given])
    steps = [*_places(rule, push, redactor), *_source(rule, push)]
    if claim:
        sure = bool(made) and not any(key.public for key in keys)  # those make no signatures
        steps += [*_time(rule, claim, now), *_signed(claim, redactor)]
        steps += _compared(claim, made, sure=sure)
    steps.append(_verdict(rule, keys, push, now, document))
    return [
        ExplainStep(step.name, redactor.over(step.value)[: LONGEST * 2], step.ok) for step in steps
    ]


def _chosen_alternative(
    rule: Verify, keys: Sequence[Key], push: Push, now: float
) -> tuple[Verify, Sequence[Key]]:
    """Of two ways to sign the one that holds, else one that the push claims."""
    if rule.other is None:
        return rule, keys
    known = verify.usable_alternatives(rule, keys)
    for way, own in known:
        if _verdict(way, own, push, now, b"").ok:
            return way, own
    return next((one for one in known if verify.has_signature(one[0], push)), known[0])


def _made(rule: Verify, keys: Sequence[Key], claim: ParsedSignature) -> list[Sequence[str]]:
    """The signatures that each key makes; nothing where only the signer can make one."""
    maker = SCHEMES[rule.scheme].maker
    return [maker(rule)(key, claim) for key in keys] if maker else []


def _texts(keys: Sequence[Key]) -> Iterator[str]:
    """Every way in which the keys may be written."""
    for key in keys:
        yield key.data.decode("utf-8", "replace")
        yield base64(key.data)


def _places(rule: Verify, push: Push, redactor: Redactor) -> Iterator[ExplainStep]:
    """What was looked for, and what was there."""
    token = rule.scheme == "token"

    def hide(value: str) -> str:
        """A token is masked whole; of a signature a secret in it first, then the rest."""
        return redactor.over(redact(value)) if token else redact_runs(redactor.over(value))

    missing = None if rule.query and (rule.header or rule.field) else False  # one is enough
    for place in fields_of(rule):
        value = value_of(place, push)
        shown = hide(value) if place.signs else redactor.over(value)
        shown = shown[:LONGEST] or "not there"
        yield ExplainStep(place.kind, f"{place.name}: {shown}", bool(value) or missing)


def _source(rule: Verify, push: Push) -> Iterator[ExplainStep]:
    """Where the keys are published, if they are."""
    try:
        url = verify.keys_url(rule, push)
        if url:
            yield ExplainStep("keys", url, ok=True)
    except BadSignature as error:
        yield ExplainStep("keys", str(error), ok=False)


def _time(rule: Verify, claim: ParsedSignature, now: float) -> Iterator[ExplainStep]:
    if claim.time is not None:
        age, tolerance = now - claim.time, float(rule.tolerance)
        side = "before" if age >= 0 else "after"
        text = f"{claim.time:.0f}, {abs(age):.0f} s {side} now; {tolerance:.0f} s are tolerated"
        yield ExplainStep("timestamp", text, -tolerance <= age <= tolerance)


def _signed(claim: ParsedSignature, redactor: Redactor) -> Iterator[ExplainStep]:
    """What was signed; where the secret is a part of it, there stands a dot for it."""
    if claim.content:
        text = redactor.over("•".join(part.decode("utf-8", "replace") for part in claim.content))
        size = sum(map(len, claim.content))
        beside = " and the secret •" if len(claim.content) > 1 else ""
        yield ExplainStep("signed", f"{size} bytes{beside}: {text[:LONGEST]}")


def _compared(
    claim: ParsedSignature, made: Sequence[Sequence[str]], *, sure: bool
) -> Iterator[ExplainStep]:
    """What each key makes, against what was given; without being `sure` only a match is one."""
    for number, texts in enumerate(made, 1):
        for text in texts:
            yield ExplainStep(
                "expected", f"by key {number}: {_redacted(text)}", text in claim.signatures
            )
    known = {text for texts in made for text in texts}
    for text in claim.signatures:
        yield ExplainStep("given", _redacted(text), text in known or (False if sure else None))


def _redacted(text: str) -> str:
    """Mask a signature; a version or an algorithm before it is shown."""
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
    return ExplainStep("verdict", "the signature holds", ok=True)
