"""`ringback jobs` and `history`: lists and shows jobs, polls them, stops watching them."""

from typing import Annotated, Any

import typer

from processor.cli import options, output
from processor.cli.client import Client, NotFoundError, job_path
from processor.cli.exit_codes import CommandError
from processor.cli.lazy_group import command_group

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
    """List, show, poll and forget jobs.

    Without a command it lists them.

    Examples: `ringback jobs --source wistia --state running`, `ringback jobs --metadata order=42`.
    """
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
        output.page(page, COLUMNS, row, json=json)


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
    """Poll one job now, or all unfinished jobs soon.

    Examples: `ringback jobs poll wistia 197424`, `ringback jobs poll --all --source wistia`.
    """
    names = job or []
    if every is bool(names) or len(names) not in (0, 2) or (names and (source or state)):
        raise CommandError("name one job (SOURCE ID), or --all, perhaps with --source and --state")
    if names:
        answer = server.call("POST", job_path(*names, "poll"), {})
        output.result(answer, f"{' '.join(names)} is polled now", json=json)
    else:
        answer = server.call("POST", "/v1/jobs/poll", options.given(source=source, state=state))
        output.result(answer, f"{answer['asked']} jobs are polled", json=json)


@options.server
def show(
    source: options.SourceName,
    job_id: options.JobId,
    *,
    server: Client,
    json: options.Json = False,
) -> None:
    """Show a job with everything that is known of it, and where it calls back.

    Example: `ringback jobs show wistia 197424`.
    """
    job = server.get(job_path(source, job_id))
    callbacks = server.get(job_path(source, job_id, "callbacks"))["items"]
    shown = {**job, "callbacks": callbacks}
    if json:
        output.document(shown)
    else:
        poll = job.get("poll") or {}
        polled = ", ".join(f"{name} {one}" for name, one in poll.items() if one)
        where = [f"{one['url']} ({one['id']})" for one in callbacks]
        output.fields(shown | {"poll": polled or None, "callbacks": where})


@options.server
def remove(
    names: options.JobNames = None,
    *,
    callback: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only take back this callback (cb_…), as `show` names it."),
    ] = None,
    server: Client,
    json: options.Json = False,
) -> None:
    """Stop watching jobs: nobody is called back, and late pushes about them are ignored.

    Jobs that are not found are named at the end, with exit code 2; the others are removed.

    Examples: `ringback jobs rm encoder 1 2`, `ringback jobs rm encoder/1 --callback cb_1`.
    """
    named = [name for _, name in options.jobs(names)]
    if not named:
        raise CommandError("name at least one job, as SOURCE ID or SOURCE/ID")
    more = ("callbacks", callback) if callback else ()
    removed: list[str] = []
    missing: list[str] = []
    try:
        for name in named:
            try:
                server.call("DELETE", job_path(*name.split("/", 1), *more))
                removed.append(name)
            except NotFoundError as error:
                missing.append(str(error))
    finally:  # also after an error of a later one
        what = f"{callback} of" if callback else "job"
        if removed:
            done = {"jobs": removed, "removed": callback or True}
            output.result(done, *(f"removed {what} {name}" for name in removed), json=json)
    if missing:
        raise CommandError("; ".join(missing))


def group() -> typer.Typer:
    """The group; without a command it lists the jobs."""
    return command_group({"show": show, "poll": poll, "rm": remove}, alone=jobs)


@options.server
def history(
    source: options.SourceName,
    job_id: options.JobId,
    *,
    server: Client,
    json: options.Json = False,
) -> None:
    """Show a job's transitions, ignored updates and failed polls with the reason, oldest first.

    Example: `ringback history wistia 197424`.
    """
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


def row(job: dict[str, Any]) -> tuple[object, ...]:
    """The columns of a job."""
    progress = output.percent(job["progress"])
    return (job["source"], job["id"], job["state"], job["status"], progress)
