"""Section: jobs per second with a million finished jobs in the store, beside an empty one.

Both run at the same time, one of them idle, and take turns; the empty one keeps the few thousand
jobs of its own runs. When there are more keys than a power of two, Redis makes a table of twice the
size, and moves some keys with each command. A million jobs have 4.1 million keys, just less than the
22nd power: the pairs of runs in which the full store's Redis moves keys are shown apart.
"""

from redis import Redis

from bench import finished_jobs, report
from bench.contenders.ringback import ringback
from bench.contenders.running import Running
from bench.load.driver import Run
from bench.report import Result
from bench.runner import Runner, say

ROUNDS = 5  # pairs of runs in which no keys are moved
MOST = 14  # pairs in all
FINISHED = 1_000_000
ROLES = ("redis", "web", "workers")
STEADY, GROWING = "", ", while Redis doubles its table of keys"


async def measure(runner: Runner) -> Result:
    """Fill one store, then let both take turns; every other round begins with the other."""
    count, rounds = runner.size(FINISHED), runner.rounds(ROUNDS)
    states: dict[str, dict[str, list[Run]]] = {
        state: {"empty": [], "full": []} for state in (STEADY, GROWING)
    }
    async with runner.start("empty", ringback) as empty, runner.start("full", ringback) as full:
        say(f"writing {count:,} finished jobs …")
        size = await finished_jobs.fill(runner.driver, full, count)
        turns = [("empty", empty), ("full", full)]
        for number in range(MOST):
            growing = doubles_its_table(full)
            pair = {
                name: await runner.load(name, running)
                for name, running in (turns if number % 2 else turns[::-1])
            }
            growing = growing or doubles_its_table(full)
            for name, run in pair.items():
                states[GROWING if growing else STEADY][name].append(run)
            if len(states[STEADY]["full"]) >= rounds:
                break
    rows = [row for state, runs in states.items() if runs["full"] for row in table(state, runs)]
    head = (
        f"a store with {count:,} finished jobs",
        "pairs",
        "jobs/s",
        "cores used by strangers",
        "of empty",
        *(f"{role}, µs a job" for role in ROLES),
    )
    line = f"A finished job of this workload takes {size:,.0f} bytes of Redis' memory, its event in the log included."
    claims = report.at_least(
        f"{count:,} finished jobs: at least 95 % of an empty store",
        report.ratios(states[STEADY], "full", "empty"),
        0.95,
        ".0%",
    )
    figures = {
        f"{name}{state}": [run._asdict() for run in done]
        for state, runs in states.items()
        for name, done in runs.items()
    }
    tables = [report.table(head, rows), line]
    return Result(tables, claims, figures | {"bytes a finished job": size})


def doubles_its_table(running: Running) -> bool:
    """Whether Redis has two tables of keys now, an old one and one twice as large."""
    with Redis(unix_socket_path=str(running.socket)) as redis:
        return bool(redis.memory_stats()["db.dict.rehashing.count"])


def table(state: str, runs: dict[str, list[Run]]) -> list[tuple[str, ...]]:
    """The rows of the pairs in one state of the table."""
    return [
        (
            name + state,
            str(len(done)),
            report.spread(report.rates(runs, name), ",.0f"),
            report.spread([run.others for run in done], ".2f"),
            report.spread(report.ratios(runs, name, "empty"), ".0%"),
            *(report.spread([report.by_role(r)[role] for r in done], ".0f") for role in ROLES),
        )
        for name, done in runs.items()
    ]
