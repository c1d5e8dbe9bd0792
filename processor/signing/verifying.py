"""Is a push genuine: what is asked of every scheme.

Everything works on the raw bytes as received, and whatever a stranger may put into a push
ends as BadSignature, never as another exception.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from processor.errors import BadSignature
from processor.model import Push
from processor.signing import age
from processor.signing.claim import Read
from processor.signing.keys import Key
from processor.signing.rule import Verify
from processor.signing.schemes import SCHEMES
from processor.signing.shared import Check


def secret_key(rule: Verify, secret: str) -> Key:
    """Turn a configured secret into the scheme's key, or raise ValueError with the remedy."""
    make = SCHEMES[rule.scheme].key
    if make is None:
        raise ValueError(f"{rule.scheme} checks with keys that are published; remove the secret")
    return make(rule, secret)


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


def verify(
    rule: Verify, keys: Sequence[Key], push: Push, now: float, document: bytes = b""
) -> None:
    """Raise BadSignature, with the reason, unless one of the keys signed this push.

    `document` is what `document_url` gave: a JWKS, or a certificate in PEM. UnknownKey if
    a newer one of it might do. `now` in seconds since 1970.
    """
    read, check, tolerance, shared = compiled(rule.at(push) if rule.older else rule)
    if shared and not keys:
        raise BadSignature("this source has no secret to check the signature with")
    claim = read(push)
    if claim.time is not None:
        age.check(claim.time, now, tolerance)
    check(keys, claim, now, document)


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
