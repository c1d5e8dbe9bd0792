"""Where in a push a value lies: a header, a field of a form, a parameter of the URL."""

import re
from collections.abc import Mapping
from urllib.parse import unquote

from processor import form_data
from processor.errors import BadSignature, Unreadable
from processor.model import Push

Form = Mapping[str, str]

_ENCODED = re.compile(r"(?:[!-$&-~]|%[0-9A-Fa-f]{2})*")  # printable; a lone % is neither


def header(push: Push, name: str) -> str:
    """Give a header that is there and ASCII, as a signature and what it covers must be."""
    value = push.headers.get(name) or push.headers.get(name.lower(), "")
    if not value:
        raise BadSignature(f"there is no {name} header")
    if not value.isascii():
        raise BadSignature(f"{name} is not ASCII")
    return value


def form(push: Push) -> Form:
    """Give the fields of a push that must be a form."""
    try:
        return form_data.fields(push.headers, push.body)
    except Unreadable as error:
        raise BadSignature(str(error)) from None


def field(fields: Form, name: str) -> str:
    """Give a field that is there and ASCII."""
    value = fields.get(name, "")
    if not value:
        raise BadSignature(f"there is no field `{name}` in the form")
    if not value.isascii():
        raise BadSignature(f"the field `{name}` is not ASCII")
    return value


def has_parameter(push: Push, name: str) -> bool:
    """Whether the URL has such a parameter, be it empty."""
    return bool(_parameters(push, name))


def parameter(push: Push, name: str) -> str:
    """Give a parameter of the URL that is there once, percent-decoded; `+` is no blank here.

    Of two of a name, servers on the way might have read another one than we.
    """
    found = _parameters(push, name)
    if not any(found):
        raise BadSignature(f"there is no parameter `{name}` in the URL")
    value = unquote(found[0])
    if len(found) > 1:
        raise BadSignature(f"the parameter `{name}` is there {len(found)} times; once is right")
    if not (_ENCODED.fullmatch(found[0]) and value.isascii()):
        raise BadSignature(f"the parameter `{name}` is not percent-encoded ASCII")
    return value


def _parameters(push: Push, name: str) -> list[str]:
    """Give the values of a name, still encoded."""
    pairs = (pair.partition("=") for pair in push.query.split("&"))
    return [value for key, _, value in pairs if unquote(key) == name]
