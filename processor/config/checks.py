"""Validates single values; each ConfigError names the key and the remedy."""

import json
import re
from collections.abc import Sequence
from typing import Any

from processor import durations, provider, sizes
from processor.config.place import At
from processor.errors import ConfigError
from processor.subscription_settings import check_concurrency

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_name(where: At, name: str) -> None:
    """Refuse a name that would not fit a URL or a key."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{where}: a name has 1 to 63 of a-z 0-9 _ - and starts with a letter or digit"
        )


def one_of(where: At, value: object, good: Sequence[object]) -> None:
    """Refuse a value that is not one of the known ones."""
    if value not in good:
        known = [str(one) for one in good if one is not None]
        near = provider.did_you_mean(str(value), known)
        there = ", ".join(known) or "none"
        raise ConfigError(f"{where}: {value!r} is not known; there is {there}{near}")


def header_value(where: At, text: str) -> str:
    """A secret that a header can carry, unchanged; the ConfigError does not show it."""
    if CONTROL.search(text):
        raise ConfigError(
            f"{where}: it holds a line break or another control character, which no header can "
            "carry; remove it"
        )
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        raise ConfigError(
            f"{where}: it holds a character that no header can carry; use printable ASCII only"
        ) from None
    return text


def duration(where: At, text: str) -> float:
    """Seconds of a text such as `30s`."""
    try:
        return durations.parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def duration_within(where: At, text: str, least: float, most: float) -> float:
    """Seconds of a text such as `30s`, from `least` to `most`."""
    seconds = duration(where, text)
    if not least <= seconds <= most:
        shortest, longest = durations.write_duration(least), durations.write_duration(most)
        raise ConfigError(f"{where}: {text} is out of bounds; write {shortest} to {longest}")
    return seconds


def push_size(where: At, text: str | None) -> int | None:
    """The size limit of a push in bytes, if it is set."""
    try:
        return None if text is None else sizes.parse_push_size(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def concurrency(where: At, number: int) -> int:
    """The concurrency of a subscription, unchanged."""
    try:
        return check_concurrency(number)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def rate(where: At, text: str | None) -> str | None:
    """A rate such as `100/1m`, unchanged."""
    try:
        if text is not None:
            durations.parse_rate(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    return text


def metadata_filter(where: At, metadata: dict[str, Any]) -> dict[str, Any]:
    """The metadata that a subscription filters by, unchanged: JSON within the API's limit."""
    try:
        text = json.dumps(metadata, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise ConfigError(
            f"{where}: it is not JSON: it has a date or nan, which is to be a text, or is nested "
            "too deeply"
        ) from None
    if (size := len(text.encode())) > sizes.MAX_FILTER:
        raise ConfigError(
            f"{where}: has at most {sizes.MAX_FILTER} bytes as JSON; this has {size}: "
            "filter by fewer or shorter values"
        )
    return metadata
