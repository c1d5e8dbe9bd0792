"""The list of commands."""

from typing import Annotated

import typer

from processor.cli import output
from processor.cli.conversion import convert_without_pydantic
from processor.cli.lazy_group import PLAIN, Command, lazy_group

COMMANDS = {
    "up": Command(
        "Run everything: web, workers, clock and, without REDIS_URL, an embedded Redis.", "up", "up"
    ),
    "web": Command("Run one receiver, against REDIS_URL.", "processes", "web"),
    "worker": Command("Run one worker, against REDIS_URL.", "processes", "worker"),
    "clock": Command("Run the clock, against REDIS_URL.", "processes", "clock"),
    "demo": Command("Run jobs of simulated providers, and check every callback.", "demo", "demo"),
    "simulate": Command(
        "Simulate a provider: push about jobs to --to, and answer polls about them.",
        "simulate",
        "simulate",
    ),
    "watch": Command("Watch jobs, and show their progress until all have ended.", "watch", "watch"),
    "wait": Command(
        "Wait until all of these jobs and groups have ended, or the first one.", "watch", "wait"
    ),
    "history": Command(
        "Show a job's transitions, ignored updates and failed polls with the reason, oldest first.",
        "jobs",
        "history",
    ),
    "group": Command(
        "Many jobs and one callback: create groups of jobs, and wait for them.",
        "groups",
        "group",
        group=True,
    ),
    "events": Command(
        "Print the newest events; with --follow new ones, or those after --after.",
        "events",
        "events",
    ),
    "listen": Command(
        "Post a server's events to a program on this machine, signed as for a subscriber.",
        "listen",
        "listen",
    ),
    "mcp": Command(
        "Serve an agent over standard input and output (MCP), as /mcp of the server does.",
        "mcp",
        "mcp",
    ),
    "jobs": Command("List, show, poll and forget jobs.", "jobs", "group", group=True),
    "subscriptions": Command(
        "Manage subscriptions: the URLs that receive events.", "subscriptions", "group", group=True
    ),
    "deliveries": Command("List and retry deliveries.", "deliveries", "group", group=True),
    "sources": Command(
        "List the server's sources, where their providers must push to, and how long their jobs took.",
        "sources",
        "group",
        group=True,
    ),
    "providers": Command(
        "List the providers that a source may name: built-in ones and those of your folder.",
        "providers",
        "group",
        group=True,
    ),
    "secrets": Command(
        "Encrypt the secrets of subscriptions in Redis.", "secrets", "group", group=True
    ),
    "config": Command(
        "Print the effective configuration: file, environment and defaults, with secrets redacted.",
        "config",
        "config",
    ),
    "doctor": Command(
        "Check the configuration, Redis, its secrets and the running server.", "doctor", "doctor"
    ),
    "completion": Command(
        "Print a script that has a shell complete commands and options.",
        "completion",
        "completion",
    ),
    "inspect": Command(
        "Verify a captured push step by step and read it, as the receiver would; prints JSON.",
        "inspect",
        "inspect",
    ),
}
"""The commands in the order of the help."""


def build() -> typer.Typer:
    """The command line."""
    convert_without_pydantic()
    names = {"help_option_names": ["--help", "-h"]}  # of all commands
    app = typer.Typer(
        cls=lazy_group(COMMANDS), no_args_is_help=True, context_settings=names, **PLAIN
    )
    app.callback()(ringback)
    return app


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        output.line(f"ringback {_version()}")
        raise typer.Exit


def _version() -> str:
    from importlib import metadata  # noqa: PLC0415 -- slow to import

    try:
        return metadata.version("ringback")
    except metadata.PackageNotFoundError:
        return "(a checkout that is not installed)"


def ringback(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version."),
    ] = False,
) -> None:
    """Ringback calls you back when the job is done.

    `ringback COMMAND --help` has examples. Exit codes: 0 good, 1 a job failed or was canceled, 2 wrong
    usage or configuration, 3 a job expired, 4 the time was up, 5 the server cannot be reached.
    """
