"""Sections: what more workers and a second receiver bring; the same on another Python.

A run fails unless every job is called back for, so a figure is also a proof that nothing was lost.
"""

import functools
import sys
from collections.abc import Mapping

from bench import environments, report
from bench.contenders import baselines
from bench.contenders.ringback import ringback
from bench.contenders.running import Start
from bench.report import Result, Runs
from bench.runner import Runner

ROUNDS = 3
LIGHT = 4.0  # seconds of the light load in each run of the other Python


async def workers(runner: Runner) -> Result:
    """Run 2, 4 and 8 workers, then two receivers."""
    starts: dict[str, Start] = {
        f"{count} workers": functools.partial(ringback, workers=count) for count in (2, 4, 8)
    }
    starts["2 receivers, 2 workers"] = functools.partial(ringback, receivers=2)
    runs = await runner.compare(starts, runner.rounds(ROUNDS))
    return result(runs, dict.fromkeys(starts, "2 workers"))


async def other_python(runner: Runner) -> Result:
    """Run Ringback and the relay on this Python and on the one of --python."""
    if not runner.options.python:
        return Result(["Not measured: no `--python PATH` was given."], [], {})
    other = environments.other_python(runner.options.python)
    name = environments.run(other.python, "-VV").strip()
    starts: dict[str, Start] = {
        "ringback": ringback,
        "ringback, other": functools.partial(ringback, installed=other),
        "relay": baselines.relay,
        "relay, other": functools.partial(baselines.relay, python=other.python),
    }
    runs = await runner.compare(starts, runner.rounds(ROUNDS), runner.seconds(LIGHT))
    pairs = {"ringback, other": "ringback", "relay, other": "relay"}
    found = result(runs, pairs)
    line = f"This Python: {sys.version.splitlines()[0]}; the other: {name}."
    return found._replace(tables=[line, *found.tables])


def result(runs: Runs, compared: Mapping[str, str]) -> Result:
    """Return rates, their ratios within rounds, repeated callbacks and processor time."""
    rows = []
    for name, done in runs.items():
        ratio = report.ratios(runs, name, compared[name]) if name in compared else []
        rows.append(
            (
                name,
                report.spread(report.rates(runs, name), ",.0f"),
                report.spread([run.others for run in done], ".2f"),
                report.spread(ratio, ".2f"),
                report.spread(report.costs(runs, name), ".0f"),
                report.spread(report.delays(runs, name, 0.5), ".1f"),
                f"{sum(run.jobs for run in done):,}",
                f"{sum(run.repeated for run in done):,}",
            )
        )
    head = ("contender", "jobs/s", "cores used by strangers", "times the first of its kind")
    more = ("µs a job", "light load: p50, ms", "jobs called back for: all of", "callbacks repeated")
    figures = {name: [run._asdict() for run in done] for name, done in runs.items()}
    return Result([report.table((*head, *more), rows)], [], figures)
