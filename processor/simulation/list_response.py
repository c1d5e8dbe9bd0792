"""Writes the provider's response to a request that polls many jobs."""

from collections.abc import Sequence

import msgspec

from processor.model import HttpResponse
from processor.provider.profile import Profile
from processor.simulation.document_builder import wrap_at
from processor.simulation.encode_push import JSON, encoded


def write_list_response(
    profile: Profile, kind: str | None, answers: Sequence[HttpResponse]
) -> HttpResponse:
    """A page of a list, made of answers to polls of its jobs; ValueError if the kind has no list."""
    poll = profile.polls(kind)
    if poll is None or poll.list is None:
        raise ValueError(f"{profile.name} has no [poll.list] for this kind of job")
    elements = [poll.root.find(msgspec.json.decode(a.body), a.headers) for a in answers]
    body = encoded(wrap_at(poll.list.each, elements))
    return HttpResponse(200, {"content-type": JSON}, body, 0.0)
