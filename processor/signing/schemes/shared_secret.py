"""Compares received signatures with those that a shared secret makes, in constant time."""

import hmac
from collections.abc import Callable, Sequence

from processor.errors import BadSignature
from processor.signing.keys import Key
from processor.signing.parsed_signature import ParsedSignature

Maker = Callable[[Key, ParsedSignature], Sequence[str]]
"""Makes the signatures of a key; a push is genuine if any of them matches."""

Checker = Callable[[Sequence[Key], ParsedSignature, float, bytes], None]
"""Takes keys, signature, now and document; raises BadSignature if none of the keys made it."""

# {}: where the signature is
NO_MATCH = (
    "{} was made with none of this source's secrets, or its body or time is not as it was sent"
)


def checker(make: Maker, message: str) -> Checker:
    """Compile a check that tries every key, so that its duration does not reveal which one matched.

    It compares the signatures as ASCII text: a badly encoded one is not decoded, it just differs.
    """

    def check(keys: Sequence[Key], parsed: ParsedSignature, _now: float, _document: bytes) -> None:
        same = False
        for key in keys:
            for ours in make(key, parsed):
                for theirs in parsed.signatures:
                    same |= hmac.compare_digest(ours, theirs)
        if not same:
            raise BadSignature(message)

    return check
