"""`ringback web`, `worker` and `clock`: one process each, and the names that they go by.

The command becomes the process (exec), so that signals reach it and its exit code is its own.
"""

import os
import site
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

import processor
from processor.cli import options

HOME = str(Path(processor.__file__).parents[1])


def argv(module: str, *arguments: str) -> tuple[str, ...]:
    """Build the command of one process.

    -P keeps the current folder off the import path: a user's own `workers` package there must
    not be started in place of ours.
    """
    return (sys.executable, "-P", "-m", module, *arguments)


def environment(environ: Mapping[str, str], **settings: str | None) -> dict[str, str]:
    """Give a process its settings, and the import path to a checkout that is not installed."""
    given = {name: value for name, value in settings.items() if value is not None}
    if HOME in (*site.getsitepackages(), site.getusersitepackages()):
        return {**environ, **given}
    known = [HOME, *filter(None, [environ.get("PYTHONPATH")])]
    return {**environ, **given, "PYTHONPATH": os.pathsep.join(known)}


def web(
    *,
    host: Annotated[str | None, typer.Option(envvar="RINGBACK_HOST", help="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(envvar="PORT", help="8080")] = None,
    config: options.Config = None,
) -> None:
    """Run one receiver, against REDIS_URL."""
    settings = {"RINGBACK_HOST": host, "PORT": None if port is None else str(port)}
    _become("processor.web", config, **settings)


def worker(*, config: options.Config = None) -> None:
    """Run one worker, against REDIS_URL."""
    _become("workers", config)


def clock(*, config: options.Config = None) -> None:
    """Run the clock, against REDIS_URL."""
    _become("workers.clock", config)


def _become(module: str, config: Path | None, **settings: str | None) -> None:
    file = options.config_file(config)
    environ = environment(os.environ, RINGBACK_CONFIG=str(file) if file else None, **settings)
    os.execve(sys.executable, argv(module), environ)  # noqa: S606 - our own modules, no shell
