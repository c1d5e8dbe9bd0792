"""The bench's figures as Markdown tables: medians with their spread, ratios, claims."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import latency
import throughput

Runs = Mapping[str, Sequence[throughput.Run]]


def spread(values: Sequence[float], shape: str) -> str:
    """Return `median [least to most]`, or a dash where nothing was compared."""
    if not values:
        return "-"
    low, mid, high = (format(v, shape) for v in (min(values), median(values), max(values)))
    return f"{mid} [{low} to {high}]"


def rates(runs: Runs, name: str) -> list[float]:
    """Return a contender's jobs per second, one a round."""
    return [run.rate for run in runs[name]]


def ratios(runs: Runs, over: str, under: str) -> list[float]:
    """Return how one did against another, round by round; [] unless both ran."""
    if over not in runs or under not in runs:
        return []
    return [a / b for a, b in zip(rates(runs, over), rates(runs, under), strict=True)]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with its columns lined up."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    padded = [[cell.ljust(w) for cell, w in zip(line, widths, strict=True)] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def rate_table(runs: Runs) -> str:
    """Return the throughput of each contender and its ratios to the baselines."""
    rows = [
        (
            name,
            spread(rates(runs, name), ",.0f"),
            spread([run.others for run in done], ".2f"),
            spread(ratios(runs, name, "arq"), ".2f"),
            spread(ratios(runs, name, "relay"), ".0%"),
        )
        for name, done in runs.items()
    ]
    return table(
        ("throughput", "jobs/s", "cores used by strangers", "times arq", "of the relay"), rows
    )


def cost_table(runs: Runs) -> str:
    """Return where the processor time of a job went, by process."""
    rows = [
        (name, title, f"{median(run.cpu.get(title, 0.0) for run in done):.0f}")
        for name, done in runs.items()
        for title in done[-1].cpu
    ]
    return table(("processor time", "process", "µs a job"), rows)


def latency_table(measured: Mapping[str, latency.Latency]) -> str:
    """Return push → callback under light load."""
    rows = [
        (name, str(one.pushes), f"{one.p50:.1f}", f"{one.p99:.1f}", f"{one.worst:.1f}")
        for name, one in measured.items()
    ]
    return table(("push → callback, ms", "pushes", "p50", "p99", "worst"), rows)


def idle_table(measured: Mapping[str, Mapping[str, float]]) -> str:
    """Return what each idle process uses of one core."""
    rows = [
        (name, title, f"{share:.1f} %")
        for name, shares in measured.items()
        for title, share in shares.items()
    ]
    return table(("idle", "process", "of a core"), rows)


def claims(
    runs: Runs,
    delays: Mapping[str, latency.Latency],
    shares: Mapping[str, Mapping[str, float]],
) -> Iterator[tuple[str, str, bool]]:
    """Yield each of Ringback's claims that was measured, its figure, whether it held."""
    if over := ratios(runs, "ringback", "arq"):
        yield "at least 4 times arq", f"{median(over):.1f} times", median(over) >= 4
    if over := ratios(runs, "ringback", "relay"):
        yield "at least half of the relay", f"{median(over):.0%}", median(over) >= 0.5
    if one := delays.get("ringback"):
        yield "p50 at most 5 ms", f"{one.p50:.1f} ms", one.p50 <= 5
        yield "p99 at most 20 ms", f"{one.p99:.1f} ms", one.p99 <= 20
    if mine := shares.get("ringback"):
        most = max(mine.values())
        yield "each idle process under 0.5 % of a core", f"{most:.1f} %", most < 0.5


def claim_table(found: Sequence[tuple[str, str, bool]]) -> str:
    """Return the claims and their verdicts."""
    rows = [(claim, figure, "yes" if held else "NO") for claim, figure, held in found]
    return table(("claim", "measured", "held"), rows)


def document(results: Mapping[str, Any]) -> str:
    """Return every table."""
    runs, delays, shares = (results[part] for part in ("throughput", "latency", "idle"))
    parts = [rate_table(runs), cost_table(runs), latency_table(delays), idle_table(shares)]
    found = list(claims(runs, delays, shares))
    return "\n\n".join([*parts, claim_table(found)] if found else parts)
