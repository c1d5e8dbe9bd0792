"""Writes the provider's responses: to a poll, and to the user's own submit call."""

from processor.model import HttpResponse, StatusUpdate
from processor.provider import bare_id
from processor.provider.profile import PollRules, Profile
from processor.simulation.document_builder import DocumentBuilder, wrap_at
from processor.simulation.encode_push import JSON, encoded
from processor.simulation.write_update import candidate_documents, code_of

OK = 200
BODILESS = frozenset({204, 304})  # HTTP codes whose response has no body (RFC 9110, 15)


def write_poll_response(profile: Profile, kind: str | None, update: StatusUpdate) -> HttpResponse:
    """The poll response from which the profile reads this update; ValueError if there is none."""
    poll = profile.polls(kind)
    if poll is None:
        raise ValueError(f"{profile.name} has no [poll] for this kind of job")
    usual = OK if OK in poll.reads else min(poll.reads)
    for builder in candidate_documents(poll, update, bare_id(kind, update.id), usual):
        status = code_of(builder)
        if status in poll.reads:
            return _response(poll, builder, status)
    raise ValueError(f"{profile.name}: no answer to a poll says `{update.status}`")


def write_submit_response(profile: Profile, kind: str | None, update: StatusUpdate) -> HttpResponse:
    """The response to the submit call that started this job; ValueError if there is none."""
    known = profile.kinds[kind]
    if known.submit is None:
        return write_poll_response(profile, kind, update)
    for builder in candidate_documents(known.submit, update, bare_id(kind, update.id), OK):
        return _response(None, builder, code_of(builder))
    raise ValueError(f"{profile.name}: no answer to a submit says `{update.status}`")


def _response(poll: PollRules | None, builder: DocumentBuilder, status: int) -> HttpResponse:
    document = wrap_at(poll.root, builder.document) if poll else builder.document
    body = b"" if status in BODILESS else encoded(document)
    return HttpResponse(status, {"content-type": JSON, **builder.headers}, body, 0.0)
