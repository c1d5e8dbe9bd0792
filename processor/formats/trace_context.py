"""The trace that a job belongs to: W3C Trace Context's `traceparent`, passed on as it came."""

import re

_SHAPE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


def traceparent(value: str | None) -> str | None:
    """The header's value if it is a valid one of version 00, else None: it is never an error.

    What is not understood whole is not passed on, so nobody can send a subscriber other words.
    """
    return value if value and _SHAPE.fullmatch(value) else None
