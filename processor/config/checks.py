"""One value at a time: a ConfigError names where it stands and what would be good."""

import re
from collections.abc import Sequence

from processor import durations, provider, sizes
from processor.errors import ConfigError

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def check_name(where: str, key: str, name: str) -> None:
    """Refuse a name that would not fit a URL or a key."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{where}: {key}: a name has 1 to 63 of a-z 0-9 _ - and starts with a letter or digit"
        )


def only(where: str, key: str, value: object, good: Sequence[object]) -> None:
    """Refuse a value that is not one of the good ones."""
    if value not in good:
        known = ", ".join(str(g) for g in good if g is not None) or "none"
        raise ConfigError(f"{where}: {key}: {value!r} is not known; there is {known}")


def duration(where: str, text: str) -> float:
    """Seconds of a text such as `30s`."""
    try:
        return provider.duration(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def push_size(where: str, text: str | None) -> int | None:
    """The bytes that a push may have, if that is said."""
    try:
        return None if text is None else sizes.push_size(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def between(where: str, number: int, least: int, most: int) -> int:
    """A number as it is."""
    if not least <= number <= most:
        raise ConfigError(f"{where}: {number} is out of range; it goes from {least} to {most}")
    return number


def rate(where: str, text: str | None) -> str | None:
    """A rate such as `100/1m`, as it is."""
    try:
        if text is not None:
            durations.rate(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    return text


def url_of(where: str, key: str, url: str | None) -> str | None:
    """A URL as it is."""
    if url is not None and not re.match(r"https?://[^/?#\s]+", url):
        raise ConfigError(f"{where}: {key}: {url!r} is no URL; it starts with https:// or http://")
    return url


def status_url(where: str, key: str, url: str | None) -> str | None:
    """A URL with `{id}` in it, as it is."""
    try:
        return url and provider.Template(url).text
    except ValueError as error:
        raise ConfigError(f"{where}: {key}: {error}") from error
