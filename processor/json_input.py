"""JSON from outside, read as far as it can be: one bad value never hides the others.

What a strict reader refuses is read all the same: a byte order mark, UTF-16, lone surrogates,
bytes that are not UTF-8, control characters, `NaN` and `1e400` (null), nesting without end
(`Lost`). Texts keep what is wrong with them as lone surrogates, so that an id can be refused
for it; `mended` and `write_json` put U+FFFD there before anything is kept.
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
DIGITS = 308  # of a whole number; more are beyond what a strict reader's floats hold

_BAD = re.compile(r"[\ud800-\udfff]")
_LONG = re.compile(rb"[0-9]{%d}" % (DIGITS + 1))
_BEFORE = re.compile(r"[\s\ufeff\x00]*+")
_OPENING = re.compile(r"[{\[]")


def read_json(body: bytes) -> Any:
    """Decode what came from outside; Unreadable names the fault and the byte where it is."""
    try:
        return msgspec.json.decode(body.removeprefix(BOM))
    except (ValueError, RecursionError):
        return _decoded(body, _first_document)


def read_exactly(body: bytes, apart: str) -> Any:
    """Decode a call's body; Unreadable names the place of what strict readers would refuse.

    Below the JSON pointer `apart` lies what somebody else sent: that is read as far as it can be.
    """
    try:
        document = msgspec.json.decode(body.removeprefix(BOM))
        if not _LONG.search(body):
            return document
    except (ValueError, RecursionError):
        pass
    document = _decoded(body, _EXACT.decode, errors="strict")
    if (flaw := _flaw(document, apart)) is not None:
        why = "it holds half a character, or a number without end or measure"
        raise Unreadable(f"the body cannot be kept: {why} (at `{flaw}`)")
    return _decoded(body, _first_document)


def mended(text: str) -> str:
    """Put U+FFFD where a text is not Unicode."""
    return text if text.isascii() else _BAD.sub("\ufffd", text)


def is_whole(text: str) -> bool:
    """Whether all of a text is Unicode: an id that is not would be taken for another one."""
    return text.isascii() or not _BAD.search(text)


def raw_bytes(text: str) -> bytes:
    """Give the bytes of a text that was read from bytes, be they UTF-8 or not."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # lone surrogates that were escapes
        return text.encode("utf-8", "surrogatepass")


def write_json(value: Any) -> bytes:
    """Write what `read_json` gave, for strict readers; TypeError where some of it is `Lost`."""
    try:
        raw = msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_kept(value))
    return msgspec.json.encode(_kept(value)) if _LONG.search(raw) else raw


def _kept(value: Any) -> Any:
    """The value with U+FFFD and null where no strict reader can follow."""
    if isinstance(value, str):
        return mended(value)
    if isinstance(value, dict):
        return {mended(key): _kept(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_kept(inner) for inner in value]
    return None if isinstance(value, int) and abs(value) >= 10**DIGITS else value


def _flaw(document: Any, apart: str) -> str | None:
    """The pointer of a text or number, not below `apart`, that cannot be kept as it is."""
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
    """Make text of a body and decode it; Unreadable with the byte where that fails."""
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
    """Decode as Python does, which is forgiving in C; what that refuses, once more repaired."""
    start = _BEFORE.match(text).end()  # type: ignore[union-attr] # it matches nothing, too
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
    """A number with too many digits is the one fault of which Python does not tell the place."""
    if isinstance(error, json.JSONDecodeError | RecursionError):
        return error
    found = re.search(r"[0-9]{4301}", text)
    return json.JSONDecodeError("a number is too long", text, found.start() if found else 0)


def _alone(text: str, document: Any, end: int) -> Any:
    """The document, unless what follows it may be another one, which would be lost."""
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


_DECODER = json.JSONDecoder(strict=False, parse_float=_float, parse_constant=_constant)
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
