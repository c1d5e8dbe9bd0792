"""Paths and URLs with `{placeholder}`s, filled so that a value cannot change the rest of the URL."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote

_PLACEHOLDER = re.compile(r"\{(\+?)([a-z][a-z0-9_]*)\}")
_STRAY = re.compile(r"[{}\s]")
_ORIGIN = re.compile(r"https?://[^/?#{}\s]+")
ENCODED: Mapping[str, str] = MappingProxyType({})


class UrlTemplate:
    """A path such as `/jobs/{id}`, or a whole URL whose scheme and host are fixed.

    `{id}` is one segment; `{+id}` may contain slashes.
    """

    __slots__ = ("placeholders", "text")

    def __init__(self, text: object, needs: str | None = "id") -> None:
        """Parse a path (`/…`) or a URL; raise ValueError with the remedy."""
        if not isinstance(text, str) or not (text.startswith("/") or _whole(text)):
            raise ValueError(
                f"`{text}` is not a path or a URL; write `/jobs/{{id}}` or "
                "`https://host/jobs/{id}`, with placeholders only after the host"
            )
        self.text = text
        self.placeholders = frozenset(name for _, name in _PLACEHOLDER.findall(text))
        if (needs and needs not in self.placeholders) or _STRAY.search(_PLACEHOLDER.sub("", text)):
            raise ValueError(
                f"`{text}` must contain `{{{needs or 'id'}}}`, no spaces, and no braces except "
                "those of placeholders in lower-case letters, digits and _"
            )

    def fill(self, values: Mapping[str, str], encoded: Mapping[str, str] = ENCODED) -> str:
        """Insert the values, percent-encoded; raise ValueError for a value that is not allowed.

        Values of `encoded` are inserted as they are.
        """

        def value(placeholder: re.Match[str]) -> str:
            plus, name = placeholder.groups()
            return encoded.get(name) or _filled(name, values, whole=not plus)

        return _PLACEHOLDER.sub(value, self.text)


class PollTarget:
    """The `request` of [poll]: `GET /jobs/{id}` below the base URL, or `GET {setting}`.

    With `{setting}` the whole URL comes from the source's setting of that name, or from the job's
    param. Whether the path contains `{id}` or a param of the job is checked with the kind.
    """

    __slots__ = ("path", "setting", "text")

    def __init__(self, text: object) -> None:
        """Parse the request; raise ValueError with the remedy."""
        self.text = str(text)
        method, _, target = self.text.partition(" ")
        setting = _PLACEHOLDER.fullmatch(target)
        if method != "GET" or not (setting or target.startswith("/")):
            raise ValueError(f"`{text}` is not a request; write `GET /jobs/{{id}}`")
        self.setting = setting[2] if setting else None
        self.path = None if setting else UrlTemplate(target, needs=None)


class CancelCall:
    """The `cancel` of [poll], such as `POST /jobs/{id}/cancel` below the base URL, without a body."""

    __slots__ = ("method", "path", "text")

    def __init__(self, text: object) -> None:
        """Parse the request; raise ValueError with the remedy."""
        self.text = str(text)
        self.method, _, target = self.text.partition(" ")
        if self.method not in {"POST", "PUT", "DELETE"} or not target.startswith("/"):
            raise ValueError(f"`{text}` cancels nothing; write `POST /jobs/{{id}}/cancel`")
        self.path = UrlTemplate(target, needs=None)


def _whole(text: str) -> bool:
    match = _ORIGIN.match(text)
    return match is not None and text[match.end() : match.end() + 1] == "/"


def _filled(name: str, values: Mapping[str, str], *, whole: bool) -> str:
    """One encoded value: `?`, `#` and `%` are escaped; `.` and `..` are refused."""
    value = values.get(name, "")
    segments = [value] if whole else value.split("/")
    if not set(segments).isdisjoint(("", ".", "..")):
        raise ValueError(f"`{name}` must have a value other than `.` and `..`")
    return "/".join(quote(segment, safe="") for segment in segments)
