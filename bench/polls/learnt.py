"""Section: the learnt schedule of a real worker, beside the simulation.

Jobs of two sources take as long, one source learns. A stub answers by the clock; it knows when each
job ended and when it was first told so. What the simulation expects is computed from the true
distribution and the ends that the polls have shown.
"""

import asyncio
import random
import time
from statistics import fmean

from bench import report
from bench.best_polls import Bounds, yardstick
from bench.poll_shapes import Cost, Truth, log_normal
from bench.polls import store as stores
from bench.polls.provider import Provider, ends_at
from bench.report import Result
from bench.runner import Runner
from processor.job_durations import Durations
from processor.poll_schedule import PollSchedule
from processor.service.jobs.watch import watch
from processor.service.jobs.watch_request import WatchRequest

BOUNDS = Bounds((0.2, 4.0), 0.2)  # as store.LEARNING says
SHAPE = log_normal(20, 0.3)
LEARNT_FROM, MEASURED = 200, 150  # jobs of each source
RATE = 10.0  # jobs a second of each source
PAUSE = 20.0  # seconds: a schedule is learnt again after at most 15

Times = dict[str, list[float]]  # when each job began to be watched, and was polled


async def jobs(store: stores.Stored, provider: Provider, name: str, count: int) -> list[Times]:
    """Watch so many jobs of each source; return their times once all ends are found."""
    found: list[Times] = [{}, {}]
    rng, done = random.Random(name), 0
    for number in range(count):
        duration = SHAPE.draw(rng)
        for source, times in enumerate(found):
            now = time.time()
            job = f"{name}{source}{number}_{now + duration:.3f}"
            times[job] = [now]
            await watch(store.context, f"lab{source}", job, WatchRequest())
        await asyncio.sleep(1 / RATE)
    while done < 2 * count:
        await asyncio.sleep(0.5)
        for job, at in await asyncio.to_thread(provider.asked):
            for times in found:
                if job in times:
                    times[job].append(at)
                    done += at >= ends_at(job)
    return found


def cost(times: Times) -> Cost:
    """Return what the jobs cost."""
    return Cost(
        fmean(len(polls) - 1 for polls in times.values()),
        fmean(polls[-1] - ends_at(job) for job, polls in times.items()),
    )


def expected(learnt_from: Times) -> Cost:
    """Return what the simulation expects of the schedule that is learnt from these jobs."""
    ends = tuple((polls[-2] - polls[0], polls[-1] - polls[0]) for polls in learnt_from.values())
    polled = PollSchedule.learn(Durations(ends), *BOUNDS)
    return Truth(SHAPE).cost(polled.first, polled.gap, random.Random(0))


async def measure(runner: Runner) -> Result:
    """Let one source learn, then measure both."""
    with Provider.started() as provider, runner.folder("learnt") as folder:
        async with stores.stored(folder, provider.url, sources=2, learning=True) as store:
            with stores.polling(store):
                first, _ = await jobs(store, provider, "a", runner.size(LEARNT_FROM))
                await asyncio.sleep(PAUSE)
                learnt, profile = map(cost, await jobs(store, provider, "b", runner.size(MEASURED)))
    truth, simulated = Truth(SHAPE), expected(first)
    unlearnt = truth.cost(BOUNDS.after, PollSchedule(*BOUNDS).gap, random.Random(0))
    best = Cost(yardstick(truth, BOUNDS, simulated.delay), simulated.delay)
    rows = {
        "profile, real": profile,
        "profile, simulated": unlearnt,
        "learnt, real": learnt,
        "learnt, simulated": simulated,
        "best": best,
    }
    cells = [(name, f"{one.polls:.1f}", f"{one.delay:.2f} s") for name, one in rows.items()]
    return Result([report.table(("schedule", "polls a job", "delay"), cells)], [], rows)
