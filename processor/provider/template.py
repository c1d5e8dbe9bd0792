"""Paths and URLs with `{placeholders}`, filled so that no value can leave its place."""

import re
from collections.abc import Mapping
from urllib.parse import quote

_HOLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_STRAY = re.compile(r"[{}\s]")
_ORIGIN = re.compile(r"https?://[^/?#{}\s]+/")


class Template:
    """A path such as `/jobs/{id}`, or a whole URL whose scheme and host are fixed."""

    __slots__ = ("holes", "text")

    def __init__(self, text: object) -> None:
        """Take a path (`/…`) or a URL; raise ValueError with the remedy."""
        if not isinstance(text, str) or not (text.startswith("/") or _ORIGIN.match(text)):
            raise ValueError(
                f"`{text}` is neither a path nor a URL; write `/jobs/{{id}}` or "
                "`https://host/jobs/{id}`, with placeholders only after the host"
            )
        self.text = text
        self.holes = frozenset(_HOLE.findall(text))
        if "id" not in self.holes or _STRAY.search(_HOLE.sub("", text)):
            raise ValueError(
                f"`{text}` must hold `{{id}}`, no spaces, and no braces but those of "
                "placeholders in lower-case letters, digits and _"
            )

    def fill(self, values: Mapping[str, str]) -> str:
        """Put every value in, percent-encoded; raise ValueError for one that cannot be."""
        return _HOLE.sub(lambda hole: _segment(hole[1], values), self.text)


class Call:
    """A poll's request: `GET /jobs/{id}` below the base URL, or `GET {setting}`.

    With `{setting}` the whole URL is what the source's setting of that name says.
    """

    __slots__ = ("path", "setting")

    def __init__(self, text: object) -> None:
        """Take the request as written; raise ValueError with the remedy."""
        method, _, target = str(text).partition(" ")
        setting = _HOLE.fullmatch(target)
        if method != "GET" or not (setting or target.startswith("/")):
            raise ValueError(f"`{text}` is no request; write `GET /jobs/{{id}}`")
        self.setting = setting[1] if setting else None
        self.path = None if setting else Template(target)


def _segment(name: str, values: Mapping[str, str]) -> str:
    """One value that stays one segment: `/ ? # %` are encoded, dots alone are refused."""
    value = values.get(name, "")
    if value in ("", ".", ".."):
        raise ValueError(f"`{name}` must be given, and not be `.` or `..`")
    return quote(value, safe="")
