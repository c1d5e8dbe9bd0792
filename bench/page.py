"""docs/benchmarks.md: the last figures of each section, with the machine and the day.

Figures are kept in a file between runs, so that a section can be run by itself.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bench import report
from bench.environments import CACHE, TREE

KEPT = CACHE / "figures.json"
PAGE = TREE / "docs" / "benchmarks.md"
HEAD = """\
# Benchmarks

Written by `make bench` and `make bench-all` ([how to read them](../bench/README.md)). Figures are medians [least to
most] of interleaved rounds. Everything shares the same cores, the load generator included. Rates differ threefold
between machines: trust ratios, which are taken within a round.
"""


class Found(msgspec.Struct):
    """What one section found, where and when."""

    title: str
    tables: list[str]
    claims: list[report.Claim]
    machine: dict[str, str | int]
    versions: str  # of what was measured
    at: float
    seconds: float  # that the section took
    charts: list[str] = []  # files beside the page


def read(file: Path = KEPT) -> dict[str, Found]:
    """Return what is kept; nothing if there is no such file."""
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Found]) if file.exists() else {}


def write(found: Mapping[str, Found], file: Path = KEPT) -> None:
    """Keep what was found."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))


def document(found: Mapping[str, Found]) -> str:
    """Return the page: all claims in one table, then the sections."""
    claims = [claim for one in found.values() for claim in one.claims]
    parts = [HEAD, report.claim_table(claims)] if claims else [HEAD]
    return "\n\n".join(part.strip() for part in [*parts, *map(section, found.values())]) + "\n"


def section(one: Found) -> str:
    """Return a section: where and when, its charts, its tables."""
    day = time.strftime("%Y-%m-%d", time.gmtime(one.at))
    machine = "{cpu}, {cores} cores, Python {python}, {system}".format(**one.machine)
    charts = [f"![{one.title}]({name})" for name in one.charts]
    where = f"{day}, {one.seconds:,.0f} s; {machine}; {one.versions}."
    return "\n\n".join(filter(None, [f"## {one.title}", where, *charts, *one.tables]))
