"""Runs the demo: simulates the providers of watched jobs, and checks every callback."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from processor.cli import output
from processor.cli.client import Client, job_path
from processor.cli.demo.sandbox import ringback
from processor.cli.demo.scenarios import EXPECTED, SCENARIOS, final_events, judge
from processor.cli.demo.simulation import Simulation, configuration, make_secret
from processor.cli.demo.subscriber_server import SubscriberServer
from processor.cli.exit_codes import Exit
from processor.cli.jobs import show_history
from processor.cli.progress import Show, progress_display

TIMEOUT = 20.0  # seconds until all callbacks must have come
SETTLE = 1.0  # seconds in which none may come a second time
REFRESH = 0.2  # seconds


def run(*, json: bool) -> Exit:
    """Run the demo; returns the exit code."""
    if not json:
        _show_scenarios()
    with ExitStack() as stack:
        subscriber = stack.enter_context(SubscriberServer(secret := make_secret()))
        simulations = [Simulation(scenario, stack) for scenario in SCENARIOS]
        toml = configuration(simulations, subscriber.url, secret)
        # Ringback starts before our threads do: a fork of a process with threads is not safe.
        client = Client(*stack.enter_context(ringback(toml)))
        stack.enter_context(subscriber.serving())
        begun = time.monotonic()
        problems = _simulate(client, subscriber, simulations, json=json)
        problems += judge(subscriber.verified, subscriber.refused)
        seconds = time.monotonic() - begun
        if json:
            callbacks = [vars(callback) for callback in subscriber.verified]
            output.document({"ok": not problems, "complaints": problems, "callbacks": callbacks})
        else:
            _show_results(client, problems, len(subscriber.verified), seconds)
    return Exit.FAILED if problems else Exit.GOOD


def _simulate(
    client: Client, subscriber: SubscriberServer, simulations: Sequence[Simulation], *, json: bool
) -> list[str]:
    """Watch the jobs, push and answer polls until all ended; returns problems with pushes."""
    for scenario in SCENARIOS:
        poll = False if scenario.pushed else {"every": "0.5s"}
        for job in scenario.jobs:
            body = {"poll": poll, "metadata": {"demo": True}}
            client.call("PUT", job_path(scenario.source, job.full_id), body)

    def all_ended() -> bool:
        sending = any(simulation.sending for simulation in simulations)
        return not sending and all(final_events(subscriber.verified, job) for job in EXPECTED)

    with progress_display(silent=json) as show, ExitStack() as stack:
        for simulation in simulations:
            stack.enter_context(simulation.started(client.url))
        _refresh(client, show, TIMEOUT, all_ended)
        problems = [problem for each in simulations for problem in each.problems()]
        _refresh(client, show, SETTLE, lambda: False)
    return problems


def _refresh(client: Client, show: Show, seconds: float, done: Callable[[], bool]) -> None:
    """Show the jobs' progress until done, or until the time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not done():
        for source, job_id in EXPECTED:
            show(f"{source}/{job_id}", client.get(job_path(source, job_id)))
        time.sleep(REFRESH)


def _show_scenarios() -> None:
    output.line("Simulated jobs; payloads hold the fields that the provider's profile reads:")
    updates = ["pushed" if s.pushed else "polled" for s in SCENARIOS for _ in s.ends]
    rows = [
        ("/".join(job), update, EXPECTED[job])
        for job, update in zip(EXPECTED, updates, strict=True)
    ]
    output.table(("job", "updates", "must end with"), rows)
    output.line("")


def _show_results(client: Client, problems: Sequence[str], callbacks: int, seconds: float) -> None:
    for source, job_id in EXPECTED:
        output.line("")
        output.line(f"{source}/{job_id}")
        show_history(client.get(job_path(source, job_id, "history")), json=False)
    output.line("")
    for problem in problems:
        output.line(f"WRONG  {problem}")
    if not problems:
        output.line(
            "Forged pushes were refused; repeated pushes were accepted, and changed nothing."
        )
    verdict = "not everything is right" if problems else "all came, each once, all verified"
    output.line(f"{callbacks} callbacks in {seconds:.1f} s: {verdict}")
    if not problems:
        output.line("")
        output.line('Now with a job of yours: README.md, "In 60 seconds", needs three commands.')
