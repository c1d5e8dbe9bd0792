"""Lookups of the headers, form fields and query parameters of a push."""

import re
from collections.abc import Mapping
from urllib.parse import unquote

from processor import form_data
from processor.errors import BadSignature, Unreadable
from processor.model import Push

Form = Mapping[str, str]

_ENCODED = re.compile(r"(?:[!-$&-~]|%[0-9A-Fa-f]{2})*")  # printable ASCII; no lone %


def header(push: Push, name: str) -> str:
    """Return a header; BadSignature unless it is there and ASCII, as signed text must be."""
    value = push.headers.get(name) or push.headers.get(name.lower(), "")
    if not value:
        raise BadSignature(f"there is no {name} header")
    if not value.isascii():
        raise BadSignature(f"{name} is not ASCII")
    return value


def form(push: Push) -> Form:
    """Return the form fields of a push; BadSignature if the body is not a form."""
    try:
        return form_data.fields(push.headers, push.body)
    except Unreadable as error:
        raise BadSignature(str(error)) from None


def field(fields: Form, name: str) -> str:
    """Return a form field; BadSignature unless it is there and ASCII."""
    value = fields.get(name, "")
    if not value:
        raise BadSignature(f"there is no field `{name}` in the form")
    if not value.isascii():
        raise BadSignature(f"the field `{name}` is not ASCII")
    return value


def has_parameter(push: Push, name: str) -> bool:
    """Whether the URL has this parameter, even with an empty value."""
    return bool(_parameters(push, name))


def parameter(push: Push, name: str) -> str:
    """Return a parameter of the URL, percent-decoded; BadSignature unless it occurs once.

    `+` is not decoded to a space. With two of the same name, a proxy might have read the other.
    """
    found = _parameters(push, name)
    if not any(found):
        raise BadSignature(f"there is no parameter `{name}` in the URL")
    value = unquote(found[0])
    if len(found) > 1:
        raise BadSignature(f"the parameter `{name}` must occur once, not {len(found)} times")
    if not (_ENCODED.fullmatch(found[0]) and value.isascii()):
        raise BadSignature(f"the parameter `{name}` is not percent-encoded ASCII")
    return value


def _parameters(push: Push, name: str) -> list[str]:
    """The values of a parameter, still encoded."""
    pairs = (pair.partition("=") for pair in push.query.split("&"))
    return [value for key, _, value in pairs if unquote(key) == name]
