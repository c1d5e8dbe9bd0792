"""Groups of commands that import a command's module only when that command is called.

The help of a group needs no module either: the table of its commands has their first lines. Most
modules import the whole of Ringback, which takes ten times as long as to ask a server something.
"""

import sys
from collections.abc import Callable, Mapping
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


Function = Callable[..., None]
Commands = Mapping[str, Command | Function]
"""Commands by name, in the order of the help."""


class LazyGroup(TyperGroup):
    """A group whose commands are built, and imported, when they are called.

    It accepts its commands' shared options also before the command.
    """

    lazy: ClassVar[Commands] = {}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move shared options after the command."""
        return super().parse_args(ctx, move_shared_options(args))

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as in TyperGroup
        """The commands, in the order of the help."""
        return list(self.lazy)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - as in TyperGroup
        """The command of this name, built now."""
        found = self.lazy.get(cmd_name)
        return load(cmd_name, found) if found else None

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Complete the name of a command without importing any."""
        found = [
            CompletionItem(name, help=first_line(command))
            for name, command in self.lazy.items()
            if name.startswith(incomplete)
        ]
        return found or super().shell_complete(ctx, incomplete)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - as in TyperGroup
        """Write the first line of each command's help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, first_line(one)) for name, one in self.lazy.items()])


def first_line(command: Command | Function) -> str:
    """The first line of a command's help."""
    if isinstance(command, Command):
        return command.help
    return (command.__doc__ or "").partition("\n")[0]


def lazy_group(commands: Commands) -> type[LazyGroup]:
    """The class of a group with these commands."""
    return type("CommandsOfGroup", (LazyGroup,), {"lazy": commands})


def command_group(
    commands: Commands, *, alone: Function | None = None, about: str | None = None
) -> typer.Typer:
    """A group of these commands, whose help begins with `about`.

    Without a command it does `alone`, whose docstring is then the help, or shows its help.
    """
    kind = lazy_group(commands)
    if alone is None:
        return typer.Typer(cls=kind, help=about, no_args_is_help=True)
    app = typer.Typer(cls=kind, invoke_without_command=True)
    app.callback()(alone)
    return app


def load(name: str, command: Command | Function) -> Any:
    """Build a command, and import it if need be."""
    app = typer.Typer(**PLAIN)
    if not isinstance(command, Command):
        app.command(name)(command)
    else:
        made = getattr(import_module(f"processor.cli.{command.module}"), command.function)
        if "structlog" in sys.modules:  # something that it imported may log
            import_module("processor.cli.logs").configure()
        if command.group:
            app.add_typer(group := made(), name=name, cls=group.info.cls)
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
