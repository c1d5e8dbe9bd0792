"""When a push was signed, and whether that is recent enough (replay protection)."""

import re
from datetime import datetime

from processor.errors import BadSignature

TOLERANCE = 300  # seconds, both ways: what the Standard Webhooks libraries allow
# Seconds: up to this difference either clock, Redis' or ours, may be the right one.
FORGIVEN = 3600.0
NOTABLE = 5.0  # seconds: a larger difference of the clocks is named in the error message
OLD = "{:.0f} s old", "it is a replay, or a clock is wrong"
AHEAD = "{:.0f} s in the future", "correct the clock of this machine or of the sender"
LONGEST = 12  # digits: about 30,000 years; longer is not a time

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)


def seconds(text: str, where: str) -> float:
    """Parse whole seconds since 1970, in ASCII; `where` names the field for the error message."""
    if len(text) > LONGEST or not (text.isascii() and text.isdigit()):
        raise BadSignature(f"{where} is not whole seconds since 1970")
    return float(text)


def iso(text: str, where: str) -> float:
    """Parse `2026-11-22T10:00:00.000Z` to seconds since 1970."""
    try:
        if _ISO.fullmatch(text):
            return datetime.fromisoformat(text).timestamp()
    except ValueError:  # a 13th month
        pass
    raise BadSignature(f"{where} is not a time such as 2026-11-22T10:00:00.000Z")


def check(time: float, now: float, tolerance: float, here: float | None = None) -> None:
    """Raise BadSignature for a push that is too old, or whose time is in the future.

    `now` is Redis' clock, `here` this machine's, if it may differ. Either clock may be wrong: the
    one by which the push is fresher counts, unless they differ by more than FORGIVEN.
    """
    if abs(now - time) <= tolerance:
        return
    apart = 0.0 if here is None else now - here
    ages = [now - time, *([now - time - apart] if abs(apart) <= FORGIVEN else [])]
    age = min(ages, key=abs)
    if abs(age) > tolerance:
        text, why = OLD if age > 0 else AHEAD
        if abs(apart) > NOTABLE:
            side = "ahead of" if apart > 0 else "behind"
            why = f"Redis' clock is {abs(apart):.0f} s {side} this machine's, set both by NTP"
        shown = text.format(abs(age))
        raise BadSignature(f"its timestamp is {shown}, more than {tolerance:.0f}: {why}")
