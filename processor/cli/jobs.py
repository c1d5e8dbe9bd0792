"""`ringback jobs`, `watch`, `wait` and `history`: lists jobs, polls and waits for them, shows a history."""

from typing import Annotated, Any

import typer

from processor.cli import options, output
from processor.cli.client import Client, job_path
from processor.cli.exit_codes import CommandError, code_of_jobs
from processor.cli.follow import Name, follow, has_ended
from processor.cli.progress import progress_display

COLUMNS = ("source", "id", "state", "status", "progress")
MAX_HISTORY = 200  # entries; no more are kept
HISTORY_COLUMNS = ("at", "origin", "status", "state", "event", "times", "flags")


Source = Annotated[str | None, typer.Option(help="Only jobs of this source.")]
State = Annotated[str | None, typer.Option(help="Only jobs in this state.")]


def jobs(
    context: typer.Context,
    *,
    source: Source = None,
    state: State = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Only jobs with this metadata. May be repeated."),
    ] = None,
    group_id: Annotated[
        str | None, typer.Option("--group", help="Only the jobs of this group.")
    ] = None,
    limit: options.Limit = 50,
    cursor: options.Cursor = None,
    url: options.Url = options.DEFAULT_URL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """List jobs."""
    if context.invoked_subcommand is None:
        server = options.client(url=url, key=key, data=data)
        pairs = options.pairs("--metadata", metadata) or {}
        page = server.get(
            "/v1/jobs",
            source=source,
            state=state,
            metadata=[f"{name}:{value}" for name, value in pairs.items()],
            group=group_id,
            limit=limit,
            cursor=cursor,
        )
        output.page(page, COLUMNS, _row, json=json)


@options.server
def poll(
    job: Annotated[list[str] | None, typer.Argument(metavar="[SOURCE ID]", help="One job.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All unfinished jobs.")] = False,
    source: Source = None,
    state: State = None,
    server: Client,
    json: options.Json = False,
) -> None:
    """Poll one job now, or all unfinished jobs soon."""
    names = job or []
    if every is bool(names) or len(names) not in (0, 2) or (names and (source or state)):
        raise CommandError("name one job (SOURCE ID), or --all, perhaps with --source and --state")
    if names:
        answer = server.call("POST", job_path(*names, "poll"), {})
        output.result(answer, f"{' '.join(names)} is polled now", json=json)
    else:
        answer = server.call("POST", "/v1/jobs/poll", options.given(source=source, state=state))
        output.result(answer, f"{answer['asked']} jobs are polled", json=json)


def group() -> typer.Typer:
    """The group; without a command it lists the jobs."""
    app = typer.Typer(invoke_without_command=True)
    app.callback()(jobs)
    app.command("poll")(poll)
    return app


@options.server
def watch(
    source: options.SourceName,
    job_id: options.JobId,
    *,
    metadata: options.Pairs = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="The value of a {placeholder} in the poll request."
        ),
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(help="Expire the job after this long: 5m, 24h.")
    ] = None,
    timeout: options.Timeout = None,
    server: Client,
    json: options.Json = False,
) -> None:
    """Watch a job, and show its progress until it is finished."""
    body = options.given(
        metadata=options.pairs("--metadata", metadata),
        params=options.pairs("--param", param),
        deadline=deadline,
    )
    limit = options.seconds(timeout)
    server.call("PUT", job_path(source, job_id), body)
    until_done(server, [("job", f"{source}/{job_id}")], limit, json)


@options.server
def wait(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE ID... | SOURCE/ID...", help="The jobs."),
    ] = None,
    *,
    first: Annotated[bool, typer.Option("--any", help="Only until the first has ended.")] = False,
    group: Annotated[
        list[str] | None, typer.Option(help="A group to wait for. May be repeated.")
    ] = None,
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
    found = [*_jobs(names or []), *(("group", one) for one in group or [])]
    if not found:
        raise CommandError("name at least one job, as SOURCE ID or SOURCE/ID, or a --group")
    until_done(server, list(dict.fromkeys(found)), options.seconds(timeout), json, first=first)


def _jobs(words: list[str]) -> list[Name]:
    """The jobs that words name: SOURCE ID..., or SOURCE/ID... if there is a slash in the first."""
    if not words or "/" in words[0]:
        return options.job_names(words)
    source, *ids = words
    if not ids:
        raise CommandError(f"{source}: name a job, as SOURCE ID or SOURCE/ID")
    return [("job", f"{source}/{job_id}") for job_id in ids]


@options.server
def history(
    source: options.SourceName,
    job_id: options.JobId,
    *,
    server: Client,
    json: options.Json = False,
) -> None:
    """Show a job's transitions, ignored updates and failed polls with the reason, oldest first."""
    page = server.get(job_path(source, job_id, "history"), limit=MAX_HISTORY)
    show_history(page, json=json)


def show_history(page: dict[str, Any], *, json: bool) -> None:
    """Print a page of a job's history."""
    output.page(page, HISTORY_COLUMNS, _history_row, json=json)


def _history_row(entry: dict[str, Any]) -> tuple[object, ...]:
    """One entry; the state of progress, of an ignored update and of a failed poll does not change."""
    unchanged = entry["state"] == entry["was"]
    state = entry["state"] if unchanged else f"{entry['was']} > {entry['state']}"
    ignored, flags = entry.get("ignored"), entry.get("flags", ())
    event = entry.get("event") or (ignored and f"ignored: {ignored}")
    times = entry["count"] if entry["count"] > 1 else None
    return (entry["at"], entry["origin"], entry["status"], state, event, times, flags)


def _row(job: dict[str, Any]) -> tuple[object, ...]:
    progress = output.percent(job["progress"])
    return (job["source"], job["id"], job["state"], job["status"], progress)


def until_done(
    server: Client,
    names: list[Name],
    timeout: float | None,
    json: bool,  # noqa: FBT001 -- as the option
    *,
    first: bool = False,
) -> None:
    """Follow jobs and groups, print them, and end with their exit code."""
    with progress_display(silent=json) as show:
        found = follow(server, names, show, timeout, first=first)
    ended = [one for one in found.values() if has_ended(one)]
    done = bool(ended) if first else len(ended) == len(found)
    if json:
        jobs = [one for (kind, _), one in found.items() if kind == "job"]
        groups = [one for (kind, _), one in found.items() if kind == "group"]
        more = {"groups": groups} if groups else {}
        output.document({"done": done, "jobs": jobs, **more})
    if not done:
        output.notice("the time is up; the jobs are still watched")
    counted = ended if first and ended else found.values()
    raise typer.Exit(code_of_jobs(one["state"] for one in counted))
