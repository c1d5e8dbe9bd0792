"""Which places of a push a rule looks at, for people to see."""

from collections.abc import Iterator
from typing import NamedTuple

from processor.errors import BadSignature
from processor.model import Push
from processor.signing.parse import fields
from processor.signing.schemes import sns, standard_webhooks
from processor.signing.verify_rule import Verify

MEMBERS = ("Type", "MessageId", "TopicArn", "Timestamp", "SignatureVersion")


class SignatureField(NamedTuple):
    """One place: a header, a field of a form, a parameter of the URL, a member of the message."""

    kind: str
    name: str
    signs: bool = False  # whether it holds the signature, or the token


def fields_of(rule: Verify) -> Iterator[SignatureField]:
    """Every place that a rule looks at."""
    if rule.scheme == "standard-webhooks":
        names = standard_webhooks.names(rule.header)
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


def value_of(spot: SignatureField, push: Push) -> str:
    """What is there; empty where nothing is, or nothing that can be read."""
    try:
        match spot.kind:
            case "header":
                return push.headers.get(spot.name.lower(), "")
            case "field":
                return fields.form(push).get(spot.name, "")
            case "parameter":
                return fields.parameter(push, spot.name)
            case _:
                return sns.member(push, spot.name)
    except BadSignature:
        return ""
