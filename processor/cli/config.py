"""`ringback config`: the effective settings, with secrets redacted."""

import json as codec
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from processor.cli import options, output
from processor.config import Settings, Source, load
from processor.durations import write_duration
from processor.errors import ConfigError

EMBEDDED = "# redis_url is not set: `ringback up` runs an embedded Redis"
DURATIONS = frozenset(
    {
        "lease",
        "secret_overlap",
        "deadline",
        "mirror_max_age",
        "jobs",
        "events",
        "deliveries",
        "seen",
    }
)
"""The last words of the settings that are seconds."""


def config(*, config: options.Config, json: options.Json = False) -> None:
    """Print the effective configuration: file, environment and defaults, with secrets redacted.

    With --json durations are seconds.

    Examples: `ringback config`, `ringback config --config prod.toml --json`.
    """
    masked = read(config, os.environ).masked()
    lines = [_line(name, value) for name, value in _flat("", masked)]
    if "REDIS_URL" not in os.environ:
        lines = [EMBEDDED if line.startswith("redis_url =") else line for line in lines]
    output.result(masked, *lines, json=json)


def _line(name: str, value: Any) -> str:
    """A setting as it is written in TOML, or a comment for one that is not set."""
    if value is None:
        return f"# {name} is not set"
    if name.rpartition(".")[2] in DURATIONS and isinstance(value, float):
        value = write_duration(value)
    return f"{name} = {codec.dumps(value)}"


def read(file: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings, with the checks that the server makes at its start."""
    from processor.service.runtime.process import egress_policy  # noqa: PLC0415 -- slow to import

    settings = load(file, environ)
    egress_policy(settings)
    return settings


def source_of(settings: Settings, name: str) -> Source:
    """A configured source; ConfigError naming the sources if it is unknown."""
    if name not in settings.sources:
        known = ", ".join(settings.sources) or "none"
        raise ConfigError(
            f"{settings.file or 'no ringback.toml'}: no source {name!r}; sources are: {known}"
        )
    return settings.sources[name]


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict) or not value:
        return [(prefix, value)]
    dot = f"{prefix}." if prefix else ""
    return [pair for name, inner in value.items() for pair in _flat(f"{dot}{name}", inner)]
