"""Tolerant reader of JSON from outside: one bad value does not prevent reading the others.

It accepts what strict readers refuse: a byte order mark, UTF-16, lone surrogates, bytes that are
not UTF-8, control characters, `NaN` and `1e400` (null), endless nesting (`Lost`). Invalid
characters become lone surrogates, so that an id with them can be refused; `mended` and
`write_json` replace them by U+FFFD before anything is stored.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any

import msgspec

from processor import json_repair
from processor.errors import Unreadable
from processor.json_repair import LOST, REPAIRED_AT_MOST, Lost

BOM = b"\xef\xbb\xbf"  # what editors and .NET put in front of UTF-8
DIGITS = 308  # digits of a whole number; more exceed the floats of a strict reader

_BAD = re.compile(r"[\ud800-\udfff]")
_DIGITS = bytes(ord("0") if chr(byte) in "0123456789" else 0 for byte in range(256))
_LONG = b"0" * (DIGITS + 1)
_DIGIT = re.compile(rb"[0-9]")
_BEFORE = re.compile(r"[\s\ufeff\x00]*+")
_OPENING = re.compile(r"[{\[]")
# Python reads 4300 digits. Without the look-behind each digit of a shorter run starts a search of
# its own: 2.6 s instead of 8 ms for a megabyte that nobody has signed.
_TOO_LONG = re.compile(r"(?<![0-9])[0-9]{4301}")


def read_json(body: bytes) -> Any:
    """Decode JSON from outside; Unreadable names the error and its byte."""
    try:
        return msgspec.json.decode(body.removeprefix(BOM))
    except (ValueError, RecursionError):
        return _decoded(body, _first_document)


def read_exactly(body: bytes, apart: str) -> Any:
    """Decode the body of an API call strictly; Unreadable names the place of an invalid value.

    Below the JSON pointer `apart` is a third party's document, which is read tolerantly.
    """
    try:
        document = msgspec.json.decode(body.removeprefix(BOM))
        if not _has_long_number(body):
            return document
    except (ValueError, RecursionError):
        pass
    document = _decoded(body, _EXACT.decode, errors="strict")
    if (flaw := _flaw(document, apart)) is not None:
        why = "it holds half a character, or a number without end or measure"
        raise Unreadable(f"the body cannot be kept: {why} (at `{flaw}`)")
    return _decoded(body, _first_document)


def mended(text: str) -> str:
    """Replace what is not Unicode by U+FFFD."""
    return text if text.isascii() else _BAD.sub("\ufffd", text)


def is_whole(text: str) -> bool:
    """Whether a text is valid Unicode: an invalid id would be confused with another id."""
    return text.isascii() or not _BAD.search(text)


def raw_bytes(text: str) -> bytes:
    """The original bytes of a text that was read from bytes, UTF-8 or not."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # lone surrogates that were escapes
        return text.encode("utf-8", "surrogatepass")


def write_json(value: Any) -> bytes:
    """Encode a value of `read_json` for strict readers; TypeError if it contains `Lost`."""
    try:
        raw = msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_kept(value))
    return msgspec.json.encode(_kept(value)) if _has_long_number(raw) else raw


def _has_long_number(raw: bytes) -> bool:
    """Whether there are too many digits in a row.

    So many would include one of the bytes that are sampled here. To look for them everywhere takes
    a multiple of that, and a regular expression seven times as long again.
    """
    if not _DIGIT.search(raw[DIGITS :: DIGITS + 1]):
        return False
    return _LONG in raw.translate(_DIGITS)


