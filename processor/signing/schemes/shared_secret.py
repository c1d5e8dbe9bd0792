"""Comparing what a shared secret makes with what was given."""

import hmac
from collections.abc import Callable, Sequence

from processor.errors import BadSignature
from processor.signing.keys import Key
from processor.signing.parsed_signature import ParsedSignature

Maker = Callable[
    [Key, ParsedSignature], Sequence[str]
]  # signatures that this key makes, any may match
Checker = Callable[
    [Sequence[Key], ParsedSignature, float, bytes], None
]  # keys, claim, now, document

NO_MATCH = "{} was made with none of this source's secrets, or its body or time is not as it was sent"  # {}: where it is


def checker(make: Maker, complaint: str) -> Checker:
    """Check with every key, so that the time taken does not tell which one was right.

    Texts are compared, both ASCII: what is badly encoded is never decoded, it is no match.
    """

    def check(keys: Sequence[Key], claim: ParsedSignature, _now: float, _document: bytes) -> None:
        same = False
        for key in keys:
            for ours in make(key, claim):
                for theirs in claim.signatures:
                    same |= hmac.compare_digest(ours, theirs)
        if not same:
            raise BadSignature(complaint)

    return check
