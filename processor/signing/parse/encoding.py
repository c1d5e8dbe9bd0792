"""How signatures are encoded: hex or base64, behind a prefix, or in pairs such as `t=…,v1=…`."""

import binascii
import re
from collections.abc import Callable

from processor.errors import BadSignature

ENTRIES = 16  # signatures of one push that are checked: a rotation needs two, an attack many

PAIRS = re.compile(r"([A-Za-z0-9_.-]+)=([,;])([A-Za-z0-9_.-]+)=")
PREFIX = re.compile(r"[ -+\--:<-~]*")  # printable, without `,` and `;`, which separate pairs


def base64(data: bytes) -> str:
    """Encode as base64 with padding."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def base64url(data: bytes) -> str:
    """Encode as base64url without padding."""
    return base64(data).rstrip("=").replace("+", "-").replace("/", "_")


ENCODE: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "base64": base64,
    "base64url": base64url,
}
# Turns every accepted spelling into ours, so that signatures can be compared as text.
_NORMAL: dict[str, Callable[[str], str]] = {
    "hex": str.lower,
    "base64": str,
    "base64url": lambda text: text.rstrip("="),
}
_DECODE: dict[str, Callable[[str], bytes]] = {
    "hex": binascii.a2b_hex,
    "base64": lambda text: binascii.a2b_base64(text, strict_mode=True),
    "base64url": lambda text: binascii.a2b_base64(
        text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), strict_mode=True
    ),
}


def decoded(encoding: str, text: str) -> bytes:
    """Decode strictly: b"" for text that is not exactly what our encoder would write."""
    try:
        data = _DECODE[encoding](text)
    except ValueError:
        return b""
    return data if ENCODE[encoding](data) == text else b""


class Encoding:
    """`format` and `encoding` of a rule, compiled: parses and writes the value of a header."""

    __slots__ = ("_fold", "_pairs", "_prefix", "normal", "prefix", "timed")

    def __init__(self, form: str, encoding: str = "base64", *, fold: bool = False) -> None:
        """`fold`: the prefix matches in any case, as `Bearer ` does."""
        pairs = PAIRS.fullmatch(form)
        self._pairs = (pairs[1], pairs[2], pairs[3]) if pairs else None
        self.timed = bool(pairs)
        self.prefix = "" if pairs else form
        self._prefix = self.prefix.lower() if fold else self.prefix
        self._fold = fold
        self.normal = _NORMAL[encoding]

    def read(self, value: str) -> tuple[str, tuple[str, ...]]:
        """Return the time as written ("" if there is none) and the signatures."""
        if self._pairs is not None:
            return self._read_pairs(value, *self._pairs)
        if self._prefix:
            start = value[: len(self._prefix)]
            if (start.lower() if self._fold else start) != self._prefix:
                raise BadSignature(f"the signature does not begin with `{self.prefix}`")
            value = value[len(self._prefix) :]
        return "", (self.normal(value),)

    def write(self, time: str, signature: str) -> str:
        """Write one signature as the provider would."""
        if self._pairs is None:
            return self.prefix + signature
        clock, separator, name = self._pairs
        return f"{clock}={time}{separator}{name}={signature}"

    def _read_pairs(
        self, value: str, clock: str, separator: str, name: str
    ) -> tuple[str, tuple[str, ...]]:
        pairs = [pair.strip().partition("=") for pair in value.split(separator)]
        times = [text for key, equals, text in pairs if equals and key == clock]
        given = [self.normal(text) for key, equals, text in pairs if equals and key == name]
        if len(times) != 1:
            raise BadSignature(f"`{clock}=` must occur once, not {len(times)} times")
        if not given:
            raise BadSignature(f"`{name}=` is missing")
        return times[0], tuple(given[:ENTRIES])
