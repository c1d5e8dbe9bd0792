"""Signature verification of providers' pushes, and the signatures of our deliveries.

In reading order:

weak_keys         Ed25519 public keys for which anybody can make a signature
keys              parses configured secrets into keys
parse             the parts of a push that a signature consists of
verify_rule       the `[push.verify]` table of a profile, and the rules that it refuses
parsed_signature  the signature of a push, parsed but not yet checked
schemes           the signature schemes, one file each
signature_fields  the fields of a push that a rule reads
verify            signature verification, whatever the scheme
redaction         redacts signatures and secrets in text that people see
explain           explains step by step why a signature is valid or not
sign_as_provider  signs a push as its provider would, for simulation and tests
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
    holds_key,
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
    "holds_key",
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
