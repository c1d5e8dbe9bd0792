"""Paths and URLs with `{placeholders}`, filled so that no value can leave its place."""

import re
from collections.abc import Mapping
from urllib.parse import quote

_PLACEHOLDER = re.compile(r"\{(\+?)([a-z][a-z0-9_]*)\}")
_STRAY = re.compile(r"[{}\s]")
_ORIGIN = re.compile(r"https?://[^/?#{}\s]+")


class UrlTemplate:
    """A path such as `/jobs/{id}`, or a whole URL whose scheme and host are fixed.

    `{id}` is one segment; `{+id}` may hold slashes.
    """

    __slots__ = ("placeholders", "text")

    def __init__(self, text: object, needs: str | None = "id") -> None:
        """Take a path (`/…`) or a URL; raise ValueError with the remedy."""
        if not isinstance(text, str) or not (text.startswith("/") or _whole(text)):
            raise ValueError(
                f"`{text}` is neither a path nor a URL; write `/jobs/{{id}}` or "
                "`https://host/jobs/{id}`, with placeholders only after the host"
            )
        self.text = text
        self.placeholders = frozenset(name for _, name in _PLACEHOLDER.findall(text))
        if (needs and needs not in self.placeholders) or _STRAY.search(_PLACEHOLDER.sub("", text)):
            raise ValueError(
                f"`{text}` must hold `{{{needs or 'id'}}}`, no spaces, and no braces but those of "
                "placeholders in lower-case letters, digits and _"
            )

    def fill(self, values: Mapping[str, str]) -> str:
        """Put every value in, percent-encoded; raise ValueError for one that cannot be."""
        return _PLACEHOLDER.sub(
            lambda placeholder: _filled(placeholder[2], values, whole=not placeholder[1]), self.text
        )


class PollTarget:
    """A poll's request: `GET /jobs/{id}` below the base URL, or `GET {setting}`.

    With `{setting}` the whole URL is what the source's setting of that name says, or the
    job's param. What tells jobs apart in a path, `{id}` or a param, is checked with the kind.
    """

    __slots__ = ("path", "setting", "text")

    def __init__(self, text: object) -> None:
        """Take the request as written; raise ValueError with the remedy."""
        self.text = str(text)
        method, _, target = self.text.partition(" ")
        setting = _PLACEHOLDER.fullmatch(target)
        if method != "GET" or not (setting or target.startswith("/")):
            raise ValueError(f"`{text}` is no request; write `GET /jobs/{{id}}`")
        self.setting = setting[2] if setting else None
        self.path = None if setting else UrlTemplate(target, needs=None)


def _whole(text: str) -> bool:
    match = _ORIGIN.match(text)
    return match is not None and text[match.end() : match.end() + 1] == "/"


def _filled(name: str, values: Mapping[str, str], *, whole: bool) -> str:
    """One value that stays where it belongs: `? # %` are encoded, dots alone are refused."""
    value = values.get(name, "")
    segments = [value] if whole else value.split("/")
    if not set(segments).isdisjoint(("", ".", "..")):
        raise ValueError(f"`{name}` must be given, and not be `.` or `..`")
    return "/".join(quote(segment, safe="") for segment in segments)
