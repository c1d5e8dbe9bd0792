"""Why a push is genuine or not, step by step, for people; nothing secret is shown."""

from collections.abc import Iterator, Sequence

import msgspec

from processor.errors import BadSignature
from processor.model import Push
from processor.signing import verify
from processor.signing.keys import Key
from processor.signing.looking import found, looked_for
from processor.signing.masking import Veil, mask, mask_runs
from processor.signing.parse.encoding import base64
from processor.signing.parsed_signature import Claim
from processor.signing.schemes.registry import SCHEMES
from processor.signing.verify_rule import Verify

LONGEST = 200  # characters of a value that are shown


class Step(msgspec.Struct, frozen=True):
    """One thing that was looked at; `ok` is None where it decides nothing by itself."""

    name: str
    value: str
    ok: bool | None = None


def explain(
    rule: Verify, keys: Sequence[Key], push: Push, now: float, document: bytes = b""
) -> list[Step]:
    """Say what was looked for, what was there, what was signed, and what should have been given.

    Never raises, and never shows a whole secret, token or signature that holds.
    """
    rule, keys = _way(rule, keys, push, now)
    rule = rule.at(push)
    try:
        claim = verify.compiled(rule).read(push)
    except BadSignature:
        claim = None
    made = _made(rule, keys, claim) if claim else []
    given = claim.given if claim else ()
    veil = Veil([*_texts(keys), *(text for texts in made for text in texts), *given])
    steps = [*_places(rule, push, veil), *_source(rule, push)]
    if claim:
        sure = bool(made) and not any(key.public for key in keys)  # those make no signatures
        steps += [*_time(rule, claim, now), *_signed(claim, veil)]
        steps += _compared(claim, made, sure=sure)
    steps.append(_verdict(rule, keys, push, now, document))
    return [Step(step.name, veil.over(step.value)[: LONGEST * 2], step.ok) for step in steps]


def _way(rule: Verify, keys: Sequence[Key], push: Push, now: float) -> tuple[Verify, Sequence[Key]]:
    """Of two ways to sign the one that holds, else one that the push claims."""
    if rule.other is None:
        return rule, keys
    known = verify.ways(rule, keys)
    for way, own in known:
        if _verdict(way, own, push, now, b"").ok:
            return way, own
    return next((one for one in known if verify.is_signed(one[0], push)), known[0])


def _made(rule: Verify, keys: Sequence[Key], claim: Claim) -> list[Sequence[str]]:
    """The signatures that each key makes; nothing where only the signer can make one."""
    maker = SCHEMES[rule.scheme].maker
    return [maker(rule)(key, claim) for key in keys] if maker else []


def _texts(keys: Sequence[Key]) -> Iterator[str]:
    """Every way in which the keys may be written."""
    for key in keys:
        yield key.data.decode("utf-8", "replace")
        yield base64(key.data)


def _places(rule: Verify, push: Push, veil: Veil) -> Iterator[Step]:
    """What was looked for, and what was there."""
    token = rule.scheme == "token"

    def hide(value: str) -> str:
        """A token is masked whole; of a signature a secret in it first, then the rest."""
        return veil.over(mask(value)) if token else mask_runs(veil.over(value))

    missing = None if rule.query and (rule.header or rule.field) else False  # one is enough
    for place in looked_for(rule):
        value = found(place, push)
        shown = hide(value) if place.signs else veil.over(value)
        shown = shown[:LONGEST] or "not there"
        yield Step(place.kind, f"{place.name}: {shown}", bool(value) or missing)


def _source(rule: Verify, push: Push) -> Iterator[Step]:
    """Where the keys are published, if they are."""
    try:
        url = verify.document_url(rule, push)
        if url:
            yield Step("keys", url, ok=True)
    except BadSignature as error:
        yield Step("keys", str(error), ok=False)


def _time(rule: Verify, claim: Claim, now: float) -> Iterator[Step]:
    if claim.time is not None:
        age, tolerance = now - claim.time, float(rule.tolerance)
        side = "before" if age >= 0 else "after"
        text = f"{claim.time:.0f}, {abs(age):.0f} s {side} now; {tolerance:.0f} s are tolerated"
        yield Step("timestamp", text, -tolerance <= age <= tolerance)


def _signed(claim: Claim, veil: Veil) -> Iterator[Step]:
    """What was signed; where the secret is a part of it, there stands a dot for it."""
    if claim.signed:
        text = veil.over("•".join(part.decode("utf-8", "replace") for part in claim.signed))
        size = sum(map(len, claim.signed))
        beside = " and the secret •" if len(claim.signed) > 1 else ""
        yield Step("signed", f"{size} bytes{beside}: {text[:LONGEST]}")


def _compared(claim: Claim, made: Sequence[Sequence[str]], *, sure: bool) -> Iterator[Step]:
    """What each key makes, against what was given; without being `sure` only a match is one."""
    for number, texts in enumerate(made, 1):
        for text in texts:
            yield Step("expected", f"by key {number}: {_masked(text)}", text in claim.given)
    known = {text for texts in made for text in texts}
    for text in claim.given:
        yield Step("given", _masked(text), text in known or (False if sure else None))


def _masked(text: str) -> str:
    """Mask a signature; a version or an algorithm before it is shown."""
    for mark in (",", ":"):
        name, found, rest = text.partition(mark)
        if found and name.isalnum() and len(name) <= len("sha256"):
            return f"{name}{mark}{mask(rest)}"
    return mask(text)


def _verdict(rule: Verify, keys: Sequence[Key], push: Push, now: float, document: bytes) -> Step:
    try:
        verify.verify(rule, keys, push, now, document)
    except BadSignature as error:
        return Step("verdict", str(error), ok=False)
    return Step("verdict", "the signature holds", ok=True)
