"""Section: jobs per second of Ringback, another commit of it, arq and the relay, in one run.

Each run begins with the light load, then takes all that the contender can do. So both figures, and
the processor time of a job, are compared within a round.
"""

from bench import report
from bench.report import Claim, Result, Runs
from bench.runner import Runner

ROUNDS = 5
LIGHT = 8.0  # seconds of the light load in each run


async def measure(runner: Runner) -> Result:
    """Run all contenders."""
    names = runner.options.only
    contenders = {n: s for n, s in runner.contenders().items() if not names or n in names}
    runs = await runner.compare(contenders, runner.rounds(ROUNDS), runner.seconds(LIGHT))
    tables = [
        runner.named(),
        rate_table(runs),
        role_table(runs),
        light_table(runs),
        report.cost_table(runs),
    ]
    return Result(
        tables, claims(runs), {name: [r._asdict() for r in done] for name, done in runs.items()}
    )


def rate_table(runs: Runs) -> str:
    """Return the throughput of each contender and its ratios to the others."""
    head = ("throughput", "jobs/s", "cores used by strangers", "times before", "times arq")
    rows = [
        (
            name,
            report.spread(report.rates(runs, name), ",.0f"),
            report.spread([run.others for run in done], ".2f"),
            report.spread(report.ratios(runs, name, "before"), ".2f"),
            report.spread(report.ratios(runs, name, "arq"), ".2f"),
            report.spread(report.ratios(runs, name, "relay"), ".0%"),
        )
        for name, done in runs.items()
    ]
    return report.table((*head, "of the relay"), rows)


def role_table(runs: Runs) -> str:
    """Return the processor time of a job: Ringback's by process, everyone's in all."""
    roles = ("redis", "web", "workers", "rest")
    rows = []
    for name, done in runs.items():
        found = [report.by_role(run) for run in done]
        ours = name in ("ringback", "before")
        cells = [report.spread([one[r] for one in found] if ours else [], ".0f") for r in roles]
        total = report.spread(report.costs(runs, name), ".0f")
        ratio = report.spread(cost_ratios(runs, name, "relay"), ".2f")
        memory = report.spread([run.memory for run in done if run.memory], ",.0f")
        rows.append((name, *cells, total, ratio, memory))
    head = ("µs of processor time a job", *roles, "all, without the load generator")
    return report.table((*head, "times the relay", "bytes of Redis a job"), rows)


def light_table(runs: Runs) -> str:
    """Return push → callback under the light load; each round's percentile, and all rounds'."""
    rows = []
    for name, done in runs.items():
        every = sorted(delay for run in done for delay in run.delays)
        if not every:
            continue
        p50, p99 = (report.delays(runs, name, share) for share in (0.5, 0.99))
        rows.append(
            (
                name,
                f"{len(every)}",
                report.spread(p50, ".1f"),
                report.spread(p99, ".1f"),
                f"{report.latency.percentile(every, 0.99):.1f}",
                f"{every[-1]:.1f}",
                report.spread(delay_ratios(runs, name, "before", 0.5), ".2f"),
                report.spread(delay_ratios(runs, name, "before", 0.99), ".2f"),
            )
        )
    head = (
        "push → callback at 20 jobs/s, ms",
        "pushes",
        "p50",
        "p99",
        "p99 of all rounds",
        "worst",
    )
    return report.table((*head, "p50 / before", "p99 / before"), rows)


def cost_ratios(runs: Runs, over: str, under: str) -> list[float]:
    """Return the ratios of the processor time of a job; [] unless both ran."""
    if over not in runs or under not in runs:
        return []
    return report.divided(report.costs(runs, over), report.costs(runs, under))


def delay_ratios(runs: Runs, over: str, under: str, share: float) -> list[float]:
    """Return the ratios of a percentile under the light load; [] unless both ran."""
    if over not in runs or under not in runs:
        return []
    return report.divided(report.delays(runs, over, share), report.delays(runs, under, share))


def claims(runs: Runs) -> list[Claim]:
    """Return what this section shows of Ringback's goals."""
    rate = {name: report.ratios(runs, "ringback", name) for name in ("before", "arq", "relay")}
    p50, p99 = (delay_ratios(runs, "ringback", "before", share) for share in (0.5, 0.99))
    return [
        *report.at_least("at least 1.45 times before", rate["before"], 1.45, ".2f"),
        *report.at_least("at least 4 times arq", rate["arq"], 4, ".2f"),
        *report.at_least("at least 65 % of the relay", rate["relay"], 0.65, ".0%"),
        *report.at_most(
            "processor time of a job: at most 1.5 times the relay's",
            cost_ratios(runs, "ringback", "relay"),
            1.5,
            ".2f",
        ),
        *report.at_most("light load: p50 at most 0.6 of before", p50, 0.6, ".2f"),
        *report.at_most("light load: p99 at most 1.2 times before", p99, 1.2, ".2f"),
    ]
