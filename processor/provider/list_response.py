"""Reads the response to a request that polls many jobs: the answer about each of them."""

from typing import Any, NamedTuple

from msgspec.structs import replace

from processor.errors import Unreadable
from processor.json_input import write_json
from processor.model import HttpResponse, Origin, StatusUpdate
from processor.provider.extract_update import UpdateContext, as_object, read_update
from processor.provider.job_ids import bare_id
from processor.provider.large_json import open_level
from processor.provider.pointer import CODE
from processor.provider.poll_response import (
    PollFailure,
    as_line,
    read_body,
    refused,
    requested_wait,
)
from processor.provider.profile import PollRules, Profile

MOST_READ = 2_000  # elements of a page: the longest have 1,000, and 4 MiB of `{}` would take 10 s


class ListedJob(NamedTuple):
    """What an element of a list says about its job, and the element."""

    update: StatusUpdate
    element: Any


class ListedJobs(NamedTuple):
    """The readable elements of a page, the provider's id of the last one, and how many are there."""

    jobs: tuple[ListedJob, ...]
    last: str
    size: int


def read_list_response(
    profile: Profile, source: str, kind: str | None, response: HttpResponse, asked_at: float
) -> ListedJobs | PollFailure:
    """Read each element like a poll of its job; what is unreadable is left out, and never raises."""
    known, poll = profile.kinds.get(kind), profile.polls(kind)
    if known is None or poll is None or poll.list is None:
        return PollFailure("failed", f"{profile.name} has no [poll.list] for this kind of job")
    headers = {**response.headers, CODE: str(response.status)}
    document, why_unreadable = read_body(response)
    wait = requested_wait(poll, document, response, asked_at + response.seconds)
    if failure := refused(poll, document, headers, response, wait):
        return failure
    elements = open_level(poll.list.each.find(document, headers))
    if not isinstance(elements, list):
        reason = why_unreadable or f"there is no array at {poll.list.each.text}"
        shown = "" if response.cut else f": {as_line(response.body)}"
        return PollFailure("failed", f"{reason}{shown}")
    context = UpdateContext(source, kind, asked_at, Origin.POLL, headers, reopens=poll.reopens)
    jobs = []
    for element in elements[:MOST_READ]:
        try:
            update = read_update(known, poll, as_object(element), context)
        except Unreadable:
            continue
        jobs.append(ListedJob(replace(update, poll_after=wait), element))
    last = bare_id(kind, jobs[-1].update.id) if jobs else ""
    return ListedJobs(tuple(jobs), last, len(elements))


def as_answer(poll: PollRules, element: Any, response: HttpResponse) -> HttpResponse | None:
    """The answer that a poll of this job alone would have got; None if that is not known.

    Its ETag would be another one.
    """
    if poll.list is None or not poll.list.whole:
        return None
    for step in reversed(next((at for at in poll.root.locations if not isinstance(at, str)), ())):
        element = {step: element}
    try:
        body = write_json(element)
    except (TypeError, RecursionError):
        return None
    return replace(response, body=body, headers={**response.headers, "etag": ""})
