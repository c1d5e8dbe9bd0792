"""Section: pages of the dashboard with 100,000 jobs beside 100, and the overview during events.

Two servers run at the same time and are read by turns. Then 500 jobs a second end at the full one,
while the overview is open in a real browser; before that it is open while nothing happens.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from bench import report
from bench.dashboard import browser, pages
from bench.dashboard.browser import RATE, Seen
from bench.dashboard.fill import fill
from bench.listeners.running import Running, running
from bench.report import Claim, Result
from bench.runner import Runner, say

JOBS, FEW = 100_000, 100
TIMES = 60  # that each page is read from each server
SECONDS = 20.0  # that the overview is open
BOUND = 2.0  # times the same page with few jobs
LONG = 50.0  # ms: what Chromium calls a long task
INPUT = 200.0  # ms: what web.dev calls a good interaction to next paint
GROWTH = 2.0  # MB by which the script's heap may grow


async def measure(runner: Runner) -> Result:
    """Fill both, read their pages, then have events happen."""
    jobs = max(runner.size(JOBS), 2 * FEW)
    with runner.folder("few") as few, runner.folder("many") as many:
        async with filled(few, FEW) as small, filled(many, jobs) as large:
            async with pages.signed_in(small.port) as a, pages.signed_in(large.port) as b:
                sessions = {"few": a, "many": b}
                times = await pages.by_turns(sessions, max(3, runner.size(TIMES)))
            seen = await in_browser(runner, large)
    ratios = {page: by["many"] / by["few"] for page, by in times.items()}
    rows = [
        (page, f"{by['few']:.1f}", f"{by['many']:.1f}", f"{ratios[page]:.2f}")
        for page, by in times.items()
    ]
    head = (f"a page with {FEW} and {jobs:,} jobs", "ms", "ms", "ratio")
    most = max(ratios.values())
    text = f"each page with {jobs:,} jobs: at most {BOUND:g} times that with {FEW}"
    claims = [Claim(text, f"{most:.2f}", held=most <= BOUND), *responsive(seen)]
    figures = {"pages": times, "browser": {name: one._asdict() for name, one in seen.items()}}
    notes = [f"No browser: {lack}."] if (lack := browser.missing()) else [seen_table(seen)]
    return Result([report.table(head, rows), *notes], claims, figures)


@contextlib.asynccontextmanager
async def filled(folder: Path, jobs: int) -> AsyncIterator[Running]:
    """Run a server with so many jobs."""
    async with running(folder) as ours:
        say(f"writing {jobs:,} jobs …")
        await fill(ours.store, jobs, await ours.store.now())
        yield ours


async def in_browser(runner: Runner, ours: Running) -> dict[str, Seen]:
    """The overview while nothing happens, then during events; nothing without a browser."""
    if browser.missing():
        return {}
    seen = {}
    for name, rate in (("idle", 0), (f"{RATE} events/s", RATE)):
        runner.driver.run += 1
        seconds = max(3.0, runner.seconds(SECONDS))
        one = await browser.visit(ours.port, runner.driver.run, seconds, rate)
        if rate and one.events != (count := round(rate * seconds)):
            raise RuntimeError(f"{one.events} of {count} events came to the browser")
        seen[name] = one
    return seen


def responsive(seen: dict[str, Seen]) -> Sequence[Claim]:
    """What is promised of a browser during events."""
    if not seen:
        return []
    one = seen[f"{RATE} events/s"]
    grown = one.heap_after - one.heap_before
    return [
        Claim(
            f"overview during {RATE} events/s: p99 from a key press to the next frame at most "
            f"{INPUT:g} ms",
            f"{one.input_p99:.0f} ms",
            held=one.input_p99 <= INPUT,
        ),
        Claim(
            f"overview during {RATE} events/s: its script's heap grows by at most {GROWTH:g} MB",
            f"{grown:.1f} MB",
            held=grown <= GROWTH,
        ),
    ]


def seen_table(seen: dict[str, Seen]) -> str:
    """The figures of the browser."""
    rows = [
        (
            name,
            f"{one.events:,}",
            f"{one.reads}",
            f"{one.long_tasks}, {one.longest_task:.0f} ms",
            f"{one.frame_p99:.0f}, {one.frame_max:.0f} ms",
            f"{one.input_p99:.0f}, {one.input_max:.0f} ms",
            f"{one.heap_before:.1f} → {one.heap_after:.1f} MB",
            f"{one.nodes_before:,} → {one.nodes_after:,}",
        )
        for name, one in seen.items()
    ]
    head = (
        "overview in Chromium",
        "events",
        "reads of the page",
        f"tasks over {LONG:g} ms, longest",
    )
    more = ("frame to frame: p99, most", "key press to frame: p99, most", "script's heap", "nodes")
    return report.table((*head, *more), rows)
