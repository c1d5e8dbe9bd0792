"""The list of commands."""

from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from processor.cli import (
    config,
    deliveries,
    demo,
    doctor,
    events,
    inspect,
    jobs,
    output,
    processes,
    providers,
    secrets,
    simulate,
    sources,
    subscriptions,
    up,
)

SHARED_OPTIONS = {
    "--json": False,
    "--url": True,
    "--key": True,
    "--data": True,
}  # option → does it take a value?


class CommandGroup(TyperGroup):
    """A group that accepts its commands' shared options also before the command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move shared options after the command."""
        return super().parse_args(ctx, move_shared_options(args))


def move_shared_options(args: list[str]) -> list[str]:
    """Move leading shared options, with their values, after the name of the command, if one follows."""
    rest, moved = list(args), list[str]()
    while rest and (name := rest[0].partition("=")[0]) in SHARED_OPTIONS:
        takes = 2 if SHARED_OPTIONS[name] and "=" not in rest[0] else 1
        moved, rest = moved + rest[:takes], rest[takes:]
    if rest and rest[0].startswith("-"):
        return args
    return [*rest[:1], *moved, *rest[1:]]


def build() -> typer.Typer:
    """The command line, in the order of its help."""
    app = typer.Typer(
        cls=CommandGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
    app.callback()(ringback)
    app.command()(up.up)
    app.command()(processes.web)
    app.command()(processes.worker)
    app.command()(processes.clock)
    app.command()(demo.demo)
    app.command()(simulate.simulate)
    app.command()(jobs.watch)
    app.command()(jobs.wait)
    app.command()(jobs.history)
    app.command()(events.events)
    app.add_typer(jobs.group(), name="jobs", cls=CommandGroup)
    app.add_typer(subscriptions.group(), name="subscriptions", cls=CommandGroup)
    app.add_typer(deliveries.group(), name="deliveries", cls=CommandGroup)
    app.add_typer(sources.group(), name="sources", cls=CommandGroup)
    app.add_typer(providers.group(), name="providers", cls=CommandGroup)
    app.add_typer(secrets.group(), name="secrets", cls=CommandGroup)
    app.command()(config.config)
    app.command()(doctor.doctor)
    app.command()(inspect.inspect)
    return app


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        output.line(f"ringback {_version()}")
        raise typer.Exit


def _version() -> str:
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
    """Ringback calls you back when the job is done."""
