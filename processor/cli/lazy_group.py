"""Groups of commands that import a command's module only when that command is called.

The help of a group needs no module either: the table of its commands has their first lines. Most
modules import the whole of Ringback, which takes ten times as long as to ask a server something.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import typer
from typer.core import CompletionItem, TyperGroup  # type: ignore[attr-defined] # not in its list
from typer.main import get_group

SHARED_OPTIONS = {
    "--json": False,
    "--url": True,
    "--key": True,
    "--data": True,
}  # option → does it take a value?

PLAIN: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,  # rich takes longer to import than most commands to run
}


class Command(NamedTuple):
    """Where a command is: a function of a module in processor/cli, or (`group`) one that makes a group."""

    help: str  # the first line of its docstring
    module: str
    function: str
    group: bool = False


class CommandGroup(TyperGroup):
    """A group that accepts its commands' shared options also before the command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move shared options after the command."""
        return super().parse_args(ctx, move_shared_options(args))


class LazyGroup(CommandGroup):
    """A group with some commands that are imported when they are called."""

    lazy: ClassVar[Mapping[str, Command]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands, in the order of the help."""
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name, imported now."""
        found = self.lazy.get(cmd_name)
        return load(cmd_name, found) if found else super().get_command(ctx, cmd_name)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Complete the name of a command without importing any."""
        lazy = [
            CompletionItem(name, help=command.help)
            for name, command in self.lazy.items()
            if name.startswith(incomplete)
        ]
        return lazy or super().shell_complete(ctx, incomplete)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the first line of each command's help."""
        eager = {name: self.get_command(ctx, name) for name in super().list_commands(ctx)}
        rows = [(name, command.help) for name, command in self.lazy.items()]
        rows += [(name, command.get_short_help_str(80)) for name, command in eager.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def lazy_group(commands: Mapping[str, Command]) -> type[LazyGroup]:
    """The class of a group with these commands."""
    return type("CommandsOfGroup", (LazyGroup,), {"lazy": commands})


def load(name: str, command: Command) -> Any:
    """Import a command."""
    made = getattr(import_module(f"processor.cli.{command.module}"), command.function)
    if "structlog" in sys.modules:  # something that it imported may log
        import_module("processor.cli.logs").configure()
    app = typer.Typer(**PLAIN)
    if command.group:
        group = made()
        kind = group.info.cls if isinstance(group.info.cls, type) else CommandGroup
        app.add_typer(group, name=name, cls=kind)
    else:
        app.command(name)(made)
    return get_group(app).commands[name]


def move_shared_options(args: list[str]) -> list[str]:
    """Move leading shared options, with their values, after the name of the command, if one follows."""
    rest, moved = list(args), list[str]()
    while rest and (name := rest[0].partition("=")[0]) in SHARED_OPTIONS:
        takes = 2 if SHARED_OPTIONS[name] and "=" not in rest[0] else 1
        moved, rest = moved + rest[:takes], rest[takes:]
    if rest and rest[0].startswith("-"):
        return args
    return [*rest[:1], *moved, *rest[1:]]
