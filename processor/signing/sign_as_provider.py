"""What a provider would send: for trying out a source, and for tests."""

from collections.abc import Callable
from typing import TypedDict
from urllib.parse import quote

from processor.model import Push
from processor.signing.parse.encoding import Encoding
from processor.signing.parse.signed_content import SignedContent
from processor.signing.parsed_signature import ParsedSignature
from processor.signing.schemes import standard_webhooks
from processor.signing.schemes.registry import SCHEMES
from processor.signing.verify import secret_key
from processor.signing.verify_rule import Verify

ALGORITHM = "sha384"  # of `hmac-named`: what Transloadit signs with


class ProviderSignature(TypedDict):
    """What goes beside a body, or for `form` instead of it: fields, the body among them."""

    headers: dict[str, str]
    query: str
    form: dict[str, str] | None


def sign_as_provider(
    rule: Verify, secret: str, body: bytes, now: float, push_id: str
) -> ProviderSignature:
    """Sign a body as the provider would; ValueError where only the provider can.

    `push_id` fills every header of which the rule says only that it is signed.
    """
    rule = rule.alternative_for(secret)
    maker = SCHEMES[rule.scheme].maker
    if maker is None or (rule.scheme == "standard-webhooks" and secret.startswith("whpk_")):
        raise ValueError(
            f"{rule.scheme} signs with a private key that only the provider has; "
            "send a push that you captured"
        )
    if rule.scheme == "standard-webhooks":
        return _standard(rule, secret, body, now, push_id)
    if rule.scheme == "token":
        return _token(rule, secret)
    key = secret_key(rule, secret)
    return _signed(rule, lambda claim: maker(rule)(key, claim)[0], body, now, push_id)


def _standard(
    rule: Verify, secret: str, body: bytes, now: float, push_id: str
) -> ProviderSignature:
    names, key = standard_webhooks.names(rule.header), secret_key(rule, secret)
    values = (push_id, str(int(now)), standard_webhooks.sign([key.data], push_id, int(now), body))
    return {"headers": dict(zip(names, values, strict=True)), "query": "", "form": None}


def _token(rule: Verify, secret: str) -> ProviderSignature:
    secret_key(rule, secret)  # refuses what could not be sent
    value = rule.format + secret
    if rule.header:
        return {"headers": {rule.header: value}, "query": "", "form": None}
    if rule.field:
        return {"headers": {}, "query": "", "form": {rule.field: value}}
    pair = f"{quote(rule.query, safe='')}={quote(secret, safe='')}"
    return {"headers": {}, "query": pair, "form": None}


def _signed(
    rule: Verify, sign: Callable[[ParsedSignature], str], body: bytes, now: float, push_id: str
) -> ProviderSignature:
    time = str(int(now))
    names = [placeholder.partition(":") for placeholder in rule.placeholders]
    form = {name: body.decode() for kind, _, name in names if kind == "field"}
    headers = {name: push_id for kind, _, name in names if kind == "header"}
    if rule.timestamp:
        headers = {n: v for n, v in headers.items() if n.lower() != rule.timestamp.lower()}
        headers[rule.timestamp] = time
    push = Push({name.lower(): value for name, value in headers.items()}, body)
    claim = ParsedSignature((f"{ALGORITHM}:",), SignedContent(rule.signs).fill(push, form, time))
    value = Encoding(rule.format).write(time, sign(claim))
    if rule.field:
        form[rule.field] = value
    else:
        headers[rule.header] = value
    return {"headers": headers, "query": "", "form": form or None}
