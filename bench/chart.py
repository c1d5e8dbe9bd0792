"""A chart of lines with their ranges as SVG: a linear x axis, a logarithmic y axis.

It has no background, and its colours are readable on a light and on a dark page.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 110, 40, 52  # pixels around the plot; labels are at the right
COLOURS = ("#2f81f7", "#c9602a", "#2da44e", "#a371f7")  # a contrast of 3 on white and on black
NAME_HEIGHT = 15
STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #57606a }
.grid { stroke: #8b949e; stroke-opacity: .3 }
@media (prefers-color-scheme: dark) { text { fill: #c9d1d9 } }
"""


class Point(NamedTuple):
    """A place on the x axis; the least, the median and the most there."""

    x: float
    low: float
    middle: float
    high: float


class Line(NamedTuple):
    """A named line; its band is its range."""

    label: str
    points: Sequence[Point]


def x_ticks(most: float) -> list[float]:
    """Return two to ten round numbers from 0 to `most`."""
    step = 10.0 ** math.floor(math.log10(most))
    step = next((step * part for part in (0.1, 0.2, 0.25, 0.5) if most / (step * part) < 10), step)
    return [step * n for n in range(int(most / step) + 1)]


def y_ticks(least: float, most: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten that contain both."""
    powers = range(math.floor(math.log10(least)) - 1, math.ceil(math.log10(most)) + 2)  # rounded
    found = sorted(part * 10.0**power for power in powers for part in (1, 2, 5))
    low = max((tick for tick in found if tick <= least), default=found[0])
    high = min((tick for tick in found if tick >= most), default=found[-1])
    return [tick for tick in found if low <= tick <= high] if low < high else [low, 10 * low]


def spaced(places: Sequence[float]) -> list[float]:
    """Return heights for names beside these places, in the same order and far enough apart."""
    found, free = list(places), -math.inf
    for number in sorted(range(len(places)), key=lambda n: places[n]):
        found[number] = free = max(places[number], free + NAME_HEIGHT)
    return found


def svg(title: str, x_label: str, y_label: str, lines: Sequence[Line]) -> str:
    """Return the chart; every value on the y axis is above 0."""
    points = [point for line in lines for point in line.points]
    across = x_ticks(max(point.x for point in points))
    up = y_ticks(min(point.low for point in points), max(point.high for point in points))
    x_end = max(across[-1], *(point.x for point in points))

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value / x_end

    def y(value: float) -> float:
        part = math.log(value / up[0]) / math.log(up[-1] / up[0])
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part

    def path(places: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in places)

    bottom = HEIGHT - BOTTOM
    parts = [_text(LEFT, 22, title, "start", bold=True)]
    for tick in across:
        parts += [_grid(x(tick), TOP, x(tick), bottom)]
        parts += [_text(x(tick), bottom + 18, f"{tick:,.4g}", "middle")]
    for tick in up:
        parts += [_grid(LEFT, y(tick), WIDTH - RIGHT, y(tick))]
        parts += [_text(LEFT - 8, y(tick) + 4, f"{tick:g}", "end")]
    parts += [_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_label, "middle")]
    parts += [_text(WIDTH - RIGHT, 22, y_label, "end")]
    names = spaced([y(dots[-1].middle) for _, dots in lines])
    for colour, at, (label, dots) in zip(_colours(len(lines)), names, lines, strict=True):
        band = [(p.x, p.high) for p in dots] + [(p.x, p.low) for p in reversed(dots)]
        middle = [(p.x, p.middle) for p in dots]
        parts += [f'<polygon points="{path(band)}" fill="{colour}" fill-opacity=".2"/>']
        parts += [
            f'<polyline points="{path(middle)}" fill="none" stroke="{colour}" stroke-width="2"/>'
        ]
        parts += [
            f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{colour}"/>' for a, b in middle
        ]
        parts += [_text(x(dots[-1].x) + 8, at + 4, label, "start", colour)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}</style>\n"
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _colours(count: int) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(count)]


def _grid(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(
    x: float, y: float, text: str, anchor: str, colour: str = "", *, bold: bool = False
) -> str:
    style = f' style="fill:{colour}"' if colour else ' style="font-weight:600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(text)}</text>'
