"""Normalizes the host of a URL: an IP address, or a lower-case ASCII name."""

import re
from ipaddress import IPv4Address

import idna

from processor.egress import addresses
from processor.egress.addresses import Address

_LONGEST = 253  # RFC 1035, without the last dot
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# Resolvers read 2130706433, 127.1, 0177.0.0.1 and 0x7f000001 as 127.0.0.1.
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


def read(text: str) -> str | Address:
    """Parse the host of a URL; the ValueError is a predicate, such as "is not a host name"."""
    if text.startswith("["):
        return _bracketed(text)
    name = _ascii(text).lower().removesuffix(".")
    if len(name) > _LONGEST:
        raise ValueError(f"is longer than {_LONGEST} characters")
    if not _NAME.fullmatch(name):
        raise ValueError("is not a host name")
    return _decimal(name) if _NUMERIC.fullmatch(name) else name


def _ascii(text: str) -> str:
    """Convert an international name as browsers do: Unicode digits and dots become ASCII."""
    if text.isascii():
        return text
    try:
        return idna.encode(text, uts46=True).decode()
    except UnicodeError:
        raise ValueError("is not an international name that IDNA allows") from None


def _decimal(name: str) -> IPv4Address:
    try:
        return IPv4Address(name)
    except ValueError:
        raise ValueError("is not four decimal numbers; write addresses like 192.0.2.1") from None


def _bracketed(text: str) -> Address:
    address = addresses.parse(text[1:-1])
    if "%" in text or ":" not in text or address is None:
        raise ValueError("is not an IPv6 address without a scope")
    return address
