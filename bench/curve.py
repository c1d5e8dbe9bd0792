"""Section: latency at steps up to saturation, as a table and as a chart.

Each run measures its own saturation first (all that it takes in a closed loop), then pushes at
shares of it, whatever the answers do.
"""

import asyncio
from typing import Any, NamedTuple

from bench import chart, report
from bench.load import latency
from bench.report import Result
from bench.runner import Runner, rotated, say

ROUNDS = 3
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)  # of the saturation
STEP = 5.0  # seconds at each
LIGHT = 12.0  # seconds at the light load
REST = 1.0  # seconds between two steps
FILE = "latency.svg"


class Step(NamedTuple):
    """What one step showed; milliseconds."""

    name: str
    rate: float  # jobs per second that arrived
    p50: float
    p99: float
    late: float  # p99 by which pushes left later than planned
    others: float  # cores' worth of processor time that other programs used


Curves = dict[str, list[list[Step]]]
"""Contender → each round's steps, in the same order."""


async def measure(runner: Runner) -> Result:
    """Run Ringback and, if asked for, the commit before."""
    names = runner.options.only or ["ringback"]
    starts = {n: s for n, s in runner.contenders().items() if n in names}
    found: Curves = {name: [] for name in starts}
    for number in range(runner.rounds(ROUNDS)):
        for name in rotated(list(starts), number):
            async with runner.start(name, starts[name]) as running:
                run = await runner.load(name, running)
                found[name].append(await steps(runner, running, run.rate))
    ratio = [half(steps) for steps in found.get("ringback", [])]
    claims = report.at_most(
        "p99 at half of saturation at most 3 times that of the light load", ratio, 3, ".2f"
    )
    figures = {n: [[s._asdict() for s in steps] for steps in r] for n, r in found.items()}
    return Result([table(found)], claims, figures, {FILE: drawn(found)})


async def steps(runner: Runner, running: Any, saturation: float) -> list[Step]:
    """Push at the light load, then at each share."""
    plan = [("light", float(latency.LIGHT), runner.seconds(LIGHT))]
    plan += [(f"{share:.0%}", share * saturation, runner.seconds(STEP)) for share in SHARES]
    done = []
    for name, rate, seconds in plan:
        await asyncio.sleep(runner.seconds(REST))
        paced = await latency.steady(runner.driver, running, rate, seconds)
        p50, p99 = (latency.percentile(paced.delays, share) for share in (0.5, 0.99))
        late = latency.percentile(paced.late, 0.99)
        done.append(Step(name, paced.rate, p50, p99, late, paced.others))
        say(f"  {name:6} {paced.rate:7,.0f} jobs/s   p50 {p50:.1f} p99 {p99:.1f} ms")
    return done


def half(steps: list[Step]) -> float:
    """Return the p99 at half of the saturation over that of the light load."""
    p99 = {step.name: step.p99 for step in steps}
    return p99["50%"] / p99["light"]


def table(found: Curves) -> str:
    """Return every step, with the ranges of the rounds."""
    rows = []
    for name, rounds in found.items():
        for same in zip(*rounds, strict=True):
            figures = [
                report.spread([getattr(step, field) for step in same], shape)
                for field, shape in (
                    ("rate", ",.0f"),
                    ("p50", ".1f"),
                    ("p99", ".1f"),
                    ("late", ".1f"),
                )
            ]
            strangers = report.spread([step.others for step in same], ".2f")
            rows.append((name, same[0].name, *figures, strangers))
    head = ("latency", "of saturation", "jobs/s", "p50, ms", "p99, ms", "pushes left late, p99, ms")
    return report.table((*head, "cores used by strangers"), rows)


def drawn(found: Curves) -> str:
    """Return the chart: p50 and p99 of each contender over jobs per second."""
    lines = []
    for name, rounds in found.items():
        for field in ("p50", "p99"):
            points = [
                chart.Point(
                    report.median([step.rate for step in same]),
                    *report.low_middle_high([getattr(step, field) for step in same]),
                )
                for same in zip(*rounds, strict=True)
            ]
            label = field if len(found) == 1 else f"{name} {field}"
            lines.append(chart.Line(label, points))
    return chart.svg("Push → callback", "jobs per second", "milliseconds", lines)
