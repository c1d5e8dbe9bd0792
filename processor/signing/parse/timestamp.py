"""When a push was signed, and whether that is near enough to now."""

import re
from datetime import datetime

from processor.errors import BadSignature

TOLERANCE = 300  # seconds, both ways: what the Standard Webhooks libraries allow
FORGIVEN = 3600.0  # seconds that Redis' clock and this machine's may differ, so that either will do
NOTABLE = 5.0  # seconds between them that are named in a refusal
OLD = "{:.0f} s old", "an old message sent again, or a wrong clock"
AHEAD = "{:.0f} s in the future", "set the clock of this machine, or of the sender, right"
LONGEST = 12  # digits: some 30,000 years; longer is noise

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)


def seconds(text: str, where: str) -> float:
    """Read whole seconds since 1970, in ASCII; `where` names their place for the refusal."""
    if len(text) > LONGEST or not (text.isascii() and text.isdigit()):
        raise BadSignature(f"{where} is not whole seconds since 1970")
    return float(text)


def iso(text: str, where: str) -> float:
    """Read `2026-11-22T10:00:00.000Z` as seconds since 1970."""
    try:
        if _ISO.fullmatch(text):
            return datetime.fromisoformat(text).timestamp()
    except ValueError:  # a 13th month
        pass
    raise BadSignature(f"{where} is not a time such as 2026-11-22T10:00:00.000Z")


def check(time: float, now: float, tolerance: float, here: float | None = None) -> None:
    """BadSignature for a push that is too old, or that comes from the future.

    `now` is Redis' clock, `here` this machine's, where that may differ: either of them may be the
    wrong one, so the one by which the push is fresher counts, as long as they are not far apart.
    """
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
