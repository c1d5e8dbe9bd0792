"""The benchmark's chart: well-formed SVG that fits its frame, readable on light and dark pages."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, strategies as st

from bench import chart, curve
from bench.chart import Line, Point

SVG = "{http://www.w3.org/2000/svg}"
LINES = [
    Line("p50", [Point(20, 1.9, 2.0, 2.2), Point(900, 5, 6, 7)]),
    Line("p99 & more", [Point(20, 4, 5, 6), Point(900, 50, 70, 110)]),
]


def drawn(lines: list[Line]) -> ET.Element:
    return ET.fromstring(chart.svg("Latency", "jobs/s", "ms", lines))  # noqa: S314 - our own


def test_every_line_has_a_band_a_line_and_its_name() -> None:
    root = drawn(LINES)
    assert len(root.findall(f"{SVG}polygon")) == len(root.findall(f"{SVG}polyline")) == 2
    assert {"p50", "p99 & more"} <= {text.text for text in root.findall(f"{SVG}text")}


def test_it_has_no_background_and_a_dark_style() -> None:
    root = drawn(LINES)
    assert root.findall(f"{SVG}rect") == []
    assert "prefers-color-scheme: dark" in (root.find(f"{SVG}style").text or "")


@pytest.mark.parametrize("background", [0.0, 1.0], ids=["dark", "light"])
@pytest.mark.parametrize("colour", chart.COLOURS)
def test_its_colours_stand_out_on_black_and_on_white(colour: str, background: float) -> None:
    """WCAG 2.2, 1.4.11: graphics have a contrast of at least 3."""
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    dark, light = sorted((luminance, background))
    assert (light + 0.05) / (dark + 0.05) >= 3


values = st.floats(0.01, 1e5)


@given(st.lists(st.tuples(st.floats(1, 1e6), values, values, values), min_size=1, max_size=6))
def test_every_point_is_inside_the_frame(rows: list[tuple[float, float, float, float]]) -> None:
    points = [Point(x, *sorted(ys)) for x, *ys in rows]
    (band,) = drawn([Line("one", points)]).findall(f"{SVG}polygon")
    places = [tuple(map(float, pair.split(","))) for pair in band.attrib["points"].split()]
    assert len(places) == 2 * len(points)
    assert all(chart.LEFT <= x <= chart.WIDTH - chart.RIGHT + 0.1 for x, _ in places)
    assert all(chart.TOP - 0.1 <= y <= chart.HEIGHT - chart.BOTTOM + 0.1 for _, y in places)


@given(st.floats(0.5, 1e7))
def test_the_x_axis_has_a_few_round_numbers_from_zero(most: float) -> None:
    ticks = chart.x_ticks(most)
    assert ticks[0] == 0
    assert 2 <= len(ticks) <= 10
    assert ticks[-1] <= most < ticks[-1] + ticks[1] + 1e-6 * most


@given(values, values)
def test_the_y_axis_contains_all(one: float, other: float) -> None:
    ticks = chart.y_ticks(min(one, other), max(one, other))
    assert ticks[0] <= min(one, other)
    assert max(one, other) <= ticks[-1]
    assert len(ticks) >= 2


def test_names_of_lines_do_not_overlap() -> None:
    assert chart.spaced([100.0, 102.0, 20.0, 104.0]) == [100.0, 115.0, 20.0, 130.0]


def test_a_curve_gives_its_steps_as_a_table_and_a_chart() -> None:
    steps = [
        curve.Step("light", 20.0, 2.0, 4.0, 0.5, 0.0),
        curve.Step("50%", 500.0, 3.0, 8.0, 0.5, 0.0),
    ]
    found = {"ringback": [steps, steps]}
    assert curve.half(steps) == 2.0
    assert re.search(r"\| ringback \| 50%\s+\| 500 \[500 to 500\]", curve.table(found))
    assert "p99" in curve.drawn(found)
