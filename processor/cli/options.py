"""The options that several commands share."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from processor.cli.client import Client
from processor.cli.credentials import key_for
from processor.cli.exit_codes import CommandError
from processor.cli.option_groups import option_group
from processor.durations import parse_duration

DEFAULT_URL = "http://127.0.0.1:8080"
DEFAULT_DATA = Path(".ringback")
DEFAULT_CONFIG = Path("ringback.toml")

Url = Annotated[str, typer.Option("--url", envvar="RINGBACK_URL", help="The server's URL.")]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="RINGBACK_API_KEY",
        help="An API key of the server. Default: the file `key` in --data.",
    ),
]
Data = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="RINGBACK_DATA",
        help="The data folder of `ringback up`: the API key and the embedded Redis.",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON and nothing else on standard output.")
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="RINGBACK_CONFIG",
        default_factory=lambda: DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None,
        show_default=False,
        help="The configuration file. Default: ringback.toml, if it exists.",
    ),
]
Timeout = Annotated[
    str | None,
    typer.Option("--timeout", help="Stop waiting after this long: 90, 1.5s, 30s, 5m, 24h, 7d."),
]
TYPED = """A VALUE that is JSON is taken as such: 42 is a number, '"42"' a text."""
Metadata = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help=f"May be repeated. {TYPED}")
]
CallbackSecret = Annotated[
    str | None, typer.Option(help="whsec_…, which signs the callback. Default: the server's.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=200)]
Cursor = Annotated[
    str | None, typer.Option("--cursor", help="Continue after the page that ended here.")
]
SubscriptionId = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="The id of the subscription, as `subscriptions list` shows it."
    ),
]
SourceName = Annotated[str, typer.Argument(metavar="SOURCE", help="A source of the configuration.")]
JobNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="SOURCE ID... | SOURCE/ID...", help="The jobs.", show_default=False),
]
JobId = Annotated[str, typer.Argument(metavar="ID", help="The provider's id of the job.")]


def client(*, url: Url = DEFAULT_URL, key: Key = None, data: Data = DEFAULT_DATA) -> Client:
    """The client for these options."""
    return Client(url, key_for(url, key, data))


server = option_group("server", client)


def given(**settings: object) -> dict[str, Any]:
    """The settings that were given, as the body of a request."""
    return {name: value for name, value in settings.items() if value is not None}


def seconds(text: str | None) -> float | None:
    """Parse a duration; a bare number is seconds."""
    if text is None:
        return None
    try:
        return parse_duration(f"{text}s" if text.isdecimal() else text)
    except ValueError as error:
        raise CommandError(f"--timeout: {error}") from None


def jobs(words: list[str] | None) -> list[tuple[str, str]]:
    """The jobs that words name: SOURCE ID..., or SOURCE/ID... if there is a slash in the first."""
    if not words or "/" in words[0]:
        return job_names(words or [])
    source, *ids = words
    if not ids:
        raise CommandError(f"{source}: name a job, as SOURCE ID or SOURCE/ID")
    return [("job", f"{source}/{job_id}") for job_id in ids]


def job_names(words: list[str], place: str = "") -> list[tuple[str, str]]:
    """The jobs that words name as SOURCE/ID; `place` begins the error about one that does not."""
    for word in words:
        source, _, job = word.partition("/")
        if not (source and job):
            raise CommandError(f"{place}{word}: write the job as SOURCE/ID")
    return [("job", word) for word in words]


def pairs(option: str, texts: list[str] | None) -> dict[str, str] | None:
    """Parse NAME=VALUE options; None without any."""
    for pair in texts or []:
        if "=" not in pair:
            raise CommandError(f"{option} {pair}: write it as NAME=VALUE")
    return dict(pair.split("=", 1) for pair in texts) if texts else None


def typed_pairs(option: str, texts: list[str] | None) -> dict[str, Any] | None:
    """The same, with values that are JSON as such, so that they match what a program sends."""
    found = pairs(option, texts)
    return found and {name: _typed(text) for name, text in found.items()}


def _typed(text: str) -> Any:
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)  # NaN is not JSON: a text
    except (ValueError, RecursionError):
        return text
    return value
