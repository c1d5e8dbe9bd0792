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
from processor.signing.looking import found, looked_for
from processor.signing.parse import timestamp
from processor.signing.parsed_signature import Read
from processor.signing.schemes.registry import SCHEMES
from processor.signing.schemes.shared_secret import Check
from processor.signing.verify_rule import Verify


def secret_key(rule: Verify, secret: str) -> Key:
    """Turn a configured secret into the scheme's key, or raise ValueError with the remedy."""
    way = rule.way_of(secret)
    make = SCHEMES[way.scheme].key
    if make is None:
        raise ValueError(f"{rule.scheme} checks with keys that are published; remove the secret")
    key = make(way, secret)
    return msgspec.structs.replace(key, scheme=way.scheme) if rule.tells_apart else key


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


def document_url(rule: Verify, push: Push) -> str | None:
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

    `document` is what `document_url` gave: a JWKS, or a certificate in PEM. UnknownKey if
    a newer one of it might do. `now` in seconds since 1970; `here` by another clock, by which a
    push may be fresh as well.
    """
    if rule.other is None:
        _check(rule, keys, push, Times(now, here), document)
        return
    refusals = []
    for way, own in ways(rule, keys):
        try:
            _check(way, own, push, Times(now, here), document)
        except BadSignature as refusal:
            refusals.append((way, refusal))
        else:
            return
    raise next((why for way, why in refusals if is_signed(way, push)), refusals[0][1])


def ways(rule: Verify, keys: Sequence[Key]) -> list[tuple[Verify, list[Key]]]:
    """The ways to sign for which there are keys, with those keys; the first way if there are none."""
    own = [(way, [key for key in keys if key.scheme in {"", way.scheme}]) for way in rule.ways]
    return [one for one in own if one[1]] or own[:1]


def is_signed(way: Verify, push: Push) -> bool:
    """Whether something stands where this way has its signature."""
    return any(spot.signs and found(spot, push) for spot in looked_for(way))


class Times(NamedTuple):
    """The time by two clocks, of which the second may be unknown."""

    now: float
    here: float | None


def _check(rule: Verify, keys: Sequence[Key], push: Push, times: Times, document: bytes) -> None:
    read, check, tolerance, shared = compiled(rule.at(push) if rule.older else rule)
    if shared and not keys:
        raise BadSignature("this source has no secret to check the signature with")
    claim = read(push)
    if claim.time is not None:
        timestamp.check(claim.time, times.now, tolerance, times.here)
    check(keys, claim, times.now, document)


class Compiled(NamedTuple):
    """A rule, ready for the next push."""

    read: Read
    check: Check
    tolerance: float
    shared: bool  # whether it takes a secret


@lru_cache(1024)  # there is one rule to a profile
def compiled(rule: Verify) -> Compiled:
    """Compile a rule, once."""
    scheme = SCHEMES[rule.scheme]
    return Compiled(
        scheme.reader(rule), scheme.checker(rule), float(rule.tolerance), scheme.key is not None
    )
