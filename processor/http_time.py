"""Texts that mean seconds: Retry-After headers, hints of when to ask again, timestamps."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,12}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?"
)
_DELTA = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,40})?")
_ZONE = re.compile(r" (?:UTC|([+-][0-9]{2}):?([0-9]{2}))$")

MAX_RETRY_AFTER = 86_400.0  # a server that says more is broken, or we would never ask again
END_OF_TIME = 253_402_300_800.0  # the year 10000: no calendar that we write goes further
LARGEST = 2**53  # beyond it numbers are noise, and too large for some arithmetic
UNITS = {"s": 1.0, "ms": 0.001, "epoch": 1.0}  # of hints; `epoch`: the moment itself


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Return how many seconds a Retry-After header asks for: 0 to a day, None for nonsense.

    The header holds seconds, of which some write fractions, or an HTTP date (RFC 9110, 10.2.3).
    """
    text = (value or "").strip(" \t")
    if _DELTA.fullmatch(text):
        return _bounded(float(text))
    moment = http_date(text)
    if moment is None:
        moment = _iso(text)
    return None if moment < 0 else _bounded(moment - now)


def http_date(text: str) -> float | None:
    """Return an HTTP date as seconds since 1970, or None; all its three forms are UTC.

    RFC 9110, 5.6.7; that of C's asctime() names no zone, and Python would take ours.
    """
    try:
        return _in_utc(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError, OverflowError):  # each seen on hostile dates
        return None


def parse_poll_hint(value: object, unit: str, now: float) -> float | None:
    """Return how many seconds a hint asks for: 0 to a day, None for nonsense."""
    number = parse_number(value)
    if number is None or number < 0:
        return None
    return _bounded(number * UNITS[unit] - (now if unit == "epoch" else 0.0))


def parse_number(value: object) -> float | None:
    """Return a number that may be written as text, `39.0` or `40 %`; else None."""
    if isinstance(value, str):
        text = value.strip().removesuffix("%").rstrip()
        value = float(text) if _NUMBER.fullmatch(text) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST:
        return value
    return None


def parse_timestamp(value: object) -> float | None:
    """Return a provider's time as seconds since 1970.

    That is ISO 8601, or a number, also as text: seconds, or milliseconds where seconds
    would be after the year 9999. A time without a zone is UTC. None for what is neither,
    and for times before 1970, which are another unit or a mistake.
    """
    seconds = parse_number(value)
    if seconds is None:
        seconds = _iso(value) if isinstance(value, str) else -1.0
    elif seconds >= END_OF_TIME:
        seconds /= 1000
    return float(seconds) if 0 <= seconds < END_OF_TIME else None


def _iso(text: str) -> float:
    """Seconds since 1970 (negative before), or -1 for what is no time.

    Some write a blank before the zone, or name it.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        try:
            time = datetime.fromisoformat(_ZONE.sub(_zone, text))
        except ValueError:
            return -1.0
    return _in_utc(time)


def _in_utc(time: datetime) -> float:
    """Seconds since 1970 of a time that is UTC unless it names another zone."""
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _zone(match: re.Match[str]) -> str:
    return f"{match[1]}:{match[2]}" if match[1] else "+00:00"


def _bounded(wait: float) -> float:
    return min(max(wait, 0.0), MAX_RETRY_AFTER)
