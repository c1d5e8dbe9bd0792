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


def _shared(reader: Callable[[Verify], Read], maker: Callable[[Verify], Make]) -> Scheme:
    def checker(rule: Verify) -> Check:
        where = rule.header or f"the field `{rule.field}`"
        return shared.checker(maker(rule), shared.NONE.format(where))

    return Scheme(reader, checker, lambda _rule, text: text_key(text), maker)


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
        standard.checker,
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
    "token": Scheme(
        tokens.reader,
        lambda _rule: shared.checker(tokens.make, "the token is none of this source's secrets"),
        lambda _rule, text: token_key(text),
        lambda _rule: tokens.make,
    ),
}
