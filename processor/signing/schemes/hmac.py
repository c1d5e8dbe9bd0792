"""HMAC signatures, and plain digests over text that contains the shared secret."""

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

NAMED = ("sha1", "sha256", "sha384", "sha512")  # algorithms that a signature may name
UNNAMED = "sha1"  # the algorithm of a signature that names none


def hmac_maker(rule: Verify) -> Maker:
    """Compile the HMAC of a scheme that names its digest, such as `hmac-sha256`."""
    algorithm, write = rule.scheme.removeprefix("hmac-"), ENCODE[rule.encoding]

    def make(key: Key, parsed: ParsedSignature) -> Sequence[str]:
        return (write(hmac_of(algorithm, key.data, parsed.content[0]).digest()),)

    def make_hex(key: Key, parsed: ParsedSignature) -> Sequence[str]:
        """The same in fewer steps, for the most common encoding."""
        code = keyed_hmac(algorithm, key.data).copy()
        code.update(parsed.content[0])
        return (code.hexdigest(),)

    return make_hex if rule.encoding == "hex" else make


def hash_maker(rule: Verify) -> Maker:
    """Compile the digest of the signed content, with the secret in its place."""
    algorithm, write = rule.scheme.removeprefix("hash-"), ENCODE[rule.encoding]

    def make(key: Key, parsed: ParsedSignature) -> Sequence[str]:
        return (write(hashlib.new(algorithm, key.data.join(parsed.content)).digest()),)

    return make


def named_reader(rule: Verify) -> Reader:
    """Compile a rule whose signatures name their algorithm; unknown algorithms are refused."""
    read = parsed_signature.reader(rule)

    def read_named(push: Push) -> ParsedSignature:
        found = read(push)
        return ParsedSignature(tuple(map(_named, found.signatures)), found.content, found.time)

    return read_named


def named_maker(rule: Verify) -> Maker:
    """Compile `ALGORITHM:SIGNATURE` for each algorithm that the received signatures name."""
    write = ENCODE[rule.encoding]

    def make(key: Key, parsed: ParsedSignature) -> Sequence[str]:
        names = dict.fromkeys(text.partition(":")[0] for text in parsed.signatures)
        return [f"{n}:{write(hmac_of(n, key.data, parsed.content[0]).digest())}" for n in names]

    return make


def _named(text: str) -> str:
    if ":" not in text:
        return f"{UNNAMED}:{text}"
    if text.partition(":")[0] not in NAMED:
        raise BadSignature(f"the signature does not name one of {', '.join(NAMED)}")
    return text
