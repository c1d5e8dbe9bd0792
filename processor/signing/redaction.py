"""Redaction for `inspect`: signatures and secrets in text that people see."""

import re
from collections.abc import Iterable

# Characters: the base64 of the shortest digest. Of a shorter text, ten would reveal too much.
PARTLY_SHOWN_FROM = 28
TOO_SHORT = 4  # characters: a shorter text occurs everywhere, and reveals nothing

_RUN = re.compile(r"[A-Za-z0-9+/_-]{16,}=*")


def redact(text: str) -> str:
    """The length, and of a long text its first six and last four characters."""
    ends = (text[:6], text[-4:]) if len(text) >= PARTLY_SHOWN_FROM else ("", "")
    return f"{ends[0]}…{ends[1]} ({len(text)} characters)"


def redact_signatures(text: str) -> str:
    """Redact every part that could be a signature, and keep the text around it."""
    return _RUN.sub(lambda run: redact(run[0]), text)


class Redactor:
    """Redacts some secret texts wherever they occur in another text."""

    __slots__ = ("_hidden",)

    def __init__(self, hidden: Iterable[str]) -> None:
        """Sort the secret texts by length, longest first: one may contain another."""
        long = {text for text in hidden if len(text) >= TOO_SHORT}
        self._hidden = sorted(long, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """The text with every secret in it redacted."""
        for hidden in self._hidden:
            text = text.replace(hidden, redact(hidden))
        return text
