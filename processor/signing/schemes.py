"""The schemes by their names in a profile. None is guessed from a header: look-alikes exist.

Cloudflare Stream also sends `Webhook-Signature`, with other contents than Standard Webhooks.
"""

from collections.abc import Callable
from typing import NamedTuple

from processor.model import Push
from processor.signing import claim as claims, digests, ed25519, shared, sns, standard, tokens
from processor.signing.claim import Read
from processor.signing.keys import Key, standard_key, text_key, token_key
from processor.signing.rule import Verify
from processor.signing.shared import Check, Make


class Scheme(NamedTuple):
    """One way to sign; what takes a rule compiles it."""

    reader: Callable[[Verify], Read]
    checker: Callable[[Verify], Check]
    key: Callable[[Verify, str], Key] | None  # from a secret; None: the keys are published
    maker: Callable[[Verify], Make] | None  # None: only the signer can make a signature
    document: Callable[[Verify, Push], str] | None = None  # the URL of the published keys
    sender: Callable[[Push], str | None] | None = None  # None: `sender` of the rule says it


def _shared(
    reader: Callable[[Verify], Read],
    maker: Callable[[Verify], Make],
    key: Callable[[str], Key] = text_key,
) -> Scheme:
    return Scheme(
        reader,
        lambda rule: shared.checker(maker(rule), rule.header or rule.field or f"?{rule.query}="),
        lambda _rule, text: key(text),
        maker,
    )


_HMAC = _shared(claims.reader, digests.hmac_maker)
_HASH = _shared(claims.reader, digests.hash_maker)

SCHEMES: dict[str, Scheme] = {
    "hmac-sha1": _HMAC,
    "hmac-sha256": _HMAC,
    "hmac-sha384": _HMAC,
    "hmac-sha512": _HMAC,
    "hmac-named": _shared(digests.named_reader, digests.named_maker),
    "hash-sha1": _HASH,
    "hash-sha256": _HASH,
    "standard-webhooks": Scheme(
        standard.reader,
        lambda _rule: standard.check,
        lambda rule, text: standard_key(text, raw=rule.raw_secret),
        lambda _rule: standard.make,
    ),
    "ed25519": Scheme(
        claims.reader, ed25519.checker, None, None, document=lambda rule, _push: rule.keys
    ),
    "sns": Scheme(
        lambda _rule: sns.read,
        lambda _rule: sns.check,
        None,
        None,
        document=lambda _rule, push: sns.document_url(push),
        sender=sns.sender,
    ),
    "token": _shared(tokens.reader, lambda _rule: tokens.make, token_key),
}
