"""Large JSON documents, decoded lazily: only the parts that a pointer reads.

Decoding 20 MB at once takes 150 ms and six times the memory, mostly for a result that is dropped
anyway. So one level of a large document is decoded at a time; its parts stay raw until they are
read.
"""

from typing import Any

import msgspec

from processor.json_input import BOM, read_json

LARGE = 256 * 1024  # bytes of a document that is decoded level by level
LARGE_PART = 64 * 1024  # bytes of a part that is decoded only if a pointer leads into it

_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_document(body: bytes) -> Any:
    """Decode a document; parts of a large one stay raw. Unreadable for anything that is not JSON."""
    return _level(body.removeprefix(BOM)) if len(body) > LARGE else read_json(body)


def open_level(value: Any) -> Any:
    """Decode one level of a part; parts inside it may stay raw."""
    if not isinstance(value, msgspec.Raw):
        return value
    raw = bytes(value)
    return _level(raw) if len(raw) > LARGE_PART else read_json(raw)


def open_part(value: Any) -> Any:
    """Decode a part, unless it is a large object or array, which stays raw."""
    if not isinstance(value, msgspec.Raw):
        return value
    raw = memoryview(value)
    return value if len(raw) > LARGE_PART and bytes(raw[:1]) in (b"{", b"[") else open_level(value)


def _level(raw: bytes) -> Any:
    decode = {b"{": _object, b"[": _array}.get(raw[:64].lstrip()[:1], read_json)
    try:
        return decode(raw)
    except (ValueError, RecursionError):  # again with the tolerant reader
        return read_json(raw)
