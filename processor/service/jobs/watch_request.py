"""The body of `PUT /v1/jobs/{source}/{id}`: parsed, checked, and added to the job's record."""

import hashlib
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec.structs import replace

from processor import durations, provider
from processor.config import Source
from processor.durations import MAX_DEADLINE, MIN_DURATION
from processor.errors import InvalidValue
from processor.model import Callback, Job, Membership, Polling, StatusUpdate, Subscription
from processor.service.runtime.context import Context
from processor.service.runtime.size_limits import check_job
from processor.service.subscriptions.validation import check_secret, check_target, lane_of

MAX_CALLBACKS = 8  # of a job
MAX_POLL_INTERVAL = 86_400.0  # seconds

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class PollSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{"every": "5s"}`."""

    every: str


class Submitted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The provider's answer to the caller's own submit call."""

    body: Any
    status: int = 200
    headers: dict[str, str] = {}


class WatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /v1/jobs/{source}/{id}`; everything is optional."""

    metadata: Annotated[
        dict[str, Any],
        msgspec.Meta(description="At most 65,536 bytes as JSON, with what is there already"),
    ] = {}
    deadline: str | None = None
    poll: bool | PollSettings | msgspec.UnsetType = msgspec.UNSET
    params: Annotated[
        dict[str, Annotated[str, msgspec.Meta(max_length=4096)]],
        msgspec.Meta(description="At most 16,384 bytes as JSON, with what is there already"),
    ] = {}
    aliases: Annotated[
        list[Text],
        msgspec.Meta(max_length=16, description="At most 32 with what is there already"),
    ] = []
    callback_url: str | None = None
    callback_secret: str | None = None
    submitted: Submitted | None = None


class ParsedWatchRequest(NamedTuple):
    """A body that was checked, and what it means for the job."""

    source: Source
    id: str
    body: WatchRequest
    aliases: tuple[str, ...]
    submitted: StatusUpdate | None
    callback: Subscription | None
    trace: str | None
    membership: Membership | None = None  # of the group that it becomes a member of


def parse(
    context: Context, source: Source, job: str, body: WatchRequest, *, now: float, trace: str | None
) -> ParsedWatchRequest:
    """Check a body; InvalidValue if a value in it cannot be used."""
    submitted = _submitted(source, job, body, now)
    return ParsedWatchRequest(
        source=source,
        id=_canonical(job, submitted),
        body=body,
        aliases=_aliases(job, body, submitted),
        submitted=submitted,
        callback=parse_callback(context, body.callback_url, body.callback_secret),
        trace=trace,
    )


def _submitted(source: Source, job: str, body: WatchRequest, now: float) -> StatusUpdate | None:
    answer = body.submitted
    if answer is None:
        return None
    return provider.read_submit_response(
        source.profile, source.name, job, answer.status, answer.headers, answer.body, now
    )


def _canonical(job: str, submitted: StatusUpdate | None) -> str:
    """The id to watch: the provider's own, unless the caller's id is one of the job's names too."""
    if submitted is None or job in submitted.aliases:
        return job
    return submitted.id


def _aliases(job: str, body: WatchRequest, submitted: StatusUpdate | None) -> tuple[str, ...]:
    names = [*body.aliases, *([job, submitted.id, *submitted.aliases] if submitted else [])]
    canonical = _canonical(job, submitted)
    for name in names:
        try:
            provider.check_id(name)
        except ValueError as error:
            raise InvalidValue(f"aliases: {error}") from None
    return tuple(dict.fromkeys(n for n in names if n != canonical))


def parse_callback(context: Context, url: str | None, secret: str | None) -> Subscription | None:
    """The target of a callback URL, which has the same id for the same URL and secret."""
    if url is None:
        if secret is not None:
            raise InvalidValue("callback_secret: there is no callback_url that it could sign")
        return None
    secret = context.settings.callback_secret if secret is None else secret
    if secret is None:
        raise InvalidValue("callback_url: send a callback_secret, or set RINGBACK_CALLBACK_SECRET")
    check_secret("callback_secret", secret)
    check_target(context, "callback_url", url)
    digest = hashlib.sha256(f"{url} {secret}".encode()).hexdigest()[:24]
    return Subscription(id=f"cb_{digest}", url=url, secrets=(secret,))


def with_request(job: Job, request: ParsedWatchRequest) -> Job:
    """The job with what a request adds; InvalidValue if that goes beyond a limit."""
    body, callback = request.body, request.callback
    deadline = parse_seconds("deadline", body.deadline, MAX_DEADLINE) or job.deadline
    callbacks = job.callbacks
    names = {job.id, *job.aliases}
    if callback and all(c.id != callback.id for c in callbacks):
        callbacks = (*callbacks, Callback(callback.id, lane_of(callback.url)))
    if len(callbacks) > MAX_CALLBACKS:
        raise InvalidValue(f"callback_url: a job has at most {MAX_CALLBACKS} callbacks")
    new = replace(
        job,
        metadata=job.metadata | body.metadata,
        params=job.params | body.params,
        deadline=deadline,
        deadline_at=job.deadline_at + (deadline - job.deadline),  # from the start of this attempt
        polling=_polling(job.polling, body),
        aliases=(*job.aliases, *(a for a in request.aliases if a not in names)),
        callbacks=callbacks,
        groups=_groups(job, request.membership),
        trace=request.trace or job.trace,
        own_trace=job.own_trace and not request.trace,
    )
    check_job(job, new)
    return new


def _groups(job: Job, new: Membership | None) -> tuple[Membership, ...]:
    """The groups of a job with a new one, in place of an earlier group with the same id."""
    if new is None or new in job.groups:
        return job.groups
    return (*(m for m in job.groups if m.group != new.group or m.uid == new.uid), new)


def _polling(old: Polling, body: WatchRequest) -> Polling:
    if body.poll is msgspec.UNSET:
        return old
    if isinstance(body.poll, PollSettings):
        return Polling(every=parse_seconds("poll.every", body.poll.every, MAX_POLL_INTERVAL))
    return Polling(enabled=bool(body.poll))


def parse_seconds(field: str, text: str | None, most: float) -> float | None:
    """A duration in a request, in seconds; InvalidValue if it is not one, or out of bounds."""
    if text is None:
        return None
    try:
        seconds = durations.parse_duration(text)
    except ValueError as error:
        raise InvalidValue(f"{field}: {error}") from None
    if not MIN_DURATION <= seconds <= most:
        least, longest = durations.write_duration(MIN_DURATION), durations.write_duration(most)
        raise InvalidValue(f"{field}: {text} is out of range; it goes from {least} to {longest}")
    return seconds
