"""Section: jobs per second with a million finished jobs in the store, beside an empty one.

Both run at the same time, one of them idle, and take turns; the empty one keeps the few thousand
jobs of its own runs.
"""

from bench import finished_jobs, report
from bench.contenders.ringback import ringback
from bench.load.driver import Run
from bench.report import Result
from bench.runner import Runner, say

ROUNDS = 5
FINISHED = 1_000_000
ROLES = ("redis", "web", "workers")


async def measure(runner: Runner) -> Result:
    """Fill one store, then let both take turns; every other round begins with the other."""
    count = runner.size(FINISHED)
    runs: dict[str, list[Run]] = {"empty": [], "full": []}
    async with runner.start("empty", ringback) as empty, runner.start("full", ringback) as full:
        say(f"writing {count:,} finished jobs …")
        size = await finished_jobs.fill(runner.driver, full, count)
        turns = [("empty", empty), ("full", full)]
        for number in range(runner.rounds(ROUNDS)):
            for name, running in turns if number % 2 else turns[::-1]:
                runs[name].append(await runner.load(name, running))
    ratio = report.ratios(runs, "full", "empty")
    rows = [
        (
            name,
            report.spread(report.rates(runs, name), ",.0f"),
            report.spread([run.others for run in done], ".2f"),
            report.spread(report.ratios(runs, name, "empty"), ".0%"),
            *(report.spread([report.by_role(r)[role] for r in done], ".0f") for role in ROLES),
        )
        for name, done in runs.items()
    ]
    head = (
        f"a store with {count:,} finished jobs",
        "jobs/s",
        "cores used by strangers",
        "of empty",
    )
    table = report.table((*head, *(f"{role}, µs a job" for role in ROLES)), rows)
    line = f"A finished job of this workload takes {size:,.0f} bytes of Redis' memory, its event in the log included."
    claims = report.at_least(
        f"{count:,} finished jobs: at least 95 % of an empty store", ratio, 0.95, ".0%"
    )
    figures = {name: [run._asdict() for run in done] for name, done in runs.items()}
    return Result([table, line], claims, figures | {"bytes a finished job": size})
