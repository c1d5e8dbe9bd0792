"""The signature schemes by name, as profiles name them.

A new scheme is a module of this folder and a row here, and a row of `ALLOWED_KEYS` in
`verify_rule.py`. `sign_as_provider.py` signs with it for tests and simulations, if it can.

A scheme is never guessed from a header: Cloudflare Stream also sends `Webhook-Signature`, but not
in the format of Standard Webhooks.
"""

from collections.abc import Callable
from typing import NamedTuple

from processor.model import Push
from processor.signing import parsed_signature
from processor.signing.keys import Key, standard_key, text_key, token_key
from processor.signing.parsed_signature import Reader
from processor.signing.schemes import (
    ed25519,
    hmac,
    shared_secret,
    sns,
    sns_certificate,
    standard_webhooks,
    token,
)
from processor.signing.schemes.shared_secret import Checker, Maker
from processor.signing.verify_rule import Verify


class Scheme(NamedTuple):
    """One signature scheme; its functions compile a rule."""

    reader: Callable[[Verify], Reader]
    checker: Callable[[Verify], Checker]
    key: Callable[[Verify, str], Key] | None  # from a secret; None: the keys are published
    maker: Callable[[Verify], Maker] | None  # None: only the provider can make a signature
    keys_url: Callable[[Verify, Push], str] | None = None  # where the keys are published
    holds_key: Callable[[bytes], bool] = bool  # whether a document from there has a usable key
    sender: Callable[[Push], str | None] | None = None  # None: the rule's `sender` names it


def _shared(reader: Callable[[Verify], Reader], maker: Callable[[Verify], Maker]) -> Scheme:
    def checker(rule: Verify) -> Checker:
        where = rule.header or f"the field `{rule.field}`"
        return shared_secret.checker(maker(rule), shared_secret.NO_MATCH.format(where))

    return Scheme(reader, checker, lambda _rule, text: text_key(text), maker)


_HMAC = _shared(parsed_signature.reader, hmac.hmac_maker)
_HASH = _shared(parsed_signature.reader, hmac.hash_maker)

SCHEMES: dict[str, Scheme] = {
    "hmac-sha1": _HMAC,
    "hmac-sha256": _HMAC,
    "hmac-sha384": _HMAC,
    "hmac-sha512": _HMAC,
    "hmac-named": _shared(hmac.named_reader, hmac.named_maker),
    "hash-sha1": _HASH,
    "hash-sha256": _HASH,
    "standard-webhooks": Scheme(
        standard_webhooks.reader,
        standard_webhooks.checker,
        lambda rule, text: standard_key(text, raw=rule.raw_secret),
        lambda _rule: standard_webhooks.make,
    ),
    "ed25519": Scheme(
        parsed_signature.reader,
        ed25519.checker,
        None,
        None,
        keys_url=lambda rule, _push: rule.keys,
        holds_key=lambda document: bool(ed25519.public_keys_of(document)),
    ),
    "sns": Scheme(
        lambda _rule: sns.read,
        lambda _rule: sns.check,
        None,
        None,
        keys_url=lambda _rule, push: sns.keys_url(push),
        holds_key=sns_certificate.is_readable,
        sender=sns.sender,
    ),
    "token": Scheme(
        token.reader,
        lambda _rule: shared_secret.checker(
            token.make, "the token is not one of this source's secrets"
        ),
        lambda _rule, text: token_key(text),
        lambda _rule: token.make,
    ),
}
