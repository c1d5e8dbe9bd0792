"""`ringback watch` and `wait`: watches jobs, and waits until jobs and groups have ended."""

import math
from typing import Annotated

import typer

from processor.cli import jobs, options, output
from processor.cli.client import Client, job_path
from processor.cli.exit_codes import CommandError, code_of_jobs
from processor.cli.follow import Name, answer_within, follow, has_ended
from processor.cli.progress import describe, progress_display

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print each job once, when the waiting is over.")
]


@options.server
def watch(
    names: options.JobNames = None,
    *,
    metadata: options.Metadata = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="The value of a {placeholder} in the poll request. May be repeated.",
        ),
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(help="Expire a job after this long: 5m, 24h.")
    ] = None,
    callback_url: Annotated[
        str | None, typer.Option(help="Where to send the event that ends a job.")
    ] = None,
    callback_secret: options.CallbackSecret = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Return at once: the jobs are watched.")
    ] = False,
    quiet: Quiet = False,
    timeout: options.Timeout = None,
    server: Client,
    json: options.Json = False,
) -> None:
    """Watch jobs, and show their progress until all have ended.

    Ends as `ringback wait` does. With --no-wait it ends with 0 once they are watched.

    Examples: `ringback watch wistia 197424`, `ringback watch encoder 1 2 3 --timeout 10m`,
    `ringback watch encoder/1 --no-wait --metadata order=42 --callback-url https://app.example/done`.
    """
    named, limit = options.jobs(names), options.seconds(timeout)
    if not named:
        raise CommandError("name at least one job, as SOURCE ID or SOURCE/ID")
    body = options.given(
        metadata=options.typed_pairs("--metadata", metadata),
        params=options.pairs("--param", param),
        deadline=deadline,
        callback_url=callback_url,
        callback_secret=callback_secret,
    )
    patient = answer_within(server, math.inf if limit is None else limit)
    watched = [patient.call("PUT", job_path(*name.split("/", 1)), body) for _, name in named]
    if not no_wait:
        until_done(server, list(dict.fromkeys(named)), limit, json, quiet=quiet)
    elif json:
        output.document({"done": all(map(has_ended, watched)), "jobs": watched})
    else:
        output.table(jobs.COLUMNS, map(jobs.row, watched))


@options.server
def wait(
    names: options.JobNames = None,
    *,
    first: Annotated[bool, typer.Option("--any", help="Only until the first has ended.")] = False,
    group: Annotated[
        list[str] | None, typer.Option(help="A group to wait for. May be repeated.")
    ] = None,
    quiet: Quiet = False,
    timeout: options.Timeout = None,
    server: Client,
    json: options.Json = False,
) -> None:
    """Wait until all of these jobs and groups have ended, or the first one.

    Ends with 0 if all succeeded, 1 if one failed or was canceled (or a part of a group), 3 if one
    expired, 4 if the time was up, 5 if the server cannot be reached; with several of these, the
    worst: failed, expired, timeout. With --any, only those that have ended count.

    Examples: `ringback wait encoder 1 2 3`, `ringback wait encoder/1 wistia/abc --any`,
    `ringback wait --group batch-7 --timeout 10m`.
    """
    found = [*options.jobs(names), *(("group", one) for one in group or [])]
    if not found:
        raise CommandError("name at least one job, as SOURCE ID or SOURCE/ID, or a --group")
    limit = options.seconds(timeout)
    until_done(server, list(dict.fromkeys(found)), limit, json, first=first, quiet=quiet)


def until_done(
    server: Client,
    names: list[Name],
    timeout: float | None,
    json: bool,  # noqa: FBT001 -- as the option
    *,
    first: bool = False,
    quiet: bool = False,
) -> None:
    """Follow jobs and groups, print them, and end with their exit code."""
    with progress_display(silent=json or quiet) as show:
        found = follow(server, names, show, timeout, first=first)
    ended = [one for one in found.values() if has_ended(one)]
    done = bool(ended) if first else len(ended) == len(found)
    if json:
        watched = [one for (kind, _), one in found.items() if kind == "job"]
        groups = [one for (kind, _), one in found.items() if kind == "group"]
        more = {"groups": groups} if groups else {}
        output.document({"done": done, "jobs": watched, **more})
    elif quiet:
        shown = [
            (n if kind == "job" else f"group {n}", describe(found[kind, n])) for kind, n in found
        ]
        width = max(len(name) for name, _ in shown)
        for name, text in shown:
            output.line(f"{name.ljust(width)}  {text}")
    if not done:
        output.notice("the time is up; what has not ended is still watched")
    counted = ended if first and ended else found.values()
    raise typer.Exit(code_of_jobs(one["state"] for one in counted))
