"""Showing a signature or a secret without giving it away."""

import re
from collections.abc import Iterable

PARTLY_SHOWN_FROM = (
    28  # characters: the base64 of the shortest digest; of what is shorter, ten are a lot
)
TOO_SHORT = 4  # what is shorter stands in any text, and tells nothing there

_RUN = re.compile(r"[A-Za-z0-9+/_-]{16,}=*")


def redact(text: str) -> str:
    """Show the first six and last four characters of what is long enough, and its length."""
    ends = (text[:6], text[-4:]) if len(text) >= PARTLY_SHOWN_FROM else ("", "")
    return f"{ends[0]}…{ends[1]} ({len(text)} characters)"


def redact_runs(text: str) -> str:
    """Mask what could be a signature, and leave what stands around it."""
    return _RUN.sub(lambda run: redact(run[0]), text)


class Redactor:
    """Hides what must not be seen, wherever it turns up."""

    __slots__ = ("_hidden",)

    def __init__(self, hidden: Iterable[str]) -> None:
        """Take the texts to hide; the longest first, for one may hold another."""
        long = {text for text in hidden if len(text) >= TOO_SHORT}
        self._hidden = sorted(long, key=len, reverse=True)

    def over(self, text: str) -> str:
        """Give the text with every hidden one masked."""
        for hidden in self._hidden:
            text = text.replace(hidden, redact(hidden))
        return text
