"""The `token` scheme: no signature, but the secret itself in a header, a form field or the URL."""

from collections.abc import Sequence

from processor.model import Push
from processor.signing.keys import Key
from processor.signing.parse import fields
from processor.signing.parse.encoding import Encoding
from processor.signing.parsed_signature import ParsedSignature, Reader
from processor.signing.verify_rule import Verify


def reader(rule: Verify) -> Reader:
    """Compile the reader of the token; if two places are allowed, the URL is read first."""
    encoding = Encoding(rule.format, fold=True)
    only = not (rule.header or rule.field)

    def read(push: Push) -> ParsedSignature:
        if rule.query and (only or fields.has_parameter(push, rule.query)):
            return ParsedSignature((fields.parameter(push, rule.query),), ())
        if rule.field:
            return ParsedSignature(
                encoding.read(fields.field(fields.form(push), rule.field))[1], ()
            )
        return ParsedSignature(encoding.read(fields.header(push, rule.header))[1], ())

    return read


def make(key: Key, _claim: ParsedSignature) -> Sequence[str]:
    """Return the secret itself."""
    return (key.data.decode("ascii", "replace"),)
