"""Reads rate limit headers: for how long an account has no requests left.

| headers | shape | source |
|---|---|---|
| `RateLimit` | `"name";r=0;t=30`, a list of policies: remaining, seconds to the reset | draft-ietf-httpapi-ratelimit-headers-08 and later |
| `RateLimit` | `limit=100, remaining=0, reset=30` | the same draft, -07 |
| `RateLimit-Remaining`, `RateLimit-Reset` | numbers; the reset in seconds from now | the same draft, -00 to -06 |
| `X-RateLimit-Remaining`, `X-RateLimit-Reset` | numbers; the reset is Unix time | docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api |
| `X-Rate-Limit-Remaining`, `X-Rate-Limit-Reset` | the same | docs.x.com/x-api/fundamentals/rate-limits |

Servers mix these up, so the size of a reset decides whether it is a time or a number of seconds.
"""

import re
from collections.abc import Iterator, Mapping

from processor.http_time import http_date, parse_number, parse_timestamp

# Seconds. Less than for Retry-After, whose unit is sure: a reset in milliseconds is taken for seconds.
MAX_PAUSE = 3_600.0
LEAST_TIME = 1e8  # a reset from here on is a time: so many seconds would be three years
LONGEST_HEADER = 1_000  # characters

_PAIRS = ("ratelimit", "x-ratelimit", "x-rate-limit")
_NAMES = frozenset(["ratelimit", *(f"{prefix}-remaining" for prefix in _PAIRS)])
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def exhausted_for(headers: Mapping[str, str], now: float) -> float | None:
    """Return for how many seconds no requests are left, at most an hour; None if some are.

    Names of headers are in lower case. `now` is in seconds since 1970; where the response has a
    `Date`, that counts instead: times of a reset are by the provider's clock.
    """
    if _NAMES.isdisjoint(headers):  # as most
        return None
    resets = [reset for remaining, reset in _limits(headers) if _number(remaining) == 0]
    if not resets:
        return None
    theirs = http_date(headers.get("date", "")) or now
    wait = max(_wait(reset, theirs) for reset in resets)
    return min(wait, MAX_PAUSE) if wait > 0 else None


def _limits(headers: Mapping[str, str]) -> Iterator[tuple[str | None, str | None]]:
    """Remaining requests and reset of every limit that the headers tell."""
    for prefix in _PAIRS:
        yield headers.get(f"{prefix}-remaining"), headers.get(f"{prefix}-reset")
    text = _QUOTED.sub("", headers.get("ratelimit", "")[:LONGEST_HEADER])
    yield _pick(text.split(","), "remaining", "reset")
    for policy in text.split(","):
        yield _pick(policy.split(";"), "r", "t")


def _pick(parts: list[str], remaining: str, reset: str) -> tuple[str | None, str | None]:
    values = {name.strip(): value for name, _, value in (part.partition("=") for part in parts)}
    return values.get(remaining), values.get(reset)


def _number(text: str | None) -> float | None:
    return parse_number((text or "").strip())


def _wait(reset: str | None, now: float) -> float:
    """Seconds until a reset; 0.0 if it is not known, or over."""
    number = _number(reset)
    if number is not None and number < LEAST_TIME:
        return number
    time = parse_timestamp((reset or "").strip())
    return 0.0 if time is None else time - now
