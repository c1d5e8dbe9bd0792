"""Reads what a token command printed: the token, and how long it lasts."""

import re
from datetime import datetime
from typing import Any, NamedTuple

from processor.errors import ConfigError, Unreadable
from processor.http_time import parse_number
from processor.json_input import read_json

BARE_LASTS = 300.0  # seconds for which a token without an end is kept

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class PrintedToken(NamedTuple):
    """A token, and until when it is good, in seconds since 1970."""

    text: str
    ends: float


def read_token(output: bytes, now: float) -> PrintedToken:
    """The token in a command's output, which no error shows; ConfigError if there is none.

    It is the bare token, or a JSON object with `token` and one of `expires_at` and `expires_in`.
    """
    try:
        text = output.decode().strip()
    except UnicodeDecodeError:
        raise ConfigError("what it printed is not UTF-8") from None
    if not text:
        raise ConfigError("it printed no token")
    if not text.startswith("{"):
        return PrintedToken(text, now + BARE_LASTS)
    return _from_json(output, now)


def _from_json(output: bytes, now: float) -> PrintedToken:
    try:
        document = read_json(output)
    except Unreadable:
        raise ConfigError("the JSON that it printed cannot be read") from None
    token = document.get("token")
    if not isinstance(token, str) or not token:
        raise ConfigError('the JSON that it printed has no text as "token"')
    ends = _ends(document, now)
    if ends <= now:
        raise ConfigError("the token that it printed has expired; check the clock of this machine")
    return PrintedToken(token, ends)


def _ends(document: dict[str, Any], now: float) -> float:
    at, seconds = document.get("expires_at"), document.get("expires_in")
    if at is not None:
        return _moment(at)
    if seconds is None:
        return now + BARE_LASTS
    number = parse_number(seconds)
    if number is None:
        raise ConfigError('"expires_in" that it printed is not a number of seconds')
    return now + number


def _moment(text: object) -> float:
    if isinstance(text, str) and _RFC_3339.fullmatch(text):
        try:
            return datetime.fromisoformat(text.upper()).timestamp()
        except ValueError:  # such as the 13th month
            pass
    raise ConfigError('"expires_at" that it printed is not a time such as 2026-11-22T10:00:00Z')
