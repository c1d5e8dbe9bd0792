"""Signature verification of providers' pushes, and the signatures that we send. In reading order:

weak_keys         Ed25519 public keys of small order, for which anybody can sign
keys              secrets, and the keys that they stand for
parse             the parts of a push that signatures are made of
verify_rule       the `[push.verify]` table of a profile, and what is refused in it
parsed_signature  what a push carries: signatures, a time, and what they were made over
schemes           the signature schemes
verify            is a push genuine
signature_fields        the fields of a push that a rule reads
redaction         showing a secret without revealing it
explain           why a push is genuine or not, for people
sign_as_provider  what a provider would send
"""

from processor.signing.explain import ExplainStep, explain
from processor.signing.keys import (
    Key,
    decode_secret,
    private_text,
    public_text,
    signing_key,
)
from processor.signing.parse.timestamp import TOLERANCE
from processor.signing.schemes.registry import SCHEMES, Scheme
from processor.signing.schemes.sns import amazon_url
from processor.signing.schemes.standard_webhooks import SIGNATURES, sign, signer
from processor.signing.sign_as_provider import ProviderSignature, sign_as_provider
from processor.signing.verify import (
    has_senders,
    keys_url,
    needs_secret,
    secret_key,
    sender,
    verify,
)
from processor.signing.verify_rule import Verify

__all__ = [
    "SCHEMES",
    "SIGNATURES",
    "TOLERANCE",
    "ExplainStep",
    "Key",
    "ProviderSignature",
    "Scheme",
    "Verify",
    "amazon_url",
    "decode_secret",
    "explain",
    "has_senders",
    "keys_url",
    "needs_secret",
    "private_text",
    "public_text",
    "secret_key",
    "sender",
    "sign",
    "sign_as_provider",
    "signer",
    "signing_key",
    "verify",
]
