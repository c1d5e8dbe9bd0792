"""A sparkline: the last deliveries of a subscription as bars, the slow ones high."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from processor.model import ARRIVED

HEIGHT, STEP = 24, 4  # of the picture, and from bar to bar


class Bar(NamedTuple):
    """One delivery: its place, its height, and whether it arrived."""

    x: int
    height: float
    arrived: bool


class Sparkline(NamedTuple):
    """The bars, and the same in words."""

    bars: list[Bar]
    text: str

    @property
    def width(self) -> int:
        """The width of the picture."""
        return STEP * len(self.bars)


def sparkline(deliveries: Sequence[Mapping[str, Any]]) -> Sparkline:
    """The sparkline of deliveries, the newest last: the height is the time of the last attempt."""
    seconds = [d["attempts"][-1]["seconds"] if d["attempts"] else 0.0 for d in deliveries]
    arrived = [d["state"] in ARRIVED for d in deliveries]
    longest = max(seconds, default=0.0) or 1.0
    bars = [
        Bar(STEP * place, round(2 + (HEIGHT - 2) * s / longest, 1), good)
        for place, (s, good) in enumerate(zip(seconds, arrived, strict=True))
    ]
    slowest = f", the slowest in {longest * 1000:.0f} ms" if any(seconds) else ""
    return Sparkline(bars, f"{sum(arrived)} of the last {len(bars)} arrived{slowest}")
