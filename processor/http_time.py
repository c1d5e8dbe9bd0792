"""Parses HTTP times: Retry-After headers, waits in any unit and timestamps, to seconds."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,12}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?"
)
_DELTA = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,40})?")
_ZONE = re.compile(r" (?:UTC|([+-][0-9]{2}):?([0-9]{2}))$")

MAX_RETRY_AFTER = 86_400.0  # seconds; a longer pause would be as good as never
END_OF_TIME = 253_402_300_800.0  # the year 10000: our calendars end here
LARGEST = 2**53  # larger numbers are garbage, and too large for some arithmetic
_NUMERIC = (int, float)
UNITS = {"s": 1.0, "ms": 0.001, "epoch": 1.0}  # of waits; `epoch` is a point in time


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds of a Retry-After header, 0 to a day; None if it is missing or invalid.

    The header holds seconds (some servers send fractions) or an HTTP date (RFC 9110, 10.2.3).
    """
    if value is None:
        return None
    text = value.strip(" \t")
    if _DELTA.fullmatch(text):
        return _bounded(float(text))
    moment = http_date(text)
    if moment is None:
        moment = _iso(text)
    return None if moment < 0 else _bounded(moment - now)


def http_date(text: str) -> float | None:
    """Return an HTTP date as seconds since 1970, or None; all three formats are UTC.

    RFC 9110, 5.6.7; the asctime() format has no zone, and Python would use the local one.
    """
    try:
        return _in_utc(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError, OverflowError):  # each seen on hostile dates
        return None


def parse_wait(value: object, unit: str, now: float) -> float | None:
    """Return the seconds from now, 0 to a day, of a number in a unit; None if it is invalid."""
    number = parse_number(value)
    if number is None or number < 0:
        return None
    return _bounded(number * UNITS[unit] - (now if unit == "epoch" else 0.0))


def parse_number(value: object) -> float | None:
    """Return a number, also from text such as `39.0` or `40 %`; None for anything else."""
    if isinstance(value, str):
        text = value.strip().removesuffix("%").rstrip()
        value = float(text) if _NUMBER.fullmatch(text) else None
    if isinstance(value, _NUMERIC) and not isinstance(value, bool) and abs(value) < LARGEST:
        return value
    return None


def parse_timestamp(value: object) -> float | None:
    """Return a provider's timestamp as seconds since 1970.

    It is ISO 8601, or a number, also as text: seconds, or milliseconds if seconds would be after
    the year 9999. A time without a zone is UTC. None for anything else, and for times before 1970,
    which are in another unit or an error.
    """
    if value is None:
        return None
    seconds = parse_number(value)
    if seconds is None:
        seconds = _iso(value) if isinstance(value, str) else -1.0
    elif seconds >= END_OF_TIME:
        seconds /= 1000
    return float(seconds) if 0 <= seconds < END_OF_TIME else None


def _iso(text: str) -> float:
    """Seconds since 1970 (negative before), or -1 for invalid text.

    Some providers write a space before the zone, or its name.
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
