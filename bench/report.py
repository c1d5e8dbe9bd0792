"""Figures as Markdown: medians with their ranges, ratios within rounds, tables, claims."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from bench.load import latency
from bench.load.driver import LOAD, Run

Runs = Mapping[str, Sequence[Run]]

ROLES = (
    ("redis", "redis"),
    ("processor.web", "web"),
    ("workers.clock", "rest"),
    ("workers", "workers"),
)
"""Ringback's processes by a word of their titles; the first that fits. Others are `rest`."""


class Claim(NamedTuple):
    """Something that Ringback promises, what was measured, and whether it held."""

    text: str
    measured: str
    held: bool


class Result(NamedTuple):
    """What a section found: Markdown tables, claims, every figure, and charts by file name."""

    tables: Sequence[str]
    claims: Sequence[Claim]
    figures: Any
    charts: Mapping[str, str] = {}


def spread(values: Sequence[float], shape: str) -> str:
    """Return `median [least to most]`; a single value alone, and a dash where there is none."""
    if not values:
        return "-"
    if len(values) == 1:
        return format(values[0], shape)
    low, mid, high = (format(v, shape) for v in (min(values), median(values), max(values)))
    return f"{mid} [{low} to {high}]"


def rates(runs: Runs, name: str) -> list[float]:
    """Return a contender's jobs per second, one a round."""
    return [run.rate for run in runs[name]]


def delays(runs: Runs, name: str, share: float) -> list[float]:
    """Return a percentile of each round's delays under the light load, in ms."""
    return [latency.percentile(run.delays, share) for run in runs[name] if run.delays]


def costs(runs: Runs, name: str) -> list[float]:
    """Return the µs of processor time that a job cost, the load generator left out."""
    return [cost(run) for run in runs[name]]


def cost(run: Run) -> float:
    """Return the µs of processor time of the contender's own processes."""
    return sum(spent for title, spent in run.cpu.items() if title != LOAD)


def divided(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Return the ratios round by round."""
    return [a / b for a, b in zip(over, under, strict=True) if b]


def ratios(runs: Runs, over: str, under: str) -> list[float]:
    """Return the ratios of the rates round by round; [] unless both ran."""
    if over not in runs or under not in runs:
        return []
    return divided(rates(runs, over), rates(runs, under))


def role(title: str) -> str:
    """Return which of Ringback's processes a title means."""
    return next((name for word, name in ROLES if word in title), "rest")


def by_role(run: Run) -> dict[str, float]:
    """Return the µs a job of Ringback's processes by role."""
    found = dict.fromkeys(("redis", "web", "workers", "rest"), 0.0)
    for title, spent in run.cpu.items():
        if title != LOAD:
            found[role(title)] += spent
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with its columns lined up."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    padded = [[cell.ljust(w) for cell, w in zip(line, widths, strict=True)] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def cost_table(runs: Runs, each: str = "a job") -> str:
    """Return where the processor time of a job or event went, by process."""
    rows = [
        (name, title, spread([run.cpu.get(title, 0.0) for run in done], ".0f"))
        for name, done in runs.items()
        for title in done[-1].cpu
    ]
    return table(("processor time", "process", f"µs {each}"), rows)


def claim_table(found: Sequence[Claim]) -> str:
    """Return the claims and their verdicts."""
    rows = [(text, measured, "yes" if held else "NO") for text, measured, held in found]
    return table(("claim", "measured", "held"), rows)


def at_least(text: str, values: Sequence[float], goal: float, shape: str) -> list[Claim]:
    """Return a claim that a median is at least the goal; none where nothing was measured."""
    return [Claim(text, spread(values, shape), median(values) >= goal)] if values else []


def at_most(text: str, values: Sequence[float], goal: float, shape: str) -> list[Claim]:
    """Return a claim that a median is at most the goal; none where nothing was measured."""
    return [Claim(text, spread(values, shape), median(values) <= goal)] if values else []


def low_middle_high(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the least, the median and the most."""
    return min(values), median(values), max(values)
