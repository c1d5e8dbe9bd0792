"""The answers that a provider would give: to a poll, and to the user's own submit call."""

from processor.model import HttpResponse, StatusUpdate
from processor.provider import bare_id
from processor.provider.profile import PollRules, Profile
from processor.simulation.document_builder import DocumentBuilder, inside
from processor.simulation.encode_push import JSON, encoded
from processor.simulation.write_update import candidate_documents, code_of

OK = 200
BODILESS = frozenset({204, 304})  # HTTP codes whose answer has no body (RFC 9110, 15)


def write_poll_response(profile: Profile, kind: str | None, update: StatusUpdate) -> HttpResponse:
    """Give the answer to a poll from which the profile reads this update; ValueError if none."""
    poll = profile.polls(kind)
    if poll is None:
        raise ValueError(f"{profile.name} has no [poll] for this kind of job")
    usual = OK if OK in poll.reads else min(poll.reads)
    for draft in candidate_documents(poll, update, bare_id(kind, update.id), usual):
        status = code_of(draft)
        if status in poll.reads:
            return _response(poll, draft, status)
    raise ValueError(f"{profile.name}: no answer to a poll says `{update.status}`")


def write_submit_response(profile: Profile, kind: str | None, update: StatusUpdate) -> HttpResponse:
    """Give the answer to a submit call that began this job; ValueError where none is known."""
    known = profile.kinds[kind]
    if known.submit is None:
        return write_poll_response(profile, kind, update)
    for draft in candidate_documents(known.submit, update, bare_id(kind, update.id), OK):
        return _response(None, draft, code_of(draft))
    raise ValueError(f"{profile.name}: no answer to a submit says `{update.status}`")


def _response(poll: PollRules | None, draft: DocumentBuilder, status: int) -> HttpResponse:
    document = inside(poll.root, draft.document) if poll else draft.document
    body = b"" if status in BODILESS else encoded(document)
    return HttpResponse(status, {"content-type": JSON, **draft.headers}, body, 0.0)
