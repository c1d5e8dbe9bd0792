"""Consistency checks of a profile: refuses what parses but could never work, with a remedy."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from processor.provider.field_types import Seconds
from processor.provider.pointer_checks import NamedPointer, problem
from processor.provider.profile import JobKind, PollRules
from processor.provider.validation_messages import ProfileError

_BASE = re.compile(r"https?://[!\"$->@-~]+")


def check_base(url: str | None) -> None:
    """Refuse a base URL to which no request could be sent."""
    if url is None:
        return
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # bad brackets or a bad port
        good = None
    if not good or not _BASE.fullmatch(url):
        need = "is not a base URL; write https://HOST, with a path if the API has one"
        raise ProfileError("", "base_url", f"base_url: `{url}` {need}")


def check_status_rules(at: str, kind: JobKind) -> None:
    """Refuse a status rule whose word has no state: it could never decide anything."""
    for table, fields in (("push", kind.push), ("poll", kind.poll), ("submit", kind.submit)):
        for word, _ in fields.status.rules if fields and fields.status else ():
            if kind.states.of(word) is None:
                need = f"status: `{word}` is not in [{at}states]; add it there"
                raise ProfileError(f"{at}{table}", "status", need)


def check_request(at: str, kind: JobKind) -> None:
    """Refuse a poll request that would be the same for all jobs: it needs their id or a param."""
    path = kind.poll.request.path if kind.poll else None
    params = {name for fields in (kind.push, kind.submit) if fields for name in fields.params}
    if path and not path.placeholders & {"id", *params}:
        need = (
            f"request: `{path.text}` must contain `{{id}}`, or a name from `params` of [{at}submit]"
        )
        raise ProfileError(f"{at}poll", "request", need)


def check_cancel(at: str, kind: JobKind) -> None:
    """Refuse a cancel call with a placeholder that the poll request does not fill."""
    poll = kind.poll
    if poll is None or poll.cancel is None:
        return
    known = {"id"} | (poll.request.path.placeholders if poll.request.path else set())
    if unknown := sorted(poll.cancel.path.placeholders - known):
        need = f"cancel: `{{{unknown[0]}}}` is not in `request`; a job may lack it"
        raise ProfileError(f"{at}poll", "cancel", need)


def check_list(at: str, poll: PollRules | None, named: Iterable[NamedPointer]) -> None:
    """Refuse a list whose elements could not be told apart, or whose request no job could fill."""
    if poll is None or poll.list is None:
        return
    own = poll.request.path.placeholders if poll.request.path else frozenset()
    if unknown := sorted(poll.list.placeholders - (own - {"id"}) - {"ids", "page", "last"}):
        need = (
            f"`{{{unknown[0]}}}` is not filled in for many jobs at once; write {{ids}}, {{page}}, "
        )
        raise ProfileError(
            f"{at}.list", "request", f"request: {need}{{last}}, or a placeholder of [{at}] request"
        )
    if poll.id is None:
        raise ProfileError(at, "list", '`id` is missing; [poll.list] needs it, such as id = "/id"')
    for one in named:
        if one.key in {"id", "status"} and one.pointer and not one.pointer.startswith("/"):
            need = f"{one.key}: `{one.pointer}` is the same for all jobs of [{at}.list]"
            raise ProfileError(at, one.key, f"{need}; write a JSON pointer")


def check_interval(at: str, every: object) -> None:
    """Refuse intervals in the wrong order; other errors in `every` are reported elsewhere."""
    try:
        first, longest = map(Seconds, every)  # type: ignore[call-overload] # of any type
    except (TypeError, ValueError):
        return
    if first > longest and isinstance(every, list):
        need = f'`every` is reversed: [first, longest]; write ["{every[1]}", "{every[0]}"]'
        raise ProfileError(at, "every", need)


def check_pointers(at: str, named: Iterable[NamedPointer], *, answered: bool) -> None:
    """Refuse pointers that could never find a value."""
    for one in named:
        if why := problem(one, answered=answered):
            raise ProfileError(at, one.key, why)
