"""`ringback simulate`: a provider's documented life, pushed and polled.

target           who is simulated: a provider, or a configured source
make_jobs        which jobs are simulated: kinds, ids, timelines
progress         when each job began and how it went, shared by all threads
poll_routes      the paths at which a job is polled
provider_server  the simulated provider: answers polls on a loopback port
push_sender      its pushes: signed, sent, retried
run              the simulation, until every job is over
output           what is printed: how to configure Ringback for it, and how it went

Pushes and responses hold the fields that a profile reads, at the places that it names; everything
else of a real payload is absent. Ed25519 and Amazon SNS signatures cannot be imitated.
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
from processor.cli.simulate.progress import Stage
from processor.cli.simulate.provider_server import Habits, Provider
from processor.cli.simulate.push_sender import Target
from processor.cli.simulate.run import Pushing, check, linger_of, play, verdict
from processor.cli.simulate.target import role_of
from processor.durations import duration
from processor.simulation import Mishaps, plan

ENDS = "|".join(make_jobs.ENDS)


def simulate(
    provider: Annotated[
        str,
        typer.Argument(
            metavar="PROVIDER|SOURCE", help="Which profile, or which source of ringback.toml."
        ),
    ],
    *,
    to: Annotated[
        str | None, typer.Option("--to", metavar="URL", help="Push to this: …/hooks/NAME.")
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(help="Signs the pushes; env:NAME and file:PATH are read. Else the source's."),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Of jobs, where there are several.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many.")] = 1,
    job_id: Annotated[
        str | None, typer.Option("--id", help="Of the job; of several, what their ids begin with.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="How long a job lives.")] = 10.0,
    end: Annotated[str, typer.Option(metavar=ENDS, help="How it ends.")] = "succeeded",
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, help="Where it can be polled; 0: where the source asks, or any."
        ),
    ] = 0,
    latency: Annotated[str, typer.Option(help="Before each answer: 50ms, 1.5s.")] = "0s",
    throttle: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="The share of polls answered 429.")
    ] = 0.0,
    duplicates: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="The share of pushes that come twice.")
    ] = 0.0,
    reorder: Annotated[bool, typer.Option("--reorder", help="Shuffle each job's pushes.")] = False,
    lose: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="The share of pushes that never come.")
    ] = 0.0,
    linger: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Seconds to answer polls after the end; else until an end that must be "
            "confirmed was asked for, 60 at most.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same one plays the same again.")] = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Play a provider: push the lives of jobs to --to, and answer polls about them.

    Without --to a life begins when its job is first asked about, or with POST
    /submit: it stands in for the provider's own call, and begins the next one.
    A source of ringback.toml is played with its provider, its webhook_secret
    and at its base_url's port; what it lacks to be polled here is printed.
    All ends when every life is over (without --to: and its end was asked for),
    or on Ctrl-C: with 1 if a push was refused, with 5 if nobody took one.

    Pushes and answers hold what the profile reads, at the places that it names,
    in its words; everything else of a real payload is absent. Where a state has
    several words the first comes, which the provider may use otherwise. Pushes
    signed with Ed25519 or by Amazon SNS cannot be imitated: only the provider
    has the key.
    """
    role = role_of(provider, options.config_file(config))
    profile, ending = role.profile, make_jobs.end_of(end)
    played = make_jobs.kind_of(profile, kind, pushed=to is not None)
    target = Target(to) if to else None
    seed = secrets.randbits(32) if seed is None else seed
    ids = make_jobs.ids_of(job_id, jobs, _rng(seed))
    habits = Habits(_seconds(latency), throttle, _rng(seed))
    polled = profile.polls(played) is not None
    with (
        Provider(port or role.port, profile, played, habits) if polled else nullcontext() as server
    ):
        base, url = (server.base, server.url) if server else (None, "")
        cast = make_jobs.cast(profile, played, ids, end=ending, seconds=seconds, url=base or "")
        pushes = plan(cast, Mishaps(duplicates, lose, reorder), _rng(seed))
        pushing = Pushing(target, role.secret(secret, os.environ), pushes) if target else None
        check(cast, pushing)
        stage = Stage(cast)
        table = output.source(profile, played, base or "", url)
        if json:
            output.document(cast, seed, table, base)
        else:
            output.opening(cast, seed, table, role, base, pushed=target is not None)
        confirms = target is not None and polled and role.confirms
        play(stage, server, pushing, linger_of(linger, confirms=confirms))
    output.summary(stage, pushes.lost if target else 0, json=json)
    raise typer.Exit(verdict(stage))


def _rng(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - a play, which can be repeated


def _seconds(latency: str) -> float:
    try:
        return duration(latency)
    except ValueError as error:
        raise CommandError(f"--latency: {error}") from None
