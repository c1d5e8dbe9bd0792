"""W3C Trace Context: the `traceparent` that a job belongs to, passed on unchanged."""

import re

_SHAPE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


def traceparent(value: str | None) -> str | None:
    """Return a valid version 00 `traceparent`, else None; an invalid one is never an error.

    Anything else is not passed on, so that a push cannot send other text to subscribers.
    """
    return value if value and _SHAPE.fullmatch(value) else None
