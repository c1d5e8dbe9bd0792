"""The fields of a push that a rule reads: where the signature, the time and signed values are."""

from collections.abc import Iterator
from typing import NamedTuple

from processor.errors import BadSignature
from processor.model import Push
from processor.signing.parse import fields
from processor.signing.schemes import sns, standard_webhooks
from processor.signing.verify_rule import Verify

MEMBERS = ("Type", "MessageId", "TopicArn", "Timestamp", "SignatureVersion")


class SignatureField(NamedTuple):
    """A header, a form field, a parameter of the URL, or a member of an SNS message."""

    kind: str
    name: str
    signs: bool = False  # whether it holds the signature, or the token


def fields_of(rule: Verify) -> Iterator[SignatureField]:
    """Every field that a rule reads."""
    if rule.scheme == "standard-webhooks":
        names = standard_webhooks.header_names(rule.header)
        yield from (SignatureField("header", name, name == names.signature) for name in names)
        return
    if rule.scheme == "sns":
        yield from (SignatureField("member", name) for name in MEMBERS)
        yield SignatureField("member", "Signature", signs=True)
    named = (("header", rule.header), ("field", rule.field), ("parameter", rule.query))
    yield from (SignatureField(kind, name, signs=True) for kind, name in named if name)
    if rule.timestamp:
        yield SignatureField("header", rule.timestamp)
    placeholders = (placeholder.partition(":") for placeholder in rule.placeholders)
    yield from (SignatureField(kind, name) for kind, _, name in placeholders if name)


def value_of(field: SignatureField, push: Push) -> str:
    """The value of a field; "" if it is missing or unreadable."""
    try:
        match field.kind:
            case "header":
                return push.headers.get(field.name.lower(), "")
            case "field":
                return fields.form(push).get(field.name, "")
            case "parameter":
                return fields.parameter(push, field.name)
            case _:
                return sns.member(push, field.name)
    except BadSignature:
        return ""
