"""The paths at which the simulated provider answers polls about jobs of one kind."""

import re
from urllib.parse import unquote, urlsplit

from processor.provider import Profile

SUBMIT_PATH = "/submit"  # stands for the provider's own call that begins a job
STATUS_PATH = "/jobs/{id}"  # for profiles whose poll has no path of its own

_PLACEHOLDER = re.compile(r"\{(\+?)(\w+)\}")


class Routes:
    """The path of polls and the mirrored path; values of placeholders other than id are ignored."""

    def __init__(self, profile: Profile, kind: str | None) -> None:
        self._routes = [_route(path) for path in paths(profile, kind)]

    def job_id(self, target: str) -> str | None:
        """The job id in a request's target; None if no route matches."""
        matches = (route.fullmatch(target) for route in self._routes)
        match = next((match for match in matches if match), None)
        return unquote(match["id"]) if match else None


def base_path(profile: Profile) -> str:
    """The path of the profile's base URL: `/v2` of https://api.acme.example/v2."""
    return urlsplit(profile.base_url or "").path.rstrip("/")


def paths(profile: Profile, kind: str | None) -> list[str]:
    """The paths, with their placeholders."""
    fields = profile.kinds[kind]
    found = [fields.mirror.text] if fields.mirror else []
    if fields.poll:
        own = fields.poll.request.path
        found.append(base_path(profile) + own.text if own else STATUS_PATH)
    return found


def _route(path: str) -> re.Pattern[str]:
    """A pattern of the path: a placeholder is one segment, or more where it may hold slashes."""
    parts, end = list[str](), 0
    for placeholder in _PLACEHOLDER.finditer(path):
        value = r"[^?#]+?" if placeholder[1] else r"[^/?#&]+"
        named = f"(?P<id>{value})" if placeholder[2] == "id" else value
        parts += re.escape(path[end : placeholder.start()]), named
        end = placeholder.end()
    return re.compile("".join(parts) + re.escape(path[end:]))
