"""Signatures: the one that we send, and the providers' that we check. In reading order:

rule         the `[push.verify]` table of a profile
nonsense     what is refused in it
template     what a signature is made over
writing      how signatures are written
places       where in a push a value lies
age          when it was signed, and whether that is near enough to now
small_order  public keys for which anybody can sign
keys         secrets, and the keys that they stand for
claim        what a push claims: signatures, a time, and what they were made over
shared       comparing what a shared secret makes with what was given
digests      HMACs and plain digests, made with a shared secret
ed25519      signatures whose keys are published as a JWKS
standard     Standard Webhooks, theirs and ours
tokens       no signature: the secret itself
certificate  what Amazon SNS signs with
sns          Amazon SNS
schemes      all of them by name
verifying    is a push genuine
looking      which places of a push a rule looks at
masking      showing a secret without giving it away
explaining   why it is genuine or not, for people
imitating    what a provider would send
"""

from processor.signing.age import TOLERANCE
from processor.signing.explaining import Step, explain
from processor.signing.imitating import Imitation, imitate
from processor.signing.keys import (
    Key,
    decode_secret,
    private_text,
    public_text,
    signing_key,
)
from processor.signing.rule import Verify
from processor.signing.schemes import SCHEMES, Scheme
from processor.signing.sns import amazon_url
from processor.signing.standard import SIGNATURES, sign, signer
from processor.signing.verifying import (
    document_url,
    has_senders,
    needs_secret,
    secret_key,
    sender,
    verify,
)

__all__ = [
    "SCHEMES",
    "SIGNATURES",
    "TOLERANCE",
    "Imitation",
    "Key",
    "Scheme",
    "Step",
    "Verify",
    "amazon_url",
    "decode_secret",
    "document_url",
    "explain",
    "has_senders",
    "imitate",
    "needs_secret",
    "private_text",
    "public_text",
    "secret_key",
    "sender",
    "sign",
    "signer",
    "signing_key",
    "verify",
]
