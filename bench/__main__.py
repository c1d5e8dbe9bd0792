"""`python -m bench SECTION…`: measures Ringback beside its baselines, on the same cores.

Prints Markdown tables. Without a section it runs the standard set. `--page` also writes
docs/benchmarks.md and its chart.
"""

import argparse
import asyncio
import json
import os
import resource
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path

import uvloop

from bench import environments, page, processes, redis_server, report
from bench.environments import TREE
from bench.load import sink as sinks
from bench.load.driver import Driver
from bench.runner import Runner, machine, say
from bench.sections import SECTIONS

STANDARD = [name for name, section in SECTIONS.items() if section.standard]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    listed = "\n".join(
        f"  {name:12} {one.title}{' (standard)' if one.standard else ''}; at most {one.limit:.0f} s"
        for name, one in SECTIONS.items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog=f"sections:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help="or: all")
    parser.add_argument("--rounds", type=int, help="instead of each section's own number")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="times the usual sizes and lengths (0.05: a trial)"
    )
    parser.add_argument(
        "--before", default="f329b63", metavar="COMMIT", help="to compare with; '' for none"
    )
    parser.add_argument("--python", metavar="PATH", help="another interpreter to compare with")
    parser.add_argument("--only", nargs="+", help="only these contenders, where a section has some")
    parser.add_argument("--cores", type=int, default=2, help="cores that everything shares")
    parser.add_argument("--page", action="store_true", help="write docs/benchmarks.md as well")
    parser.add_argument("--out", type=Path, help="write every figure here, as JSON")
    options = parser.parse_args()
    options.sections = (
        list(SECTIONS) if options.sections == ["all"] else options.sections or STANDARD
    )
    if options.page and options.scale != 1:
        parser.error("--page takes no figures of a trial: leave --scale out")
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(unknown)}; sections are {', '.join(SECTIONS)}")
    return options


async def run(name: str, runner: Runner) -> tuple[report.Result, page.Found]:
    """Run one section within its limit."""
    section, began = SECTIONS[name], time.time()
    say(f"== {section.title}")
    async with asyncio.timeout(section.limit):
        result = await section.measure(runner)
    found = page.Found(
        title=section.title,
        tables=list(result.tables),
        claims=list(result.claims),
        machine=machine(),
        versions=versions(),
        at=began,
        seconds=time.time() - began,
        charts=list(result.charts),
    )
    return result, found


def versions() -> str:
    """Return what was measured: this commit, and the versions of what it stands on."""
    try:
        commit = environments.run("git", "-C", str(TREE), "describe", "--always", "--dirty").strip()
    except (OSError, RuntimeError):  # a tree without its history
        commit = "unknown"
    redis = environments.run(redis_server.binary(), "--version").split("v=")[1].split()[0]
    names = ("aiohttp", "redis", "starlette", "uvicorn", "uvloop")
    used = ", ".join(f"{name} {version(name)}" for name in names)
    return f"commit {commit}, Redis {redis}; Python packages {used}"


async def main(options: argparse.Namespace) -> bool:
    """Run the sections; a section that fails does not stop the others. Return whether all ran."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # as Ctrl-C does
    processes.adopt_orphans()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # for the children, too
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    server, url = await sinks.serve(sink := sinks.Sink())
    runner = Runner(options, Driver(sink, url))
    figures, failed = {}, []
    for name in options.sections:
        try:
            result, found = await run(name, runner)
        except Exception as error:  # noqa: BLE001 - said, and the bench ends with 1
            say(f"{name} failed: {error!r}\n" + "\n".join(getattr(error, "__notes__", [])))
            failed.append(name)
            continue
        figures[name] = result.figures
        claims = [report.claim_table(found.claims)] if found.claims else []
        sys.stdout.write("\n\n".join([page.section(found), *claims, ""]) + "\n")
        if options.page:
            keep(name, found, result)
    server.close()
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1))
    return not failed


def keep(name: str, found: page.Found, result: report.Result) -> None:
    """Write the whole page again, with this section's figures in place of its earlier ones."""
    kept = page.read() | {name: found}
    page.write(kept)
    for file, content in result.charts.items():
        page.PAGE.with_name(file).write_text(content)
    page.PAGE.write_text(page.document({n: kept[n] for n in SECTIONS if n in kept}))


if __name__ == "__main__":
    sys.exit(not uvloop.run(main(arguments())))
