"""What a caller wishes for a job: read, checked, and added to what is known of it."""

import hashlib
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec.structs import replace

from processor import provider
from processor.config import Source
from processor.errors import InvalidValue
from processor.model import Callback, Job, Polling, StatusUpdate, Subscription
from processor.service.runtime.context import Context
from processor.service.runtime.size_limits import check_job
from processor.service.subscriptions.validation import check_secret, check_target, lane_of

CALLBACKS = 8  # a job may have so many
SHORTEST = 0.001  # seconds of any wish
LONGEST_INTERVAL = 86_400.0
LONGEST_DEADLINE = 3650 * 86_400.0

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
    """A wish, read and checked."""

    source: Source
    id: str
    wish: WatchRequest
    aliases: tuple[str, ...]
    submitted: StatusUpdate | None
    callback: Subscription | None
    trace: str | None


def read(
    context: Context, source: Source, job: str, wish: WatchRequest, *, now: float, trace: str | None
) -> ParsedWatchRequest:
    """A wish with all that it means; Invalid for what means nothing."""
    submitted = _submitted(source, job, wish, now)
    return ParsedWatchRequest(
        source=source,
        id=_canonical(job, submitted),
        wish=wish,
        aliases=_aliases(job, wish, submitted),
        submitted=submitted,
        callback=_callback(context, wish),
        trace=trace,
    )


def _submitted(source: Source, job: str, wish: WatchRequest, now: float) -> StatusUpdate | None:
    given = wish.submitted
    if given is None:
        return None
    return provider.read_submit(
        source.profile, source.name, job, given.status, given.headers, given.body, now
    )


def _canonical(job: str, submitted: StatusUpdate | None) -> str:
    """The id to watch: the provider's own, unless the caller's is one of its names too."""
    if submitted is None or job in submitted.aliases:
        return job
    return submitted.id


def _aliases(job: str, wish: WatchRequest, submitted: StatusUpdate | None) -> tuple[str, ...]:
    names = [*wish.aliases, *([job, submitted.id, *submitted.aliases] if submitted else [])]
    canonical = _canonical(job, submitted)
    for name in names:
        try:
            provider.check_id(name)
        except ValueError as error:
            raise InvalidValue(f"aliases: {error}") from None
    return tuple(dict.fromkeys(n for n in names if n != canonical))


def _callback(context: Context, wish: WatchRequest) -> Subscription | None:
    if wish.callback_url is None:
        return None
    secret = wish.callback_secret or context.settings.callback_secret
    if secret is None:
        raise InvalidValue("callback_url: give a callback_secret, or set RINGBACK_CALLBACK_SECRET")
    check_secret("callback_secret", secret)
    check_target(context, "callback_url", wish.callback_url)
    digest = hashlib.sha256(f"{wish.callback_url} {secret}".encode()).hexdigest()[:24]
    return Subscription(id=f"cb_{digest}", url=wish.callback_url, secrets=(secret,))


def merged(job: Job, wanted: ParsedWatchRequest) -> Job:
    """The job with what is wished for it; Invalid for what it cannot have."""
    wish, callback = wanted.wish, wanted.callback
    deadline = _seconds("deadline", wish.deadline, LONGEST_DEADLINE) or job.deadline
    callbacks = job.callbacks
    known = {job.id, *job.aliases}
    if callback and all(c.id != callback.id for c in callbacks):
        callbacks = (*callbacks, Callback(callback.id, lane_of(callback.url)))
    if len(callbacks) > CALLBACKS:
        raise InvalidValue(f"callback_url: a job has at most {CALLBACKS} callbacks")
    new = replace(
        job,
        metadata=job.metadata | wish.metadata,
        params=job.params | wish.params,
        deadline=deadline,
        deadline_at=job.deadline_at if wish.deadline is None else job.created_at + deadline,
        polling=_polling(job.polling, wish),
        aliases=(*job.aliases, *(a for a in wanted.aliases if a not in known)),
        callbacks=callbacks,
        trace=wanted.trace or job.trace,
    )
    check_job(job, new)
    return new


def _polling(old: Polling, wish: WatchRequest) -> Polling:
    if wish.poll is msgspec.UNSET:
        return old
    if isinstance(wish.poll, PollSettings):
        return Polling(every=_seconds("poll.every", wish.poll.every, LONGEST_INTERVAL))
    return Polling(enabled=bool(wish.poll))


def _seconds(field: str, text: str | None, most: float) -> float | None:
    if text is None:
        return None
    try:
        seconds = provider.duration(text)
    except ValueError as error:
        raise InvalidValue(f"{field}: {error}") from None
    if not SHORTEST <= seconds <= most:
        raise InvalidValue(f"{field}: must be {SHORTEST:g} s to {most:g} s")
    return seconds
