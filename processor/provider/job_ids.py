"""Job ids: which are valid, and how an id contains its kind."""

import re

LONGEST_ID = 512  # bytes; an id is part of URLs and of Redis keys
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_id(text: str, kind: str | None = None) -> str:
    """Return a job id unchanged, or raise ValueError with what is wrong.

    With a kind, the provider's own part after `kind:` must be valid by itself.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("an id must be valid Unicode text") from None
    if not 0 < size <= LONGEST_ID:
        raise ValueError(f"an id has 1 to {LONGEST_ID} bytes, this one has {size}")
    if not (text.isascii() and text.isprintable()) and _CONTROL.search(text):
        raise ValueError("an id has no control characters")
    if bare_id(kind, text) in ("", ".", ".."):
        raise ValueError("an id is not empty, `.` or `..`, which a URL cannot contain")
    return text


def full_id(kind: str | None, bare: str) -> str:
    """The id that users see: `media:l9dq…` for a named kind."""
    return bare if kind is None else f"{kind}:{bare}"


def bare_id(kind: str | None, full: str) -> str:
    """The id that the provider uses."""
    return full if kind is None else full.removeprefix(f"{kind}:")
