"""Large documents of JSON, decoded only where somebody looks.

Decoding 20 MB whole takes 150 ms and six times the memory, nearly all of it for a result that is
cut. A level of a large document is decoded by itself: its parts stay raw until they are asked for.
"""

from typing import Any

import msgspec

from processor.json_input import read_json

LARGE = 256 * 1024  # bytes of a document that is decoded level by level
LARGE_PART = 64 * 1024  # bytes of a part of it that is opened only on the way to something

_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_document(body: bytes) -> Any:
    """A document, of which parts may be raw if it is large; Unreadable, whatever else it is."""
    return _level(body) if len(body) > LARGE else read_json(body)


def open_level(value: Any) -> Any:
    """A part of a document as far as its own level: what is raw in it can be opened in turn."""
    if not isinstance(value, msgspec.Raw):
        return value
    raw = bytes(value)
    return _level(raw) if len(raw) > LARGE_PART else read_json(raw)


def open_part(value: Any) -> Any:
    """A part of a document; a large object or array stays raw."""
    if not isinstance(value, msgspec.Raw):
        return value
    raw = memoryview(value)
    return value if len(raw) > LARGE_PART and bytes(raw[:1]) in (b"{", b"[") else open_level(value)


def _level(raw: bytes) -> Any:
    decode = {b"{": _object, b"[": _array}.get(raw[:64].lstrip()[:1], read_json)
    try:
        return decode(raw)
    except (ValueError, RecursionError):  # read as far as it can be
        return read_json(raw)
