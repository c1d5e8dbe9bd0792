"""Signatures that a shared secret makes: HMACs, and plain digests over text with the secret."""

import hashlib
from collections.abc import Sequence

from processor.errors import BadSignature
from processor.model import Push
from processor.signing import parsed_signature
from processor.signing.keys import Key, hmac_of, keyed_hmac
from processor.signing.parse.encoding import ENCODE
from processor.signing.parsed_signature import ParsedSignature, Reader
from processor.signing.schemes.shared_secret import Maker
from processor.signing.verify_rule import Verify

NAMED = ("sha1", "sha256", "sha384", "sha512")  # what a signature may name
UNNAMED = "sha1"  # what it is where it names none


def hmac_maker(rule: Verify) -> Maker:
    """Compile the HMAC of `hmac-sha256`, which names its digest."""
    algorithm, write = rule.scheme.removeprefix("hmac-"), ENCODE[rule.encoding]

    def make(key: Key, claim: ParsedSignature) -> Sequence[str]:
        return (write(hmac_of(algorithm, key.data, claim.content[0]).digest()),)

    def make_hex(key: Key, claim: ParsedSignature) -> Sequence[str]:
        """The same for most providers, in fewer steps."""
        code = keyed_hmac(algorithm, key.data).copy()
        code.update(claim.content[0])
        return (code.hexdigest(),)

    return make_hex if rule.encoding == "hex" else make


def hash_maker(rule: Verify) -> Maker:
    """Compile the digest of what was signed, with the secret where it belongs."""
    algorithm, write = rule.scheme.removeprefix("hash-"), ENCODE[rule.encoding]

    def make(key: Key, claim: ParsedSignature) -> Sequence[str]:
        return (write(hashlib.new(algorithm, key.data.join(claim.content)).digest()),)

    return make


def named_reader(rule: Verify) -> Reader:
    """Compile a rule whose signatures name their algorithm: one that is not taken is refused."""
    read = parsed_signature.reader(rule)

    def read_named(push: Push) -> ParsedSignature:
        found = read(push)
        return ParsedSignature(tuple(map(_named, found.signatures)), found.content, found.time)

    return read_named


def named_maker(rule: Verify) -> Maker:
    """Compile signatures by each of the algorithms that those given name, after the name."""
    write = ENCODE[rule.encoding]

    def make(key: Key, claim: ParsedSignature) -> Sequence[str]:
        names = dict.fromkeys(text.partition(":")[0] for text in claim.signatures)
        return [f"{n}:{write(hmac_of(n, key.data, claim.content[0]).digest())}" for n in names]

    return make


def _named(text: str) -> str:
    if ":" not in text:
        return f"{UNNAMED}:{text}"
    if text.partition(":")[0] not in NAMED:
        raise BadSignature(f"the signature names no algorithm of {', '.join(NAMED)}")
    return text
