"""From the text of ringback.toml to its tables; a line for each problem."""

import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from processor import provider
from processor.config.problems import Problems
from processor.config.schema import EgressTable, File, SourceTable, SubscriptionTable
from processor.errors import ConfigError
from processor.provider import ProfileError

_T = TypeVar("_T", bound=msgspec.Struct)

EXAMPLES = {
    "provider": '"wistia"',
    "token": '"env:WISTIA_TOKEN"',
    "webhook_secret": '"env:WISTIA_SECRET"',
    "base_url": '"https://api.example.com"',
    "status_url": '"https://api.example.com/jobs/{id}"',
    "params": '{ account = "…" }',
    "senders": '["arn:aws:sns:REGION:ACCOUNT:NAME"]',
    "track": '"all" or "registered"',
    "trust": '"event" or "refetch"',
    "deadline": '"72h"',
    "largest": '"20MB"',
    "mirror": '"open"',
    "mirror_max_age": '"10s"',
    "url": '"https://billing.example.com/hooks"',
    "secret": '"env:BILLING_SECRET"',
    "events": '["job.completed"]',
    "sources": '["NAME"]',
    "providers": '["wistia"]',
    "metadata": '{ team = "video" }',
    "format": '"standard"',
    "signature": '"v1"',
    "headers": '{ X-Api-Key = "env:BILLING_KEY" }',
    "concurrency": "16",
    "rate": '"100/1m"',
    "allow": '["10.20.0.0/16"]',
}
"""An example of each key of a source, a subscription or [egress]."""

TOP_EXAMPLES = {
    "providers": '"./providers"',
    "sources": "tables, [sources.NAME]",
    "subscriptions": "tables, [subscriptions.NAME]",
    "egress": "a table, [egress]",
}
NAMED = ("sources", "subscriptions")


class ParsedFile(NamedTuple):
    """The tables of the file that fit, its text, and the names of all tables of sources."""

    file: File
    text: str = ""
    source_names: tuple[str, ...] = ()


def parse(path: Path, problems: Problems) -> ParsedFile:
    """Read the file. What does not fit is collected and left out; ConfigError if it is not TOML."""
    text = _text(path)
    try:
        written = tomllib.loads(text)
        file = _FileReader(str(path), text, problems).file(written)
        sources = written.get("sources")
        return ParsedFile(file, text, tuple(sources) if isinstance(sources, dict) else ())
    except RecursionError:
        nested = f"{path}: is nested too deeply; write fewer tables inside each other"
        raise ConfigError(nested) from None
    except ValueError as error:
        line, why = provider.line_of_error(text, error), provider.explain_toml_error(text, error)
        raise ConfigError(f"{path}:{line}: {why}") from None


def _text(path: Path) -> str:
    try:
        return provider.decode_profile(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}; correct --config or RINGBACK_CONFIG"
        ) from None


class _FileReader:
    """Reads one file, and collects its problems."""

    def __init__(self, where: str, text: str, problems: Problems) -> None:
        self._where, self._text, self._problems = where, text, problems

    def file(self, written: dict[str, Any]) -> File:
        """Read the whole file."""
        inner = [name for name in ("egress", *NAMED) if isinstance(written.get(name), dict)]
        outer = written | {name: {} for name in inner}
        file = self._table("", outer, File) or self._without_unknown(outer)
        egress = (
            self._table("egress", written["egress"], EgressTable) if "egress" in inner else None
        )
        return msgspec.structs.replace(
            file,
            egress=egress or EgressTable(),
            sources=self._named("sources", written, SourceTable),
            subscriptions=self._named("subscriptions", written, SubscriptionTable),
        )

    def _without_unknown(self, outer: dict[str, Any]) -> File:
        """The key that other tables need, if the file has another key that is wrong."""
        folder = outer.get("providers")
        return File(providers=folder if isinstance(folder, str) else None)

    def _named(self, group: str, written: dict[str, Any], shape: type[_T]) -> dict[str, _T]:
        """Read the tables of one group, by their names."""
        tables, found = written.get(group), dict[str, _T]()
        for name, table in tables.items() if isinstance(tables, dict) else ():
            if not isinstance(table, dict):
                need = f"this is not a table; put the keys of each under its own header, [{group}.NAME]"
                self._note(ProfileError(group, name, need))
            elif (read := self._table(f"{group}.{name}", table, shape)) is not None:
                found[name] = read
        return found

    def _table(self, at: str, written: dict[str, Any], shape: type[_T]) -> _T | None:
        """Read one table; None if it does not fit, with each problem collected."""
        left, fits, examples = dict(written), True, EXAMPLES if at else TOP_EXAMPLES
        while True:
            try:
                read = msgspec.convert(left, shape)
            except msgspec.ValidationError as error:
                fits = False
                error_here = provider.describe_error(at, shape, left, error, examples)
                key = re.split(r"[.[]", error_here.key)[0]
                if key not in left:  # keys are missing, which msgspec checks last
                    self._missing(at, written, shape)
                    return None
                self._note(error_here)
                del left[key]
            else:
                return read if fits else None

    def _missing(self, at: str, written: dict[str, Any], shape: type[msgspec.Struct]) -> None:
        for field in msgspec.structs.fields(shape):
            if field.required and field.name not in written:
                name = field.name
                need = f"`{name}` is missing; add it, such as {name} = {EXAMPLES[name]}"
                self._note(ProfileError(at, "", need))

    def _note(self, error_here: ProfileError) -> None:
        key = error_here.key.partition("[")[0]
        line = provider.line_of(self._text, error_here.table, key)
        place = ".".join(filter(None, [error_here.table, key]))
        named = f" {place}:" if place else ""
        self._problems.add(f"{self._where}:{line}:{named} {error_here.text}")
