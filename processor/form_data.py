"""Parses form bodies of pushes: form-urlencoded and multipart/form-data."""

import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import parse_qsl

from yarl import query_to_pairs

from processor.errors import Unreadable

PLAIN = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data"
FIELDS_AT_MOST = 100  # fields of one form; a provider sends two or three

_BOUNDARY = re.compile(r"""boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))""", re.IGNORECASE)
_NAME = re.compile(
    rb"""^content-disposition:[ \t]*form-data;[^\r\n]*\bname="([^"\r\n]*)\"""",
    re.IGNORECASE | re.MULTILINE,
)


def is_form(headers: Mapping[str, str]) -> bool:
    """Whether the content type is that of a form."""
    return _mime(headers) in _PAIRS


def fields(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """The fields of a form; of a repeated field, the first. Unreadable if it is not a form.

    Bytes that are not UTF-8 become lone surrogates.
    """
    found: dict[str, str] = {}
    mime = _mime(headers)
    if mime not in _PAIRS:
        why = f"its content type is {mime}" if mime else "it has no Content-Type"
        raise Unreadable(f"the body is not a form: {why}")
    try:
        for name, value in _PAIRS[mime](headers["content-type"], body):
            found.setdefault(name, value)
    except ValueError as error:
        raise Unreadable(f"the body is not a form: {error}") from None
    return found


def _mime(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _plain(_content_type: str, body: bytes) -> Iterator[tuple[str, str]]:
    """Form-urlencoded; yarl decodes in C without a cache, and JSON values are mostly escapes."""
    if body.count(b"&") >= FIELDS_AT_MOST:
        raise ValueError(f"it has more than {FIELDS_AT_MOST} fields")
    text = body.decode("utf-8", "surrogateescape")
    pairs = query_to_pairs(text)
    if any(
        "\ufffd" in value for _, value in pairs
    ):  # yarl's replacement for bytes that are not UTF-8
        pairs = parse_qsl(text, keep_blank_values=True, errors="surrogateescape")
    yield from pairs


def _parts(content_type: str, body: bytes) -> Iterator[tuple[str, str]]:
    """Multipart (RFC 7578): parts between boundary lines, each with a head and a value."""
    said = _BOUNDARY.search(content_type)
    if said is None:
        raise ValueError("its content type has no boundary")
    mark = b"\r\n--" + (said[1] or said[2]).encode()
    _, *parts = (b"\r\n" + body).split(mark, FIELDS_AT_MOST + 2)
    if not parts or not parts[-1].startswith(b"--"):
        raise ValueError(f"it breaks off, or has more than {FIELDS_AT_MOST} fields")
    for part in parts[:-1]:
        head, blank, value = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if not (part.startswith(b"\r\n") and blank and name):
            raise ValueError("a part of it has no name")
        yield name[1].decode(), value.decode("utf-8", "surrogateescape")


_PAIRS: dict[str, Callable[[str, bytes], Iterator[tuple[str, str]]]] = {
    PLAIN: _plain,
    PARTS: _parts,
}
"""What reads the names and values, by content type."""
