"""Section: events per second to one subscriber, beside arq and bare loops.

All events are committed before a worker starts, and everyone posts the same bytes. The first
tenth of a run, in which processes start and connect, is not counted.
"""

import asyncio
import time

from bench import report
from bench.contenders.running import Running
from bench.delivery.contenders import CONTENDERS
from bench.delivery.sink import DeliverySink, rate
from bench.load import sink as sinks
from bench.load.driver import Meter, Run
from bench.report import Claim, Result, Runs
from bench.runner import Runner, rotated, say

ROUNDS = 5
EVENTS = 30_000  # of a run
ARQ_SHARE = 3  # arq gets a third of them, and takes as long


async def measure(runner: Runner) -> Result:
    """Run all contenders."""
    names = runner.options.only
    runs: dict[str, list[Run]] = {n: [] for n in CONTENDERS if not names or n in names}
    for number in range(runner.rounds(ROUNDS)):
        for name in rotated(list(runs), number):
            count = runner.size(EVENTS) // (ARQ_SHARE if name == "arq" else 1)
            runs[name].append(run := await once(runner, name, count))
            say(f"{name:9} {run.rate:7,.0f} events/s, strangers used {run.others:.2f} cores")
    figures = {name: [run._asdict() for run in done] for name, done in runs.items()}
    return Result([table(runs), report.cost_table(runs, "an event")], claims(runs), figures)


async def once(runner: Runner, name: str, count: int) -> Run:
    """Do one run of one contender."""
    sink = DeliverySink()
    runner.driver.run += 1
    number = runner.driver.run
    sink.expect(number, count)
    server, url = await sinks.serve(sink)
    try:
        with runner.folder(name) as folder:
            async with CONTENDERS[name](url, folder, number, count) as pids:
                return await measured(sink, Running((), pids))
    finally:
        server.close()


async def measured(sink: DeliverySink, running: Running) -> Run:
    """Wait for every event; measure the processes from the end of the warm-up on.

    The run's `repeated` counts the requests: a batch has many events in one.
    """
    finished = asyncio.create_task(sink.finished())
    began = asyncio.create_task(sink.began.wait())
    await asyncio.wait((finished, began), return_when=asyncio.FIRST_COMPLETED)
    began.cancel()
    meter, at, counted = Meter(running), time.perf_counter(), max(1, sink.jobs - len(sink.seen))
    await finished
    seconds = time.perf_counter() - at
    used, others = meter.read()
    cpu = {title: 1e6 * one / counted for title, one in used.items()}
    return Run(sink.jobs, seconds, rate(sink), sink.callbacks, cpu, others)


def table(runs: Runs) -> str:
    """Return the events per second of each contender, and the ratios within each round."""
    others = ("ringback", "arq", "loop", "loops", "egress loop")
    rows = [
        (
            name,
            report.spread(report.rates(runs, name), ",.0f"),
            report.spread(report.costs(runs, name), ".0f"),
            report.spread([run.others for run in done], ".2f"),
            report.spread([run.jobs / run.repeated for run in done], ".1f"),
            *(report.spread(report.ratios(runs, name, other), ".2f") for other in others),
        )
        for name, done in runs.items()
    ]
    head = ("deliveries alone", "events/s", "µs an event", "cores used by strangers")
    return report.table((*head, "events a request", *(f"times {one}" for one in others)), rows)


def claims(runs: Runs) -> list[Claim]:
    """Return what this section shows of Ringback's goals."""
    return [
        *report.at_least(
            "deliveries: at least 5 times arq", report.ratios(runs, "ringback", "arq"), 5, ".2f"
        ),
        *report.at_least(
            "deliveries: at least 75 % of a bare aiohttp loop",
            report.ratios(runs, "ringback", "loop"),
            0.75,
            ".0%",
        ),
        *report.at_least(
            "batches: at least 3 times single deliveries",
            report.ratios(runs, "batch", "ringback"),
            3,
            ".2f",
        ),
    ]
