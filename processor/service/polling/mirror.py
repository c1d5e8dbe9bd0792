"""The provider's own status call, answered from the last poll, for clients that use no other.

A job that is not watched, or whose last answer is too old for the reader, is polled at once; this
poll counts in the source's concurrency and budget. With a key the job is watched from then on.
Without a key (`mirror = "open"`) nothing is watched, the answer is repeated until the next poll
would be due, and most of the concurrency and half of the budget's burst are left for polls; the
source's secrets are masked in what such a caller gets.
"""

import asyncio
from contextlib import nullcontext, suppress
from typing import NamedTuple

from processor import provider
from processor.config import Source
from processor.config.redaction import redact_body
from processor.errors import NotFinished, NotFound, Overloaded, ProviderError, RequestError
from processor.model import FINAL, StatusUpdate
from processor.provider import PollFailure
from processor.service.events.tail import Tailer
from processor.service.groups.wait import wait_for_job
from processor.service.polling.last_answer import LastAnswer
from processor.service.polling.mirror_poll import MirrorPolls, Polled, StoredJob
from processor.service.polling.recent_answers import RecentAnswers
from processor.service.runtime.context import Context
from processor.sizes import IN_THREAD

FAILURE_LASTS = 5.0  # seconds for which a failed answer is repeated, without another poll
MAX_HOLD = 25.0  # seconds that a reader of `/final/` is held
MAX_HELD_WITHOUT_KEY = 256  # such readers of a process: connections are left for pushes

Name = tuple[str, str]  # source, id


class Reader(NamedTuple):
    """Who reads: with a key or not, and how many seconds old an answer may be (None: any age)."""

    has_key: bool
    max_age: float | None = None


class MirrorResponse(NamedTuple):
    """What the mirror answers: an answer of the provider, and its age in seconds."""

    answer: LastAnswer
    age: float
    retry_after: str | None = None


class Mirror:
    """Answers for all sources."""

    def __init__(self, context: Context, tailer: Tailer) -> None:
        self._context, self._tailer = context, tailer
        self._polls = MirrorPolls(context)
        self._recent: RecentAnswers[Name, Polled] = RecentAnswers()
        self._failed: RecentAnswers[Name, str] = RecentAnswers()
        self._held_without_key = asyncio.Semaphore(MAX_HELD_WITHOUT_KEY)

    async def read(self, source: Source, job: str, reader: Reader) -> MirrorResponse:
        """The last answer about a job, after a poll if it is too old for this reader."""
        return await _for_reader(source, reader, await self._read(source, job, reader))

    async def _read(self, source: Source, job: str, reader: Reader) -> MirrorResponse:
        stored = await self._polls.stored(source, job)
        if stored.answer is None:
            return await self._first(source, job, stored, reader)
        last = await self._response(stored.answer)
        if _is_fresh(source, stored, last, reader.max_age):
            return last
        return await self._refreshed(source, stored, reader) or last

    async def read_final(self, source: Source, job: str, reader: Reader) -> MirrorResponse:
        """The answer that ends a job, or a refusal; NotFinished if it does not end in time."""
        response = await self._read(source, job, reader)
        if _still_runs(source, job, response.answer) and await self._held(source, job, reader):
            response = await self._read(source, job, Reader(reader.has_key))
        if _still_runs(source, job, response.answer):
            raise NotFinished("The job has not finished; try again")
        return await _for_reader(source, reader, response)

    async def _held(self, source: Source, job: str, reader: Reader) -> bool:
        """Return when a job has ended or the time is up; False: at once, this one is not waited for."""
        if not reader.has_key and self._held_without_key.locked():
            return False
        with suppress(NotFound):  # it is not watched, so nothing tells when it ends
            async with nullcontext() if reader.has_key else self._held_without_key:
                await wait_for_job(self._context, self._tailer, (source.name, job), MAX_HOLD)
                return True
        return False

    async def _first(
        self, source: Source, job: str, stored: StoredJob, reader: Reader
    ) -> MirrorResponse:
        """Poll a job without an answer, unless that was done a moment ago."""
        name = (source.name, job)
        polled = self._recent.get(name)
        if polled is None or (reader.has_key and isinstance(polled.outcome, StatusUpdate)):
            polled = await self._polls.poll(source, stored, has_key=reader.has_key)
            if polled.outcome is not None:
                seconds, size = _lasts(source, job, polled.outcome), len(polled.answer.body)
                self._recent.put(name, polled, seconds, size)
        return await self._response(polled.answer, polled.retry_after)

    async def _refreshed(
        self, source: Source, stored: StoredJob, reader: Reader
    ) -> MirrorResponse | None:
        """The answer to a new poll; None if it fails, or one failed a moment ago.

        A refusal by the limits for readers without a key does not count as a failure.
        """
        name = (source.name, stored.id)
        if self._failed.get(name):
            return None
        try:
            polled = await self._polls.poll(source, stored, has_key=reader.has_key)
            if not isinstance(polled.outcome, PollFailure):
                return await self._response(polled.answer)
        except Overloaded:
            if not reader.has_key:
                return None
        except (ProviderError, RequestError):
            pass
        self._failed.put(name, "failed", FAILURE_LASTS)
        return None

    async def _response(self, answer: LastAnswer, retry_after: str | None = None) -> MirrorResponse:
        age = max(await self._context.store.now() - answer.at, 0.0)
        return MirrorResponse(answer, age, retry_after)


async def _for_reader(source: Source, reader: Reader, response: MirrorResponse) -> MirrorResponse:
    """The response, without the source's secrets for a reader without a key."""
    answer = response.answer
    if reader.has_key:
        return response
    if len(answer.body) <= IN_THREAD:
        body = redact_body(source, answer.body)
    else:
        body = await asyncio.to_thread(redact_body, source, answer.body)
    return response._replace(answer=answer._replace(body=body))


def _is_fresh(
    source: Source, stored: StoredJob, last: MirrorResponse, max_age: float | None
) -> bool:
    """Whether an answer is new enough, and not overtaken by a push that ended the job."""
    job = stored.job
    if job and job.state in FINAL and not _is_final(source, stored.id, last.answer):
        poll = source.poll(job.kind)
        ended = job.ended_at or 0.0
        return last.answer.at > ended and poll is not None and last.age <= poll.every[0]
    return max_age is None or last.age <= max_age


def _is_final(source: Source, job: str, answer: LastAnswer) -> bool:
    """Whether an answer says that the job has ended."""
    outcome = provider.read_poll_response(
        source.profile, source.name, source.kind_of(job), job, answer.as_response(), answer.at
    )
    if isinstance(outcome, PollFailure):
        return outcome.kind == "gone"
    return outcome.state in FINAL


def _still_runs(source: Source, job: str, answer: LastAnswer) -> bool:
    """Whether an answer describes a job that has not ended; a refusal describes none."""
    rules = source.profile.polls(source.kind_of(job))
    describes = rules is not None and answer.status in rules.reads
    return describes and not _is_final(source, job, answer)


def _lasts(source: Source, job: str, outcome: StatusUpdate | PollFailure) -> float:
    """For how many seconds an answer is repeated: the poll interval of a young job."""
    poll = source.poll(source.kind_of(job))
    if poll is None or isinstance(outcome, PollFailure):
        return FAILURE_LASTS
    return min(poll.every[0], source.mirror_max_age or poll.every[0])
