"""Is a push genuine: what is asked of every scheme.

Everything works on the raw bytes as received, and whatever a stranger may put into a push
ends as BadSignature, never as another exception.
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
        raise ValueError(f"{rule.scheme} checks with keys that are published; remove the secret")
    key = make(way, secret)
    return msgspec.structs.replace(key, scheme=way.scheme) if rule.secret_selects_scheme else key


def needs_secret(rule: Verify) -> bool:
    """Whether a source must hold a secret; else the keys are public."""
    return SCHEMES[rule.scheme].key is not None


def has_senders(rule: Verify) -> bool:
    """Whether others' pushes are signed with the same keys, so that senders must be told apart."""
    return SCHEMES[rule.scheme].sender is not None or bool(rule.sender)


def sender(rule: Verify, push: Push) -> str | None:
    """Who a push says it comes from, which counts once it is verified; None if it does not say."""
    told = SCHEMES[rule.scheme].sender
    if told is not None:
        return told(push)
    return push.headers.get(rule.sender.partition(":")[2].lower()) if rule.sender else None


def keys_url(rule: Verify, push: Push) -> str | None:
    """Where the keys are published that check this push; None for schemes with secrets.

    BadSignature if the push names a place that is not the provider's.
    """
    url = SCHEMES[rule.scheme].document
    return url(rule, push) if url else None


def verify(  # noqa: PLR0917 -- a push, and what it is checked against
    rule: Verify,
    keys: Sequence[Key],
    push: Push,
    now: float,
    document: bytes = b"",
    here: float | None = None,
) -> None:
    """Raise BadSignature, with the reason, unless one of the keys signed this push.

    `document` is what `keys_url` gave: a JWKS, or a certificate in PEM. UnknownKey if
    a newer one of it might do. `now` in seconds since 1970; `here` by another clock, by which a
    push may be fresh as well.
    """
    if rule.other is None:
        _check(rule, keys, push, Clocks(now, here), document)
        return
    refusals = []
    for way, own in usable_alternatives(rule, keys):
        try:
            _check(way, own, push, Clocks(now, here), document)
        except BadSignature as refusal:
            refusals.append((way, refusal))
        else:
            return
    raise next((why for way, why in refusals if has_signature(way, push)), refusals[0][1])


def usable_alternatives(rule: Verify, keys: Sequence[Key]) -> list[tuple[Verify, list[Key]]]:
    """The ways to sign for which there are keys, with those keys; the first way if there are none."""
    own = [
        (way, [key for key in keys if key.scheme in {"", way.scheme}]) for way in rule.alternatives
    ]
    return [one for one in own if one[1]] or own[:1]


def has_signature(way: Verify, push: Push) -> bool:
    """Whether something stands where this way has its signature."""
    return any(spot.signs and value_of(spot, push) for spot in fields_of(way))


class Clocks(NamedTuple):
    """The time by two clocks, of which the second may be unknown."""

    now: float
    here: float | None


def _check(rule: Verify, keys: Sequence[Key], push: Push, times: Clocks, document: bytes) -> None:
    read, check, tolerance, shared = compiled_rule(rule.at(push) if rule.older else rule)
    if shared and not keys:
        raise BadSignature("this source has no secret to check the signature with")
    claim = read(push)
    if claim.time is not None:
        timestamp.check(claim.time, times.now, tolerance, times.here)
    check(keys, claim, times.now, document)


class CompiledRule(NamedTuple):
    """A rule, ready for the next push."""

    read: Reader
    check: Checker
    tolerance: float
    shared: bool  # whether it takes a secret


@lru_cache(1024)  # there is one rule to a profile
def compiled_rule(rule: Verify) -> CompiledRule:
    """Compile a rule, once."""
    scheme = SCHEMES[rule.scheme]
    return CompiledRule(
        scheme.reader(rule), scheme.checker(rule), float(rule.tolerance), scheme.key is not None
    )
