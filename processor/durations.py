"""Parses durations (`30s`, `5m`) and rates (`100/1m`)."""

import re

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_RATE = re.compile(r"([0-9]{1,6})/(.+)")
_RATE_OVER = 86_400.0  # seconds, at most: events expire
MIN_DURATION = 0.001  # seconds of a deadline, or between polls
MAX_DEADLINE = 3650 * 86_400.0  # seconds
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> float:
    """Return the seconds of `250ms 1.5s 30s 5m 24h 7d`, or raise ValueError with the remedy."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"`{text}` is not a duration; write it as 1.5s, 30s, 5m, 24h or 7d")
    return float(match[1]) * _UNITS[match[2]]


def write_duration(seconds: float) -> str:
    """The duration of so many seconds in the largest unit that needs no fraction: `3d`, `1.5s`."""
    units = [unit for unit in ("d", "h", "m") if seconds and seconds % _UNITS[unit] == 0]
    unit = units[0] if units else "s"
    return f"{seconds / _UNITS[unit]:g}{unit}"


def parse_rate(text: str) -> tuple[int, float]:
    """Return count and seconds of `100/1m`, or raise ValueError with the remedy."""
    match = _RATE.fullmatch(text)
    count, seconds = (int(match[1]), parse_duration(match[2])) if match else (0, 0.0)
    if not count or not 0 < seconds <= _RATE_OVER:
        raise ValueError(
            f"`{text}` is not a rate; write deliveries per time, such as 100/1m, over at most 24h"
        )
    return count, seconds
