"""The paths at which the simulated provider answers polls and cancel calls of jobs of one kind."""

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from processor.provider import Profile

SUBMIT_PATH = "/submit"  # stands for the provider's own call that begins a job
STATUS_PATH = "/jobs/{id}"  # for profiles whose poll has no path of its own

_JOBS = frozenset({"id", "ids", "page", "last"})  # the placeholders that name jobs
_PLACEHOLDER = re.compile(r"\{(\+?)(\w+)\}")


class ListQuery(NamedTuple):
    """What a request for many jobs asks for: jobs by their ids, or a page."""

    ids: tuple[str, ...] = ()
    page: int = 1
    last: str = ""  # the last job of the page before


class Routes:
    """The paths of one kind; values of placeholders that name no jobs are ignored."""

    def __init__(self, profile: Profile, kind: str | None) -> None:
        poll, base = profile.polls(kind), base_path(profile)
        rules, cancel = (poll.list, poll.cancel) if poll else (None, None)
        # The query of `more` is the longer one, and so comes first.
        targets = (rules.more, rules.request) if rules else ()
        self._polls = [_route(path) for path in paths(profile, kind)]
        self._lists = [_route(base + t.path.text) for t in targets if t and t.path]
        self._join = rules.join if rules else ""
        self._cancel = (cancel.method, _route(base + cancel.path.text)) if cancel else None

    def job_id(self, target: str) -> str | None:
        """The job id in the target of a poll; None if no route matches."""
        match = _first_match(self._polls, target)
        return unquote(match["id"]) if match else None

    def list_query(self, target: str) -> ListQuery | None:
        """What a request for many jobs asks for; None for any other request."""
        match = _first_match(self._lists, target)
        if match is None:
            return None
        found = match.groupdict()
        ids = found["ids"].split(self._join) if "ids" in found else ()
        page, last = int(found.get("page", "1")), unquote(found.get("last", ""))
        return ListQuery(tuple(map(unquote, ids)), page, last)

    def canceled_id(self, method: str, target: str) -> str | None:
        """The job id in a cancel call; None for any other request."""
        if self._cancel is None or self._cancel[0] != method:
            return None
        match = self._cancel[1].fullmatch(target)
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


def _first_match(routes: Sequence[re.Pattern[str]], target: str) -> re.Match[str] | None:
    return next(filter(None, (route.fullmatch(target) for route in routes)), None)


def _route(path: str) -> re.Pattern[str]:
    """A pattern of the path: a placeholder is one segment, or more where it may hold slashes."""
    parts, end = list[str](), 0
    for placeholder in _PLACEHOLDER.finditer(path):
        name = placeholder[2]
        value = "[0-9]{1,9}" if name == "page" else r"[^?#]+?" if placeholder[1] else r"[^/?#&]+"
        named = f"(?P<{name}>{value})" if name in _JOBS else value
        parts += re.escape(path[end : placeholder.start()]), named
        end = placeholder.end()
    return re.compile("".join(parts) + re.escape(path[end:]))
