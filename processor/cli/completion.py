"""`ringback completion`: prints what makes a shell complete commands and options."""

import os
from typing import Annotated, Literal

import typer

from processor.cli import output

VARIABLE = "_RINGBACK_COMPLETE"  # set by the shell's script while it asks us


def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish"], typer.Argument(metavar="bash | zsh | fish", help="Which.")
    ],
) -> None:
    """Print a script that has a shell complete commands and options.

    Examples: `eval "$(ringback completion bash)"` in ~/.bashrc, the same with zsh in ~/.zshrc
    after compinit, `ringback completion fish > ~/.config/fish/completions/ringback.fish`.
    """
    from typer import completion as typers  # noqa: PLC0415 - slow to import

    script = typers.get_completion_script(  # type: ignore[attr-defined] # not in its list
        prog_name="ringback", complete_var=VARIABLE, shell=shell
    )
    for row in script.splitlines():
        output.line(row)


def prepare() -> None:
    """Let typer answer a shell that asks."""
    if VARIABLE in os.environ:
        from typer import completion as typers  # noqa: PLC0415 - slow to import

        typers.completion_init()  # type: ignore[attr-defined] # not in its list
