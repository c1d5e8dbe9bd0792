"""The bytes that a signature covers: the template `signs` of a profile, compiled."""

import hashlib
import re

from processor.errors import BadSignature
from processor.json_input import raw_bytes
from processor.model import Push
from processor.signing.parse import fields

WHOLE = "{body}"
SECRET = "secret"  # noqa: S105 - the name of a placeholder

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_KNOWN = re.compile(r"body|timestamp|secret|sha256|header:[A-Za-z0-9_-]+|field:.+")


def placeholders(signs: str) -> tuple[str, ...]:
    """Return the placeholders of a template; ValueError with the remedy for an unknown one."""
    names: tuple[str, ...] = tuple(_PLACEHOLDER.findall(signs))
    unknown = next((f"{{{name}}}" for name in names if not _KNOWN.fullmatch(name)), None)
    unknown = unknown or next(
        (brace for brace in "{}" if brace in _PLACEHOLDER.sub("", signs)), None
    )
    if unknown:
        raise ValueError(
            f"`signs` holds `{unknown}`; write {{body}}, {{timestamp}}, {{secret}}, {{sha256}}, "
            "{header:NAME} or {field:NAME}"
        )
    return names


class SignedContent:
    """`signs`, ready to be filled from a push.

    The result is split at the secret: `secret.join(parts)` was signed. So it is built once for
    all secrets, and can be shown to people without any of them.
    """

    __slots__ = ("_pieces", "needs_form", "whole")

    def __init__(self, signs: str) -> None:
        """Compile a template that `placeholders` has accepted."""
        self.whole = signs == WHOLE
        self._pieces = _PLACEHOLDER.split(signs)  # text, name, text, name, … text
        self.needs_form = any(name.startswith("field:") for name in self._pieces[1::2])

    def fill(self, push: Push, form: fields.Form, time: str) -> tuple[bytes, ...]:
        """Return the signed content, split at the secret; BadSignature if the push lacks a part."""
        if self.whole:
            return (push.body,)
        parts = [self._pieces[0].encode()]
        for name, text in zip(self._pieces[1::2], self._pieces[2::2], strict=True):
            if name == SECRET:
                parts.append(b"")
            else:
                parts[-1] += _value(name, push, form, time)
            parts[-1] += text.encode()
        return tuple(parts)


def _value(name: str, push: Push, form: fields.Form, time: str) -> bytes:
    kind, _, where = name.partition(":")
    match kind:
        case "body":
            return push.body
        case "timestamp":
            return time.encode()
        case "sha256":
            return hashlib.sha256(push.body).hexdigest().encode()
        case "header":
            return fields.header(push, where).encode()
        case _:
            return _field(form, where)


def _field(form: fields.Form, name: str) -> bytes:
    if name not in form:
        raise BadSignature(f"there is no field `{name}` in the form")
    return raw_bytes(form[name])
