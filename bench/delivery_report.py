"""The delivery bench's figures as Markdown tables."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

import delivery_noise
import report
import throughput

Runs = Mapping[str, Sequence[throughput.Run]]
Noises = Mapping[str, Sequence[delivery_noise.Noise]]


SHARED = "load generator and sink"  # the bench's own process, the same for all


def cost(run: throughput.Run) -> float:
    """Return the microseconds of processor time that an event cost, the sink left out."""
    return sum(spent for title, spent in run.cpu.items() if title != SHARED)


def alone_table(runs: Runs) -> str:
    """Return the callbacks per second of each contender, and the ratios within each round."""
    rows = [
        (
            name,
            report.spread(report.rates(runs, name), ",.0f"),
            report.spread([cost(run) for run in done], ".0f"),
            report.spread([run.others for run in done], ".2f"),
            report.spread([run.jobs / run.repeated for run in done], ".1f"),
            report.spread(report.ratios(runs, name, "ringback"), ".2f"),
            report.spread(report.ratios(runs, name, "arq"), ".2f"),
            report.spread(report.ratios(runs, name, "loop"), ".0%"),
            report.spread(report.ratios(runs, name, "loops"), ".0%"),
        )
        for name, done in runs.items()
    ]
    head = (
        "delivery alone",
        "events/s",
        "µs an event",
        "cores used by strangers",
        "events a request",
    )
    return report.table((*head, "times ringback", "times arq", "of the loop", "of the loops"), rows)


def cost_table(runs: Runs) -> str:
    """Return where the processor time of a callback went, by process."""
    rows = [
        (name, title, f"{median(run.cpu.get(title, 0.0) for run in done):.0f}")
        for name, done in runs.items()
        for title in done[-1].cpu
    ]
    return report.table(("processor time", "process", "µs an event"), rows)


def changes(noise: Noises, name: str, figure: str) -> list[float]:
    """Return a figure among such neighbours over the same without, round by round."""
    pairs = zip(noise[name], noise["without"], strict=True)
    return [getattr(a, figure) / getattr(b, figure) for a, b in pairs]


def noise_table(noise: Noises) -> str:
    """Return what the 97 saw, with the three and without."""
    shapes = {"p50": ".1f", "p99": ".1f", "rate": ",.0f"}
    rows = [
        (name, *(report.spread([getattr(n, f) for n in done], s) for f, s in shapes.items()))
        for name, done in noise.items()
    ]
    rows += [
        (f"{name} / without", *(report.spread(changes(noise, name, f), ".2f") for f in shapes))
        for name in noise
        if name != "without"
    ]
    return report.table(("97 of 100", "p50, ms", "p99, ms", "events/s"), rows)


def claims(runs: Runs, noise: Noises) -> Iterator[tuple[str, str, bool]]:
    """Yield each claim that was measured, its figure, whether it held."""
    if over := report.ratios(runs, "ringback", "arq"):
        yield "at least 3 times arq", f"{median(over):.1f} times", median(over) >= 3
    if over := report.ratios(runs, "ringback", "loop"):
        yield "at least half of a bare loop", f"{median(over):.0%}", median(over) >= 0.5
    if noise:
        late, slow = (median(changes(noise, "with", figure)) for figure in ("p99", "rate"))
        yield "neighbours: p99 up by at most 20 %", f"{late - 1:+.0%}", late <= 1.2
        yield "neighbours: throughput down by at most 10 %", f"{slow - 1:+.0%}", slow >= 0.9


def document(runs: Runs, noise: Noises) -> str:
    """Return every table."""
    parts = [alone_table(runs), cost_table(runs)] if runs else []
    parts += [noise_table(noise)] if noise else []
    found = list(claims(runs, noise))
    return "\n\n".join([*parts, report.claim_table(found)] if found else parts)
