"""At which paths the jobs of one kind are asked about."""

import re
from urllib.parse import unquote, urlsplit

from processor.provider import Profile

SUBMIT = "/submit"  # stands in for the provider's own call that begins a job
STATUS = "/jobs/{id}"  # where profiles without a path of their own are asked

_HOLE = re.compile(r"\{(\+?)(\w+)\}")


class Routes:
    """The path of polls and the one that is mirrored; what fills other holes does not matter."""

    def __init__(self, profile: Profile, kind: str | None) -> None:
        """Take them from the profile."""
        self._routes = [_route(path) for path in paths(profile, kind)]

    def id_in(self, target: str) -> str | None:
        """The id that a request's target names, or None where it is no such path."""
        found = (route.fullmatch(target) for route in self._routes)
        match = next((match for match in found if match), None)
        return unquote(match["id"]) if match else None


def root(profile: Profile) -> str:
    """What stands between host and paths: `/v2` of https://api.acme.example/v2."""
    return urlsplit(profile.base_url or "").path.rstrip("/")


def paths(profile: Profile, kind: str | None) -> list[str]:
    """The paths, with their holes."""
    known = profile.kinds[kind]
    found = [known.mirror.text] if known.mirror else []
    if known.poll:
        own = known.poll.request.path
        found.append(root(profile) + own.text if own else STATUS)
    return found


def _route(path: str) -> re.Pattern[str]:
    """What a target looks like: each hole is a segment, or more where it may hold slashes."""
    parts, end = list[str](), 0
    for hole in _HOLE.finditer(path):
        inside = r"[^?#]+?" if hole[1] else r"[^/?#&]+"
        named = f"(?P<id>{inside})" if hole[2] == "id" else inside
        parts += re.escape(path[end : hole.start()]), named
        end = hole.end()
    return re.compile("".join(parts) + re.escape(path[end:]))
