"""Texts that mean seconds: durations, Retry-After headers, timestamps."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DELTA = re.compile(r"[0-9]{1,9}")

RETRY_AFTER_AT_MOST = 86_400.0  # a server that says more is broken, or we would never ask again
END_OF_TIME = 253_402_300_800.0  # the year 10000: no calendar that we write goes further


def duration(text: str) -> float:
    """Return the seconds of `250ms 1.5s 30s 5m 24h 7d`, or raise ValueError with the remedy."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"`{text}` is not a duration; write it as 1.5s, 30s, 5m, 24h or 7d")
    return float(match[1]) * _UNITS[match[2]]


def retry_after(value: str | None, now: float) -> float | None:
    """Return how many seconds a Retry-After header asks for: 0 to a day, None for nonsense.

    The header holds seconds or an HTTP date (RFC 9110, 10.2.3).
    """
    if not value:
        return None
    if _DELTA.fullmatch(value):
        wait = float(value)
    else:
        try:
            wait = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, TypeError, IndexError, OverflowError):  # each seen on hostile dates
            return None
    return min(max(wait, 0.0), RETRY_AFTER_AT_MOST)


def timestamp(value: object) -> float | None:
    """Return a provider's time (ISO 8601, or seconds since 1970) as seconds since 1970.

    A time without a zone is UTC. None for what is neither, and for times before 1970 or
    after 9999, which are another unit or a mistake.
    """
    match value:
        case bool():
            return None
        case int() | float():
            seconds = value
        case str():
            seconds = _iso(value)
        case _:
            return None
    return float(seconds) if 0 <= seconds < END_OF_TIME else None


def _iso(text: str) -> float:
    """Seconds since 1970 (negative before), or -1 for what is no time."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return -1.0
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