def _kept(value: Any) -> Any:
    """The value with U+FFFD and null in place of what strict readers refuse."""
    if isinstance(value, str):
        return mended(value)
    if isinstance(value, dict):
        return {mended(key): _kept(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_kept(inner) for inner in value]
    return None if isinstance(value, int) and abs(value) >= 10**DIGITS else value


def _flaw(document: Any, apart: str) -> str | None:
    """The JSON pointer of the first invalid text or number that is not below `apart`."""
    left = [("", document)]
    while left:
        place, value = left.pop()
        if place == apart:
            continue
        if isinstance(value, dict):
            if not all(map(is_whole, value)):
                return place
            left += ((f"{place}/{_step(key)}", inner) for key, inner in value.items())
        elif isinstance(value, list):
            left += ((f"{place}/{i}", inner) for i, inner in enumerate(value))
        elif value is LOST or value != _kept(value):
            return place
    return None


def _step(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _decoded(body: bytes, decode: Callable[[str], Any], errors: str = "") -> Any:
    """Decode a body to text, then to JSON; Unreadable with the byte of an error."""
    encoding = json.detect_encoding(body) if body else "utf-8"
    errors = errors or ("surrogateescape" if encoding[:5] == "utf-8" else "surrogatepass")
    try:
        return decode(body.decode(encoding, errors))
    except json.JSONDecodeError as error:
        byte = len(error.doc[: error.pos].encode(encoding, errors))
        raise Unreadable(f"the body is not JSON: {error.msg} (byte {byte})") from None
    except UnicodeDecodeError as error:
        why = f"the body is not JSON: not {encoding} (byte {error.start})"
        raise Unreadable(why) from None
    except RecursionError:
        raise Unreadable("the body is nested too deeply") from None
    except ValueError as error:
        raise Unreadable(f"the body is not JSON: {error}") from None


def _first_document(text: str) -> Any:
    """Decode with Python's tolerant decoder; if that fails, decode the repaired text."""
    start = _BEFORE.match(text).end()  # type: ignore[union-attr] # it always matches
    if start == len(text):
        raise json.JSONDecodeError("it is empty", text, 0)
    try:
        return _alone(text, *_DECODER.raw_decode(text, start))
    except (ValueError, RecursionError) as error:
        if len(text) > REPAIRED_AT_MOST or not _OPENING.match(text, start):
            raise _with_place(error, text) from None
    repaired = json_repair.repair(text)
    try:
        return _alone(repaired.text, *_DECODER.raw_decode(repaired.text, start))
    except json.JSONDecodeError as error:
        raise json.JSONDecodeError(error.msg, text, repaired.origin(error.pos)) from None


def _with_place(error: Exception, text: str) -> Exception:
    """Add the position of a number with too many digits, the only error without one."""
    if isinstance(error, json.JSONDecodeError | RecursionError):
        return error
    found = _TOO_LONG.search(text)
    return json.JSONDecodeError("a number is too long", text, found.start() if found else 0)


def _alone(text: str, document: Any, end: int) -> Any:
    """The document; an error if another document may follow it, which would be lost."""
    rest = text[end:].strip()
    if rest and (not isinstance(document, dict | list) or _OPENING.search(text, end)):
        place = _BEFORE.match(text, end).end()  # type: ignore[union-attr] # see above
        raise json.JSONDecodeError("something follows it", text, place)
    return document


def _float(text: str) -> Any:
    if text == json_repair.MARK:
        return LOST
    value = float(text)
    return value if math.isfinite(value) else None


def _constant(_text: str) -> None:
    """NaN and Infinity."""


def _finite(text: str) -> float | Lost:
    value = float(text)
    return value if math.isfinite(value) else LOST


def _as_it_is(found: dict[str, Any]) -> dict[str, Any]:
    """An object. Python's decoder holds the interpreter's lock, so that a thread of it stops all
    others for as long as it takes; it releases the lock where it calls a Python function.
    """
    return found


_DECODER = json.JSONDecoder(
    strict=False, parse_float=_float, parse_constant=_constant, object_hook=_as_it_is
)
_EXACT = json.JSONDecoder(parse_float=_finite, parse_constant=lambda _: LOST)

__all__ = [
    "BOM",
    "LOST",
    "Lost",
    "is_whole",
    "mended",
    "raw_bytes",
    "read_exactly",
    "read_json",
    "write_json",
]
