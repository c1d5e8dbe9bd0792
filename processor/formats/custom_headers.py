"""A subscription's own headers: which are allowed, and which are refused."""

import re
from collections.abc import Mapping

HEADERS_AT_MOST = 16
BYTES_AT_MOST = 4096  # of all names and values together

REFUSED = {
    "connection": "of the connection",
    "expect": "of the connection",
    "keep-alive": "of the connection",
    "proxy-": "of the connection",
    "te": "of the connection",
    "trailer": "of the connection",
    "transfer-encoding": "of the connection",
    "upgrade": "of the connection",
    "via": "of the connection",
    "accept-encoding": "ours: answers are read uncompressed",
    "ce-": "ours: the format's",
    "content-": "ours: they describe the body",
    "forwarded": "ours: nobody forwarded it",
    "host": "ours: it is in the URL",
    "traceparent": "ours: the job's",
    "tracestate": "ours: the job's",
    "user-agent": "ours",
    "webhook-": "ours: they are signed",
    "x-forwarded-": "ours: nobody forwarded it",
    "authorization": "no place for a secret; verify the signature, or use a name of your own",
    "cookie": "no place for a secret; verify the signature, or use a name of your own",
}
"""Refused names, with the reason; a name that ends in `-` is a prefix."""

_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?", re.ASCII)


def check_headers(given: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with names in lower case; ValueError names a bad header, not its value."""
    headers = {name.lower(): value for name, value in given.items()}
    if len(headers) < len(given):
        raise ValueError("a header is given twice; header names ignore case")
    if len(headers) > HEADERS_AT_MOST:
        raise ValueError(f"there are {len(headers)} headers; send at most {HEADERS_AT_MOST}")
    for name, value in headers.items():
        _check(name, value)
    if sum(len(name) + len(value) for name, value in headers.items()) > BYTES_AT_MOST:
        raise ValueError(f"the headers have more than {BYTES_AT_MOST} bytes; send fewer")
    return headers


def _check(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a header name; use letters, digits and -")
    why = next((why for word, why in REFUSED.items() if _means(word, name)), None)
    if why:
        raise ValueError(f"{name!r} cannot be set, it is {why}")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of {name!r} must be printable ASCII, without blanks around it")


def _means(word: str, name: str) -> bool:
    return name.startswith(word) if word.endswith("-") else name == word
