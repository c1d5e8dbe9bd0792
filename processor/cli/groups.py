"""`ringback group …`: creates, shows, closes and removes groups of jobs, and waits for them."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from processor.cli import options, output
from processor.cli.client import Client, path
from processor.cli.exit_codes import CommandError
from processor.cli.lazy_group import command_group
from processor.cli.watch import until_done
from processor.text_input import decode_text

COUNTS = ("total", "pending", "succeeded", "failed", "canceled", "expired")
COLUMNS = ("id", "state", "policy", "open", *COUNTS)

Jobs = Annotated[
    list[str] | None, typer.Argument(metavar="SOURCE/ID...", help="The jobs of the group.")
]
From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="FILE", help="Read more jobs from a file, one a line; - is stdin."
    ),
]
Id = Annotated[str, typer.Argument(metavar="GROUP", help="The id of the group.")]


@options.server
def create(
    jobs: Jobs = None,
    *,
    file: From = None,
    group_id: Annotated[
        str | None,
        typer.Option("--id", help="The id of the group: the same command may then be repeated."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="all (default), or fail_fast: end at the first job that does not succeed."
        ),
    ] = None,
    is_open: Annotated[
        bool, typer.Option("--open", help="Take more jobs, until `ringback group close`.")
    ] = False,
    metadata: options.Metadata = None,
    deadline: Annotated[
        str | None, typer.Option(help="Expire the group after this long: 5m, 24h.")
    ] = None,
    callback_url: Annotated[
        str | None, typer.Option(help="Where to send the event that ends the group.")
    ] = None,
    callback_secret: options.CallbackSecret = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the group has ended.")] = False,
    timeout: options.Timeout = None,
    server: Client,
    json: options.Json = False,
) -> None:
    """Create a group, and watch its jobs.

    Examples: `ringback group create encoder/1 encoder/2 --callback-url https://app.example/done`,
    `ringback group create --from jobs.txt --policy fail_fast --id batch-7 --wait`.
    """
    body = options.given(
        id=group_id,
        jobs=_named(jobs, file),
        policy=policy,
        open=is_open or None,
        metadata=options.typed_pairs("--metadata", metadata),
        deadline=deadline,
        callback_url=callback_url,
        callback_secret=callback_secret,
    )
    limit = options.seconds(timeout)
    made = server.call("POST", path("v1", "groups"), body)
    if wait:
        until_done(server, [("group", made["id"])], limit, json)
    _show(made, json=json)


@options.server
def show(group_id: Id, *, server: Client, json: options.Json = False) -> None:
    """Show a group. `ringback jobs --group` lists its jobs.

    Example: `ringback group show batch-7`.
    """
    _show(server.get(path("v1", "groups", group_id)), json=json)


@options.server
def add(
    group_id: Id,
    jobs: Jobs = None,
    *,
    file: From = None,
    server: Client,
    json: options.Json = False,
) -> None:
    """Watch more jobs in an open group.

    Examples: `ringback group add batch-7 encoder/3`, `ringback group add batch-7 --from more.txt`.
    """
    names = _named(jobs, file)
    if not names:
        raise CommandError("name at least one job, as SOURCE/ID")
    jobs_of = path("v1", "groups", group_id, "jobs")
    groups = [server.call("PUT", jobs_of + path(*name.split("/", 1)), {}) for name in names]
    _show(groups[-1], json=json)


@options.server
def close(group_id: Id, *, server: Client, json: options.Json = False) -> None:
    """Take no more jobs: the group ends with those that it has.

    Example: `ringback group close batch-7`.
    """
    _show(server.call("POST", path("v1", "groups", group_id, "close")), json=json)


@options.server
def wait(
    group_id: Id,
    *,
    timeout: options.Timeout = None,
    server: Client,
    json: options.Json = False,
) -> None:
    """Wait until a group has ended.

    Ends with 0 if it succeeded, 1 if a part of it failed, 3 if it expired, 4 if the time was up.

    Example: `ringback group wait batch-7 --timeout 10m`.
    """
    until_done(server, [("group", group_id)], options.seconds(timeout), json)


@options.server
def remove(group_id: Id, *, server: Client, json: options.Json = False) -> None:
    """Forget a group. Its jobs stay, and nobody is called back.

    Example: `ringback group rm batch-7`.
    """
    server.call("DELETE", path("v1", "groups", group_id))
    output.result({"id": group_id}, f"removed {group_id}", json=json)


def group() -> typer.Typer:
    """The group of these commands."""
    commands = {
        "create": create,
        "show": show,
        "add": add,
        "close": close,
        "wait": wait,
        "rm": remove,
    }
    text = "Many jobs and one callback: create groups of jobs, and wait for them."
    return command_group(commands, about=text)


def _named(jobs: list[str] | None, file: str | None) -> list[str]:
    """The jobs of the command line and of a file."""
    words = [name for _, name in options.job_names(jobs or [])]
    return words if file is None else [*words, *_lines(file)]


def _lines(file: str) -> list[str]:
    """The jobs of a file, one a line; empty lines are skipped."""
    try:
        lines = [line.strip() for line in _text(file).splitlines()]
    except OSError as error:
        raise CommandError(f"--from {file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"--from {file}: is not UTF-8; save it as UTF-8") from None
    for number, line in enumerate(lines, 1):
        options.job_names([line] if line else [], f"--from {file}, line {number}: ")
    return [line for line in lines if line]


def _text(file: str) -> str:
    return sys.stdin.read() if file == "-" else decode_text(Path(file).read_bytes())


def _show(group: dict[str, Any], *, json: bool) -> None:
    if json:
        output.document(group)
    else:
        counts = [group["counts"][name] for name in COUNTS]
        is_open = "yes" if group["open"] else "no"
        output.table(COLUMNS, [[group["id"], group["state"], group["policy"], is_open, *counts]])
