"""`ringback jobs`, `watch`, `wait` and `history`: what runs, is it done, and what happened?"""

from typing import Annotated, Any

import typer

from processor.cli import options, output
from processor.cli.client import Client, path
from processor.cli.exit_codes import OF_STATE, Exit, of_jobs
from processor.cli.follow import Name, follow
from processor.cli.progress import board

COLUMNS = ("source", "id", "state", "status", "progress")
MAX_HISTORY = 200  # entries; no more are kept
HISTORY_COLUMNS = ("at", "origin", "status", "state", "event", "times", "flags")


def jobs(
    *,
    source: Annotated[str | None, typer.Option(help="Only of this source.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where a list ended.")] = None,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """List the jobs that the server knows."""
    server = options.client(url, key, data)
    page = server.get("/v1/jobs", source=source, state=state, limit=limit, cursor=cursor)
    output.page(page, COLUMNS, _row, json=json)


def watch(
    source: options.SourceName,
    job_id: options.JobId,
    *,
    metadata: options.Pairs = None,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Fills a {placeholder} of the poll request."),
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(help="Expire it after this long: 5m, 24h.")
    ] = None,
    timeout: options.Timeout = None,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Watch a job from now on, and show its progress until it is finished."""
    server = options.client(url, key, data)
    wishes = {
        "metadata": options.pairs("--metadata", metadata),
        "params": options.pairs("--param", param),
        "deadline": deadline,
    }
    body = {name: wish for name, wish in wishes.items() if wish is not None}
    limit = options.seconds(timeout)
    server.call("PUT", path("v1", "jobs", source, job_id), body)
    _until_done(server, [(source, job_id)], limit, json=json)


def wait(
    source: options.SourceName,
    job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The jobs' ids.")],
    *,
    timeout: options.Timeout = None,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Wait until all of these jobs are finished.

    Ends with 0 when all succeeded, 1 when one failed or was canceled, 3 when one expired, 4 when
    the time was up, 5 when the server cannot be reached; of several the worst: failed, expired,
    timeout.
    """
    server = options.client(url, key, data)
    names = [(source, job_id) for job_id in dict.fromkeys(job_ids)]
    _until_done(server, names, options.seconds(timeout), json=json)


def history(
    source: options.SourceName,
    job_id: options.JobId,
    *,
    url: options.Url = options.LOCAL,
    key: options.Key = None,
    data: options.Data = options.DEFAULT_DATA,
    json: options.Json = False,
) -> None:
    """Show what happened to a job, oldest first: its moves, and what changed nothing, and why."""
    page = options.client(url, key, data).get(
        path("v1", "jobs", source, job_id, "history"), limit=MAX_HISTORY
    )
    show_history(page, json=json)


def show_history(page: dict[str, Any], *, json: bool) -> None:
    """Print a page of a job's history."""
    output.page(page, HISTORY_COLUMNS, _history_row, json=json)


def _history_row(entry: dict[str, Any]) -> tuple[object, ...]:
    """One entry; the state of progress and of an ignored update does not change."""
    unchanged = entry["state"] == entry["was"]
    state = entry["state"] if unchanged else f"{entry['was']} > {entry['state']}"
    ignored, flags = entry.get("ignored"), entry.get("flags", ())
    event = f"ignored: {ignored}" if ignored else entry.get("event")
    times = entry["count"] if entry["count"] > 1 else None
    return (entry["at"], entry["origin"], entry["status"], state, event, times, flags)


def _row(job: dict[str, Any]) -> tuple[object, ...]:
    progress = output.percent(job["progress"])
    return (job["source"], job["id"], job["state"], job["status"], progress)


def _until_done(server: Client, names: list[Name], timeout: float | None, *, json: bool) -> None:
    with board(silent=json) as shown:
        found = follow(server, names, shown, timeout)
    states = [job["state"] for job in found]
    if json:
        done = all(state in OF_STATE for state in states)
        output.document({"done": done, "jobs": found})
    code = of_jobs(states)
    if code is Exit.TIMEOUT:
        output.say("time is up; the jobs are still being watched")
    raise typer.Exit(code)
