"""Signature verification of a push, whatever its scheme.

It works on the raw bytes as received. Any hostile push ends as BadSignature, never as another
exception.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from processor.errors import BadSignature
from processor.model import Push
from processor.signing.keys import Key
from processor.signing.parse import timestamp
from processor.signing.parsed_signature import Reader
from processor.signing.schemes.registry import SCHEMES
from processor.signing.schemes.shared_secret import Checker
from processor.signing.signature_fields import fields_of, value_of
from processor.signing.verify_rule import Verify


def secret_key(rule: Verify, secret: str) -> Key:
    """Turn a configured secret into the scheme's key, or raise ValueError with the remedy."""
    way = rule.alternative_for(secret)
    make = SCHEMES[way.scheme].key
    if make is None:
        raise ValueError(f"{rule.scheme} verifies with published keys; remove the secret")
    key = make(way, secret)
    return msgspec.structs.replace(key, scheme=way.scheme) if rule.secret_selects_scheme else key


def needs_secret(rule: Verify) -> bool:
    """Whether a source needs a secret; otherwise the provider publishes its keys."""
    return SCHEMES[rule.scheme].key is not None


def has_senders(rule: Verify) -> bool:
    """Whether the same keys sign the pushes of several senders, so that the sender must be checked."""
    return SCHEMES[rule.scheme].sender is not None or bool(rule.sender)


def sender(rule: Verify, push: Push) -> str | None:
    """The sender that a push names, to be trusted only after `verify`; None if it names none."""
    read = SCHEMES[rule.scheme].sender
    if read is not None:
        return read(push)
    return push.headers.get(rule.sender.partition(":")[2].lower()) if rule.sender else None


def keys_url(rule: Verify, push: Push) -> str | None:
    """The URL of the published keys for this push; None for schemes with secrets.

    BadSignature if the push names a URL that does not belong to the provider.
    """
    url = SCHEMES[rule.scheme].keys_url
    return url(rule, push) if url else None


def holds_key(rule: Verify, document: bytes) -> bool:
    """Whether a document from `keys_url` has a key that could verify a push."""
    return SCHEMES[rule.scheme].holds_key(document)


def verify(  # noqa: PLR0917 -- a push, and all that it is checked against
    rule: Verify,
    keys: Sequence[Key],
    push: Push,
    now: float,
    document: bytes = b"",
    here: float | None = None,
) -> None:
    """Raise BadSignature, with the reason, unless one of the keys signed this push.

    `document` is the content of `keys_url`: a JWKS, or a certificate in PEM. UnknownKey if a newer
    document might hold the key. `now` is in seconds since 1970; `here` is the time by a second
    clock, and a push that is recent by either clock is accepted.
    """
    if rule.other:
        _verify_any(rule, keys, push, now, document, here)
        return
    read, check, tolerance, shared = compiled_rule(rule.for_push(push) if rule.older else rule)
    if shared and not keys:
        raise BadSignature("this source has no secret to verify the signature with")
    parsed = read(push)
    if parsed.time is not None:
        timestamp.check(parsed.time, now, tolerance, here)
    check(keys, parsed, now, document)


def _verify_any(  # noqa: PLR0917 -- as `verify`
    rule: Verify,
    keys: Sequence[Key],
    push: Push,
    now: float,
    document: bytes,
    here: float | None,
) -> None:
    """The same for a rule with alternatives."""
    refusals = []
    for way, own in usable_alternatives(rule, keys):
        try:
            verify(way, own, push, now, document, here)
        except BadSignature as refusal:
            refusals.append((way, refusal))
        else:
            return
    raise next((why for way, why in refusals if has_signature(way, push)), refusals[0][1])


def usable_alternatives(rule: Verify, keys: Sequence[Key]) -> list[tuple[Verify, list[Key]]]:
    """The alternatives of a rule that have keys, with those keys; without any key, the first."""
    own = [
        (way, [key for key in keys if key.scheme in {"", way.scheme}]) for way in rule.alternatives
    ]
    return [one for one in own if one[1]] or own[:1]


def has_signature(way: Verify, push: Push) -> bool:
    """Whether the push has a value where this rule expects the signature."""
    return any(field.signs and value_of(field, push) for field in fields_of(way))


class CompiledRule(NamedTuple):
    """A rule, compiled once for all pushes."""

    read: Reader
    check: Checker
    tolerance: float
    shared: bool  # whether it needs a secret


@lru_cache(1024)  # a profile has one rule
def compiled_rule(rule: Verify) -> CompiledRule:
    """Compile a rule, once."""
    scheme = SCHEMES[rule.scheme]
    return CompiledRule(
        scheme.reader(rule), scheme.checker(rule), float(rule.tolerance), scheme.key is not None
    )
