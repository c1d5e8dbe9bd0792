"""`ringback config`: what file, environment and defaults come to, secrets masked."""

import json as codec
import os
from typing import Any

from processor.cli import options, printing
from processor.config import load


def config(*, config: options.Config = None, json: options.Json = False) -> None:
    """Print the effective configuration: file, environment and defaults, with secrets masked."""
    masked = load(options.config_file(config), os.environ).masked()
    if json:
        return printing.document(masked)
    for name, value in _flat("", masked):
        printing.line(f"{name} = {codec.dumps(value)}")
    return None


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict) or not value:
        return [(prefix, value)]
    dot = f"{prefix}." if prefix else ""
    return [pair for name, inner in value.items() for pair in _flat(f"{dot}{name}", inner)]
