"""Pushes that a poll must confirm (`trust = "refetch"`): what such a push may change by itself.

Pure. An unconfirmed push neither ends a job nor runs it again. It makes the next poll due now, but
not sooner than the provider allows. For a day the polls then go on as usual, even of a job that has
expired by our deadline or that is not polled otherwise: the provider's answers may be behind its pushes.
"""

from msgspec.structs import replace

from processor import state_machine
from processor.config import Source
from processor.model import FINAL, NULL, Job, Origin, StatusUpdate

MIN_INTERVAL = 1.0  # seconds between two polls of one job that pushes ask for
MAX_WAIT = 86_400.0  # seconds for which polls go on after such a push: anybody could have sent it

UNCONFIRMED = "unconfirmed"
"""The flag of a final state that waits for a poll, or that no poll could confirm."""


def without_unproven_names(update: StatusUpdate, source: Source) -> StatusUpdate:
    """A push without the aliases that anybody could have made up: a name of another job would have
    that job polled under the id in this push.
    """
    if (
        not update.aliases
        or source.profile.verify
        or not source.confirms(source.kind_of(update.id))
    ):
        return update
    return replace(update, aliases=())


def apply_trust(update: StatusUpdate, job: Job, source: Source) -> tuple[StatusUpdate, Job]:
    """The part of an update that counts now, and the job with the part that may count later.

    Where a poll must confirm, a push neither ends a job nor runs it again. If the push is signed,
    its result, error and counts are kept, and added to the poll that confirms it.
    """
    if update.origin is Origin.PUSH and source.confirms(job.kind):
        return _without_claim(update, job, source)
    if update.origin is Origin.POLL and job.unconfirmed and update.state in FINAL:
        return _completed(update, job.unconfirmed), replace(job, unconfirmed=None)
    return update, job


def _without_claim(update: StatusUpdate, job: Job, source: Source) -> tuple[StatusUpdate, Job]:
    """A push without its final state or its re-run, which a poll must confirm."""
    reruns = (update.attempt or job.attempt) > job.attempt
    verified = source.profile.verify is not None  # by a token at least
    rest = update if verified else replace(update, params={}, aliases=())
    rest = replace(rest, attempt=None, run_ended_at=None)
    if not reruns and (job.final or update.state not in FINAL):
        return rest, job
    flags = (*update.flags, UNCONFIRMED)
    hint = replace(
        rest, state=None, result=NULL, error=None, counts=None, progress=None, flags=flags
    )
    claims = source.profile.signs and update.state in FINAL
    return hint, replace(job, unconfirmed=update) if claims else job


def _completed(poll: StatusUpdate, claim: StatusUpdate) -> StatusUpdate:
    """A final poll, with what only the push says, if both say the same state and attempt."""
    if poll.state is not claim.state or (poll.attempt or 1) != (claim.attempt or 1):
        return poll
    return replace(
        poll,
        result=claim.result if poll.result == NULL else poll.result,
        error=poll.error or claim.error,
        counts=poll.counts or claim.counts,
    )


def should_poll_now(
    step: state_machine.Transition, update: StatusUpdate, job: Job, source: Source
) -> bool:
    """Whether a push is a reason to poll the job now: it needs a poll's confirmation, or hints that
    a finished job runs again, which only a poll can confirm.
    """
    if UNCONFIRMED in update.flags:
        return True
    if step.ignored != "finished":
        return False
    poll = source.poll(job.kind)
    return poll is not None and poll.reopens


def awaits_confirmation(job: Job, source: Source, now: float) -> bool:
    """Whether a job is polled since a push said that this attempt has ended, and no poll has yet."""
    if not source.confirms(job.kind) or job.final:
        return False
    return job.attempt_since <= job.poll_requested_at and now - job.poll_requested_at < MAX_WAIT


def remember_poll_after(
    job: Job, update: StatusUpdate, source: Source, now: float, *, seen: bool
) -> Job:
    """The job with the time before which the provider wants no poll.

    A push that anybody could have sent does not prove that the provider has the job (`seen`).
    """
    if update.origin is Origin.PUSH:
        proven = seen or source.profile.signs or not source.confirms(job.kind)
        return job if proven or not job.seen else replace(job, seen=False)
    if not (update.poll_after or job.poll_not_before):
        return job
    return replace(job, poll_not_before=now + update.poll_after if update.poll_after else 0.0)
