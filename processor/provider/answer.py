"""An answer to a poll: what it says about the job, or why it says nothing."""

from typing import Literal

import msgspec

from processor.errors import Unreadable
from processor.model import Answer, Origin, StatusUpdate
from processor.provider.names import bare_id, full_id
from processor.provider.profile import Poll, Profile
from processor.provider.reading import Context, as_object, read_json, read_update
from processor.provider.seconds import retry_after

TroubleKind = Literal["gone", "missing", "throttled", "unauthorized", "failed"]

LONGEST_EXCERPT = 200  # characters of a body that explain a failure


class Trouble(msgspec.Struct, frozen=True):
    """A poll that brought no status.

    `gone`: the provider dropped the job. `missing`: it does not know the job (yet).
    `throttled`: ask this account later. `unauthorized`: the token is refused, for all of
    the source's jobs. `failed`: anything else. `retry_after` is in seconds, where given.
    """

    kind: TroubleKind
    reason: str
    retry_after: float | None = None


TROUBLES: dict[int, TroubleKind] = {
    401: "unauthorized",
    403: "unauthorized",
    404: "missing",
    410: "missing",
    429: "throttled",
}


def read_answer(  # noqa: PLR0917 - one fact of the question each
    profile: Profile,
    source: str,
    kind: str | None,
    id: str,  # noqa: A002 - the field's word
    answer: Answer,
    asked_at: float,
    origin: Origin = Origin.POLL,
) -> StatusUpdate | Trouble:
    """Read what a provider answered about one job; nothing in it can raise.

    The update keeps the id that was asked about; other ids in it are aliases.
    """
    known, poll = profile.kinds.get(kind), profile.polls(kind)
    if known is None or poll is None:
        return Trouble("failed", f"{profile.name} has no [poll] for this kind of job")
    if answer.status not in poll.reads:
        return _trouble(poll, answer, asked_at)
    context = Context(
        source=source,
        kind=kind,
        at=asked_at,
        origin=origin,
        headers=answer.headers,
        job=full_id(kind, bare_id(kind, id)),
        reopens=poll.reopens,
    )
    try:
        update = as_object(poll.root.find(read_json(answer.body), answer.headers))
        return read_update(known, poll, update, context)
    except Unreadable as error:
        return Trouble("failed", f"HTTP {answer.status}, but {error}: {excerpt(answer.body)}")


def _trouble(poll: Poll, answer: Answer, asked_at: float) -> Trouble:
    wait = retry_after(answer.headers.get("retry-after"), asked_at + answer.seconds)
    kind = TROUBLES.get(answer.status, "failed")
    if kind == "missing" and poll.gone:
        kind = "gone"
    if answer.status == 503 and wait is not None:  # noqa: PLR2004 - RFC 9110, 15.6.4
        kind = "throttled"
    return Trouble(kind, f"HTTP {answer.status}: {excerpt(answer.body)}", wait)


def excerpt(body: bytes) -> str:
    """The beginning of a body as one printable line: what went wrong, in their words."""
    text = " ".join(body[: 4 * LONGEST_EXCERPT].decode("utf-8", "replace").split())
    shown = "".join(letter for letter in text if letter.isprintable())[:LONGEST_EXCERPT]
    return shown or "no body"
