"""Pushes as hints: what one may say where a poll must agree, and what the poll makes of it.

Pure. A hint neither ends a job nor runs it again; it has the job asked about, soon but not
sooner than the provider wants.
"""

from msgspec.structs import replace

from processor import state_machine
from processor.config import Source
from processor.model import FINAL, NULL, Job, Origin, StatusUpdate

MIN_INTERVAL = 1.0  # seconds between polls that pushes ask for, of one job

UNCONFIRMED = "unconfirmed"
"""The flag of a final word that waits for a poll, or that no poll could agree with any more."""


def taken(update: StatusUpdate, job: Job, source: Source) -> tuple[StatusUpdate, Job]:
    """What counts of an update now, and the job with what counts later.

    Where a poll must agree, a push neither ends a job nor runs it again. What a signed one
    told beside the end comes with the poll that agrees.
    """
    if update.origin is Origin.PUSH and source.confirms(job.kind):
        return _hint(update, job, source)
    if update.origin is Origin.POLL and job.claimed and update.state in FINAL:
        return _completed(update, job.claimed), replace(job, claimed=None)
    return update, job


def _hint(update: StatusUpdate, job: Job, source: Source) -> tuple[StatusUpdate, Job]:
    """A push as a hint: what it says of an end or of a re-run is for a poll to say."""
    reruns = (update.attempt or job.attempt) > job.attempt
    over = job.state in FINAL and not job.provisional
    proven = source.profile.verify is not None  # by a token at least
    plain = update if proven else replace(update, params={}, aliases=())
    plain = replace(plain, attempt=None, ended=None)
    if not reruns and (over or update.state not in FINAL):
        return plain, job
    flags = (*update.flags, UNCONFIRMED)
    weak = replace(
        plain, state=None, result=NULL, error=None, counts=None, progress=None, flags=flags
    )
    claims = source.profile.signs and update.state in FINAL
    return weak, replace(job, claimed=update) if claims else job


def _claims(update: StatusUpdate) -> bool:
    return update.origin is Origin.PUSH and UNCONFIRMED in update.flags


def _completed(poll: StatusUpdate, claim: StatusUpdate) -> StatusUpdate:
    """A poll's final, with what only the push that it agrees with told."""
    if poll.state is not claim.state or (poll.attempt or 1) != (claim.attempt or 1):
        return poll
    return replace(
        poll,
        result=claim.result if poll.result == NULL else poll.result,
        error=poll.error or claim.error,
        counts=poll.counts or claim.counts,
    )


def asks(step: state_machine.Step, update: StatusUpdate, job: Job, source: Source) -> bool:
    """Whether a push is a reason to ask about the job now."""
    return _claims(update) or _runs_again(step, update, job, source)


def _runs_again(step: state_machine.Step, update: StatusUpdate, job: Job, source: Source) -> bool:
    """Whether a push hints that a finished job is run again, which only a poll can tell."""
    poll = source.poll(job.kind)
    finished = step.ignored == "finished" and update.origin is Origin.PUSH
    return finished and poll is not None and poll.reopens


def noted(job: Job, update: StatusUpdate, source: Source, now: float, *, seen: bool) -> Job:
    """The job with when to ask again; a hint that anybody could send proves no job."""
    if update.origin is Origin.PUSH and not seen and job.seen:
        known = source.profile.signs or not source.confirms(job.kind)
        return job if known else replace(job, seen=False)
    if update.origin is Origin.PUSH or not (update.again or job.again_at):
        return job
    return replace(job, again_at=now + update.again if update.again else 0.0)
