"""`ringback simulate`: simulates a provider that pushes and is polled. In reading order:

simulated_source  what is simulated: a provider's profile, or a configured source
make_jobs         which jobs: kind, ids, how they end
progress          when each job began, and how its pushes and polls were answered
poll_routes       the paths at which jobs are polled and canceled
provider_server   answers polls and cancel calls on a loopback port
hook              the URL that is pushed to
push_sender       signs, sends and retries pushes
run               runs until every job has ended
output            what is printed: how to configure Ringback, and a summary

Pushes and answers hold the fields that a profile reads, where it reads them; everything else
of a real payload is absent. Ed25519 and Amazon SNS signatures cannot be simulated.
"""

import os
import secrets
from contextlib import nullcontext
from random import Random
from typing import Annotated

import typer

from processor.cli import options
from processor.cli.exit_codes import CommandError
from processor.cli.simulate import make_jobs, output
from processor.cli.simulate.hook import Hook
from processor.cli.simulate.progress import Run
from processor.cli.simulate.provider_server import PollFaults, ProviderServer
from processor.cli.simulate.push_sender import PushSender
from processor.cli.simulate.run import exit_code, keep_answering, run_to_end
from processor.cli.simulate.simulated_source import find_source
from processor.durations import parse_duration
from processor.simulation import Faults, plan_pushes

ENDS = "|".join(make_jobs.ENDS)


def simulate(
    provider: Annotated[
        str,
        typer.Argument(metavar="PROVIDER|SOURCE", help="A provider, or a source of ringback.toml."),
    ],
    *,
    to: Annotated[
        str | None, typer.Option("--to", metavar="URL", help="Push to this URL: …/hooks/NAME.")
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            help="Signs the pushes; also env:NAME or file:PATH. Default: the source's secret."
        ),
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="The kind of jobs, if the provider has several.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="The number of jobs.")] = 1,
    job_id: Annotated[
        str | None, typer.Option("--id", help="The job's id; for several jobs, its beginning.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="How long a job takes.")] = 10.0,
    end: Annotated[str, typer.Option(metavar=ENDS, help="How the jobs end.")] = "succeeded",
    port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65535,
            help="Where polls are answered; 0: the port of the source's base_url, or a free one.",
        ),
    ] = 0,
    latency: Annotated[
        str, typer.Option(help="Wait before each answer to a poll: 50ms, 1.5s.")
    ] = "0s",
    throttle: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="The share of polls answered 429.")
    ] = 0.0,
    duplicates: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="The share of pushes that are sent twice.")
    ] = 0.0,
    reorder: Annotated[bool, typer.Option("--reorder", help="Shuffle each job's pushes.")] = False,
    lose: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="The share of pushes that are not sent.")
    ] = 0.0,
    linger: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Seconds to answer polls after the last job has ended. Default: 0, or if ends "
            "must be polled (to confirm them, or since their pushes were lost), until they are, "
            "60 at most.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed repeats a run.")] = None,
    config: options.Config,
    json: options.Json = False,
) -> None:
    """Simulate a provider: push about jobs to --to, and answer polls about them.

    Without --to a job begins when it is first polled, alone or by a list, or
    when POST /submit is called, which stands for the provider's own call and
    begins the next job. A job that is canceled by the provider's call ends so.
    For a source of ringback.toml, its provider, its webhook_secret and the port
    of its base_url are used; settings that it lacks to be polled here are
    printed. The run ends when every job has ended (without --to: and its end was
    polled), or on Ctrl-C. The exit code is 1 if a push was refused, 5 if a push
    was not accepted after 5 attempts, 4 if an end that only a poll can find
    was not polled in time.

    Pushes and answers hold the fields that the profile reads, where it reads
    them, in its words; everything else of a real payload is absent. If a state
    has several words, the first is used, which may differ from the provider's.
    Pushes that are signed with Ed25519 or by Amazon SNS cannot be simulated:
    only the provider has the key.

    Example: `ringback simulate mux --to http://127.0.0.1:8080/hooks/mux`.
    """
    source = find_source(provider, config)
    profile, ending = source.profile, make_jobs.end_state(end)
    chosen = make_jobs.choose_kind(profile, kind, pushed=to is not None)
    hook = Hook(to) if to else None
    seed = secrets.randbits(32) if seed is None else seed
    ids = make_jobs.make_ids(job_id, jobs, _rng(seed))
    faults = PollFaults(_seconds(latency), throttle, _rng(seed))
    polled = profile.polls(chosen) is not None
    listening = (
        ProviderServer(port or source.port, profile, chosen, faults) if polled else nullcontext()
    )
    with listening as server:
        base, url = (server.base, server.url) if server else (None, "")
        made = make_jobs.make_jobs(
            profile, chosen, ids, end=ending, seconds=seconds, url=base or ""
        )
        pushes = plan_pushes(made, Faults(duplicates, lose, reorder), _rng(seed))
        run, sender = Run(made), None
        if hook:
            sender = PushSender(hook, source.secret(secret, os.environ), run, pushes.pushes)
            sender.check_signing()
        table = output.source_table(profile, chosen, base or "", url)
        if json:
            output.setup_document(made, seed, table, base)
        else:
            output.setup(made, seed, table, source, base, pushed=hook is not None)
        if hook and source.holds:
            output.awaiting_registration()
        confirms = hook is not None and polled and source.confirms
        lost = [made[index].id for index in pushes.ends_lost] if hook and polled else []
        keep = keep_answering(linger, confirms=confirms, lost=lost)
        run_to_end(run, server, sender, keep)
    output.summary(run, pushes.lost if hook else 0, json=json)
    raise typer.Exit(exit_code(run))


def _rng(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - a simulation that can be repeated


def _seconds(latency: str) -> float:
    try:
        return parse_duration(latency)
    except ValueError as error:
        raise CommandError(f"--latency: {error}") from None
