"""No signature at all: the secret itself, in a header, a field or the URL."""

from collections.abc import Sequence

from processor.model import Push
from processor.signing.keys import Key
from processor.signing.parse import fields
from processor.signing.parse.encoding import Writing
from processor.signing.parsed_signature import Claim, Read
from processor.signing.verify_rule import Verify


def reader(rule: Verify) -> Read:
    """Compile where the token is. Of two places the URL is looked at first, if it holds one."""
    writing = Writing(rule.format, fold=True)
    only = not (rule.header or rule.field)

    def read(push: Push) -> Claim:
        if rule.query and (only or fields.has_parameter(push, rule.query)):
            return Claim((fields.parameter(push, rule.query),), ())
        if rule.field:
            return Claim(writing.read(fields.field(fields.form(push), rule.field))[1], ())
        return Claim(writing.read(fields.header(push, rule.header))[1], ())

    return read


def make(key: Key, _claim: Claim) -> Sequence[str]:
    """Give the secret itself."""
    return (key.data.decode("ascii", "replace"),)
