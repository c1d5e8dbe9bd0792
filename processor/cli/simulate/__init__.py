"""`ringback simulate`: a provider's documented life, pushed and polled.

casting    which jobs are played: profile, kind, ids, lives
stage      when each job began, and what came of it: shared by all threads
routes     at which paths a job is asked about
provider   the simulated provider: answers polls on a loopback port
sender     its pushes: signed, sent, tried again
playing    the play: until every life is over
showing    what is printed: how to set Ringback up for it, and how it went

Pushes and answers hold the fields that a profile reads, at the places that it names; all else
of a real payload is absent. Ed25519 and Amazon SNS signatures cannot be imitated.
"""

import os
import secrets
from contextlib import nullcontext
from pathlib import Path
from random import Random
from typing import Annotated

import typer

from processor.cli import options
from processor.cli.exits import CommandError
from processor.cli.simulate import casting, showing
from processor.cli.simulate.playing import Pushing, check, play, verdict
from processor.cli.simulate.provider import Habits, Provider
from processor.cli.simulate.sender import Target
from processor.cli.simulate.stage import Stage
from processor.config.secret import Keeper
from processor.durations import duration
from processor.model import FINAL, State
from processor.simulation import Mishaps, plan

ENDS = "|".join(state for state in State if state in FINAL)


def simulate(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER", help="Which profile to play.")],
    *,
    to: Annotated[
        str | None, typer.Option("--to", metavar="URL", help="Push to this: …/hooks/NAME.")
    ] = None,
    secret: Annotated[
        str | None, typer.Option(help="Signs the pushes; env:NAME and file:PATH are read.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Of jobs, where there are several.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many.")] = 1,
    job_id: Annotated[
        str | None, typer.Option("--id", help="Of the job; of several, what their ids begin with.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="How long a job lives.")] = 10.0,
    end: Annotated[State, typer.Option(metavar=ENDS, help="How it ends.")] = State.SUCCEEDED,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where it can be polled; 0: any free one.")
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
        float, typer.Option(min=0.0, help="Seconds to answer polls after the end.")
    ] = 0.0,
    seed: Annotated[int | None, typer.Option(help="The same one plays the same again.")] = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Play a provider: push the lives of jobs to --to, and answer polls about them.

    Without --to a life begins when its job is first asked about, or with POST
    /submit: it stands in for the provider's own call, and begins the next one.
    All ends when every life is over (without --to: and its end was asked for),
    or on Ctrl-C: with 1 if a push was refused, with 5 if nobody took one.

    Pushes and answers hold what the profile reads, at the places that it names,
    in its words; everything else of a real payload is absent. Where a state has
    several words the first comes, which the provider may use otherwise. Pushes
    signed with Ed25519 or by Amazon SNS cannot be imitated: only the provider
    has the key.
    """
    profile = casting.profile_of(provider, options.config_file(config))
    played = casting.kind_of(profile, kind, pushed=to is not None)
    target = Target(to) if to else None
    seed = secrets.randbits(32) if seed is None else seed
    ids = casting.ids_of(job_id, jobs, _rng(seed))
    habits = Habits(_seconds(latency), throttle, _rng(seed))
    polled = profile.polls(played) is not None
    with Provider(port, profile, played, habits) if polled else nullcontext() as server:
        base, url = (server.base, server.url) if server else (None, "")
        cast = casting.cast(profile, played, ids, end=end, seconds=seconds, url=base or "")
        pushes = plan(cast, Mishaps(duplicates, lose, reorder), _rng(seed))
        key = Keeper(os.environ, Path()).of(secret) or ""
        pushing = Pushing(target, key, pushes) if target else None
        check(cast, pushing)
        stage = Stage(cast)
        table = showing.source(profile, played, base or "", url)
        if target and linger == 0:
            showing.confirmation(profile, played)
        showing.opening(cast, seed, table, base, pushed=target is not None, json=json)
        play(stage, server, pushing, linger)
    showing.summary(stage, pushes.lost if target else 0, json=json)
    raise typer.Exit(verdict(stage))


def _rng(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - a play, which can be repeated


def _seconds(latency: str) -> float:
    try:
        return duration(latency)
    except ValueError as error:
        raise CommandError(f"--latency: {error}") from None
