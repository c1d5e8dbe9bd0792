"""Which places of a push a rule looks at, for people to see."""

from collections.abc import Iterator
from typing import NamedTuple

from processor.errors import BadSignature
from processor.model import Push
from processor.signing.parse import fields
from processor.signing.schemes import sns, standard_webhooks
from processor.signing.verify_rule import Verify

MEMBERS = ("Type", "MessageId", "TopicArn", "Timestamp", "SignatureVersion")


class Spot(NamedTuple):
    """One place: a header, a field of a form, a parameter of the URL, a member of the message."""

    kind: str
    name: str
    signs: bool = False  # whether it holds the signature, or the token


def looked_for(rule: Verify) -> Iterator[Spot]:
    """Every place that a rule looks at."""
    if rule.scheme == "standard-webhooks":
        names = standard_webhooks.names(rule.header)
        yield from (Spot("header", name, name == names.signature) for name in names)
        return
    if rule.scheme == "sns":
        yield from (Spot("member", name) for name in MEMBERS)
        yield Spot("member", "Signature", signs=True)
    named = (("header", rule.header), ("field", rule.field), ("parameter", rule.query))
    yield from (Spot(kind, name, signs=True) for kind, name in named if name)
    if rule.timestamp:
        yield Spot("header", rule.timestamp)
    holes = (hole.partition(":") for hole in rule.holes)
    yield from (Spot(kind, name) for kind, _, name in holes if name)


def found(spot: Spot, push: Push) -> str:
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
