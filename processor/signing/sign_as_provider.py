"""Signs a push as its provider would: for `ringback simulate`, and for tests."""

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
    """Headers and query to send with a body; `form`, if any, replaces the body and contains it."""

    headers: dict[str, str]
    query: str
    form: dict[str, str] | None


def sign_as_provider(
    rule: Verify, secret: str, body: bytes, now: float, push_id: str
) -> ProviderSignature:
    """Sign a body as the provider would; ValueError if only the provider can.

    `push_id` becomes the value of each signed header that has no other meaning.
    """
    rule = rule.alternative_for(secret)
    maker = SCHEMES[rule.scheme].maker
    if maker is None or (rule.scheme == "standard-webhooks" and secret.startswith("whpk_")):
        raise ValueError(
            f"{rule.scheme} signs with a private key that only the provider has; "
            "send a captured push instead"
        )
    if rule.scheme == "standard-webhooks":
        return _standard(rule, secret, body, now, push_id)
    if rule.scheme == "token":
        return _token(rule, secret)
    key = secret_key(rule, secret)
    return _signed(rule, lambda parsed: maker(rule)(key, parsed)[0], body, now, push_id)


def _standard(
    rule: Verify, secret: str, body: bytes, now: float, push_id: str
) -> ProviderSignature:
    names, key = standard_webhooks.header_names(rule.header), secret_key(rule, secret)
    values = (push_id, str(int(now)), standard_webhooks.sign([key.data], push_id, int(now), body))
    return {"headers": dict(zip(names, values, strict=True)), "query": "", "form": None}


def _token(rule: Verify, secret: str) -> ProviderSignature:
    secret_key(rule, secret)  # raises ValueError for a secret that cannot be sent
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
    parsed = ParsedSignature((f"{ALGORITHM}:",), SignedContent(rule.signs).fill(push, form, time))
    value = Encoding(rule.format).write(time, sign(parsed))
    if rule.field:
        form[rule.field] = value
    else:
        headers[rule.header] = value
    return {"headers": headers, "query": "", "form": form or None}
