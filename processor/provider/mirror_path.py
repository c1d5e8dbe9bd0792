"""The paths of the mirror: those of the provider's API, below the base URL that its SDK is given."""

from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from processor.provider.profile import JobKind, Profile
from processor.provider.url_template import UrlTemplate


def mirror_paths(profile: Profile, params: Mapping[str, str]) -> dict[str | None, str]:
    """The path of each kind, with `{id}`; other placeholders are filled from the source's params.

    A kind that is not polled by a path, or that lacks a param, has no mirror path.
    """
    found: dict[str | None, str] = {}
    for name, kind in profile.kinds.items():
        if template := mirror_template(profile, kind):
            with suppress(ValueError):  # a param is missing
                found[name] = template.fill({**params, "id": "\0"}).replace("%00", "{id}")
    return found


def mirror_template(profile: Profile, kind: JobKind) -> UrlTemplate | None:
    """The profile's `mirror`, else the path of the base URL followed by the poll's path."""
    if kind.mirror or kind.poll is None or kind.poll.request.path is None:
        return kind.mirror
    path = kind.poll.request.path
    if "{id}" not in path.text:  # `{+id}` holds slashes, so it would match every path
        return None
    return UrlTemplate(urlsplit(profile.base_url or "").path.rstrip("/") + path.text)


def paths_overlap(one: str, other: str) -> bool:
    """Whether one call could match both paths, segment by segment; `{id}` matches any segment."""
    mine, yours = one.partition("?"), other.partition("?")
    if mine[2] != yours[2]:
        return False
    pairs = list(zip(mine[0].split("/"), yours[0].split("/"), strict=False))
    same = mine[0].count("/") == yours[0].count("/")
    return same and all(a == b or "{id}" in a or "{id}" in b for a, b in pairs)
