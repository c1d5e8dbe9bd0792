"""Parses sizes (`512KB`, `1MiB`), and checks that of a body."""

import re

from processor.errors import TooLarge

PUSH_SIZE = 1024 * 1024  # bytes: the default limit of a push
SMALLEST_LIMIT = 1024  # bytes: the smallest limit that can be configured
LARGEST_PUSH = 32 * 1024 * 1024  # bytes: the largest limit that can be configured
LARGEST_ANSWER = 32 * 1024 * 1024  # bytes of an answer to a poll
IN_THREAD = 128 * 1024  # bytes; larger bodies are verified and read in a thread
MAX_FILTER = 8 * 1024  # bytes of the metadata that a subscription filters by, as JSON

_SIZE = re.compile(r"([0-9]{1,9})(KB|MB|KiB|MiB)")
_UNITS = {"KB": 1000, "MB": 1000**2, "KiB": 1024, "MiB": 1024**2}


def check_body_size(size: int, largest: int) -> None:
    """Raise TooLarge if a body has more bytes than the limit."""
    if size > largest:
        raise TooLarge(f"A body has at most {largest} bytes; send less")


def parse_size(text: str) -> int:
    """Return the bytes of `64KiB 1MiB 20MB`, or raise ValueError with the remedy."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"`{text}` is not a size; write it as 512KB, 1MiB or 20MB")
    return int(match[1]) * _UNITS[match[2]]


def parse_push_size(text: str) -> int:
    """Parse the size limit of a push, or raise ValueError with the remedy."""
    count = parse_size(text)
    if not SMALLEST_LIMIT <= count <= LARGEST_PUSH:
        raise ValueError(f"`{text}` is out of range; a push may have 1KiB to 32MiB")
    return count
