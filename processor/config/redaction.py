"""Redaction: masks a source's secrets in what its provider sent, which may repeat them."""

import base64
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from html.entities import html5
from typing import NamedTuple

from processor.config import Source
from processor.config.secrets import MASK

SHORTEST = 4  # characters: a shorter secret occurs everywhere, and reveals nothing
ANYWHERE = 8  # characters: a shorter secret may be part of a word, so only a whole word counts
LONGEST_EXCERPT = 200  # characters of a provider's text that explain a failure

# A word also begins right after an escape of JSON or of a URL, though that ends in a letter or digit.
_WORD_BEGINS = re.compile(r"(?<!\w)|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4})|(?<=%[0-9a-fA-F]{2})")
_WORD_ENDS = r"(?!\w)"
_BREAKS = " \t\r\n\"'<>"  # where a secret that was cut cannot go on, unless it contains them


class _Patterns(NamedTuple):
    """Regular expressions: of whole secrets, the longest first, of those that are only masked as
    words, and of how long ones begin; and the breaks that no long one contains.
    """

    whole: tuple[re.Pattern[str], ...]
    words: tuple[re.Pattern[str], ...]
    begin: tuple[re.Pattern[str], ...]
    breaks: str


def redact(source: Source, text: str) -> str:
    """The text with the source's secrets masked: plain, in base64, and as JSON, URLs and HTML write them.

    The beginning of a secret at the end of the text is masked too: the text may have been cut there.
    """
    patterns = _patterns(_secrets(source))
    for pattern in patterns.whole:
        text = pattern.sub(MASK, text)
    for word in patterns.words:
        text = _mask_words(word, text)
    last = max(map(text.rfind, patterns.breaks), default=-1) + 1
    cuts = [found.start() for p in patterns.begin if (found := p.search(text, last))]
    return text[: min(cuts)] + MASK if cuts else text


def redact_body(source: Source, body: bytes) -> bytes:
    """The same for bytes in UTF-8 or another extension of ASCII; all other bytes stay as they are."""
    text = body.decode("utf-8", "surrogateescape")
    return redact(source, text).encode("utf-8", "surrogateescape")


def excerpt(source: Source, text: str) -> str:
    """The beginning of a text, without secrets: it is cut last, since a part of one is not recognized."""
    return redact(source, text)[:LONGEST_EXCERPT]


def _secrets(source: Source) -> tuple[str, ...]:
    tokens = source.known_tokens()
    return (*source.secrets, *tokens, *map(_secret_half, tokens))


def _secret_half(token: str) -> str:
    """Of `user:password` the password, or the user if only that can be secret, as in `KEY:`."""
    user, _, password = token.partition(":")
    return password if len(password) >= SHORTEST else user


@lru_cache(maxsize=1024)
def _patterns(secrets: tuple[str, ...]) -> _Patterns:
    texts = sorted({text for s in secrets if len(s) >= SHORTEST for text in (s, _base64(s))})
    texts.sort(key=len, reverse=True)  # one may contain another
    long = [text for text in texts if len(text) > ANYWHERE]
    inside = re.compile("|".join(map(_spelled_character, sorted(set("".join(long))))))
    return _Patterns(
        tuple(re.compile(_spelled(text)) for text in texts if len(text) >= ANYWHERE),
        tuple(re.compile(_spelled(text) + _WORD_ENDS) for text in texts if len(text) < ANYWHERE),
        tuple(re.compile(_spelled(text)) for text in sorted({text[:ANYWHERE] for text in long})),
        "".join(char for char in _BREAKS if not inside.fullmatch(char)),
    )


def _mask_words(word: re.Pattern[str], text: str) -> str:
    """Where a word begins is checked last: `re` searches slowly for what begins with a look behind."""
    parts: list[str] = []
    end = at = 0
    while found := word.search(text, at):
        at = found.start() + 1
        if _WORD_BEGINS.match(text, found.start()):
            parts += (text[end : found.start()], MASK)
            end = at = found.end()
    return "".join(parts) + text[end:]


def _base64(secret: str) -> str:
    plain = secret.encode(errors="surrogateescape")
    return base64.b64encode(plain).decode().rstrip("=")


def _spelled(text: str) -> str:
    return "".join(map(_spelled_character, text))


@lru_cache(maxsize=1024)
def _spelled_character(char: str) -> str:
    """Every way to write a character: nobody escapes letters and digits of ASCII."""
    if char.isascii() and char.isalnum():
        return char
    return f"(?i:{'|'.join(_spellings(char))})"


def _spellings(char: str) -> Iterator[str]:
    """As it is, in JSON (also inside a string of JSON), in a URL, and in HTML.

    Repetitions have an end: a megabyte of backslashes would take hours.
    """
    yield r"\s{1,9}|\+" if char.isspace() else rf"\\{{0,9}}{re.escape(char)}"
    yield _each(r"\\{1,9}u", char.encode("utf-16-be", "surrogatepass"), 2)
    yield _each("%(?:25){0,9}", char.encode(errors="surrogateescape"), 1)
    yield from (f"&#0{{0,9}}{ord(char)};", f"&#x0{{0,9}}{ord(char):x};")
    yield from _html_names(char)


def _each(mark: str, encoded: bytes, size: int) -> str:
    """The mark and the hexadecimal digits of each group of so many bytes."""
    return "".join(mark + encoded[at : at + size].hex() for at in range(0, len(encoded), size))


def _html_names(char: str) -> Iterable[str]:
    return (f"&{name}" for name, meant in html5.items() if meant == char and name.endswith(";"))
