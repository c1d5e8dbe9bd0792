"""`ringback web`, `worker` and `clock`: run one process; also the commands of all processes.

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

CODE_FOLDER = str(Path(processor.__file__).parents[1])


def argv(module: str, *arguments: str) -> tuple[str, ...]:
    """The command of one process.

    -P keeps the current folder off the import path, so that a user's own `workers` package there
    is not started instead.
    """
    return (sys.executable, "-P", "-m", module, *arguments)


def environment(environ: Mapping[str, str], **settings: str | None) -> dict[str, str]:
    """The environment of a process: its settings, and the path of a checkout if not installed."""
    given = {name: value for name, value in settings.items() if value is not None}
    if CODE_FOLDER in (*site.getsitepackages(), site.getusersitepackages()):
        return {**environ, **given}
    known = [CODE_FOLDER, *filter(None, [environ.get("PYTHONPATH")])]
    return {**environ, **given, "PYTHONPATH": os.pathsep.join(known)}


def web(
    *,
    host: Annotated[
        str | None,
        typer.Option(envvar="RINGBACK_HOST", help="The address to listen on. Default: 127.0.0.1."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(envvar="PORT", help="The port to listen on. Default: 8080.")
    ] = None,
    config: options.Config,
) -> None:
    """Run one receiver, against REDIS_URL.

    Example: `REDIS_URL=redis://localhost:6379/0 RINGBACK_API_KEYS=… ringback web --port 8080`.
    """
    settings = {"RINGBACK_HOST": host, "PORT": None if port is None else str(port)}
    _exec("processor.web", config, **settings)


def worker(*, config: options.Config) -> None:
    """Run one worker, against REDIS_URL.

    Example: `REDIS_URL=redis://localhost:6379/0 ringback worker`.
    """
    _exec("workers", config)


def clock(*, config: options.Config) -> None:
    """Run the clock, against REDIS_URL.

    Example: `REDIS_URL=redis://localhost:6379/0 ringback clock`.
    """
    _exec("workers.clock", config)


def _exec(module: str, config: Path | None, **settings: str | None) -> None:
    environ = environment(os.environ, RINGBACK_CONFIG=str(config) if config else None, **settings)
    os.execve(sys.executable, argv(module), environ)  # noqa: S606 - our own modules, no shell
