"""The provider's answer to the user's own submit call, handed to us to start from."""

from collections.abc import Mapping
from typing import Any

import msgspec

from processor.errors import Invalid, Unreadable
from processor.model import Origin, StatusUpdate
from processor.provider.answer import excerpt
from processor.provider.profile import Profile
from processor.provider.reading import Context, as_object, read_json, read_update


def read_submit(  # noqa: PLR0917 - one fact of the question each
    profile: Profile,
    source: str,
    status: int,
    headers: Mapping[str, str],
    body: Any,
    now: float,
    kind: str | None = None,
) -> StatusUpdate:
    """Read id, aliases and state, as a poll's answer is read; raise Invalid with the reason.

    `body` is JSON as text or bytes, or already decoded.
    """
    known, poll = profile.kinds.get(kind), profile.polls(kind)
    if known is None or poll is None:
        raise Invalid(f"`submitted` cannot be read: {profile.name} has no [poll] for it")
    raw = body if isinstance(body, bytes) else _encoded(body)
    if not (200 <= status < 300 or status in poll.reads):  # noqa: PLR2004 - HTTP's success
        raise Invalid(f"`submitted` is HTTP {status}, so it started no job: {excerpt(raw)}")
    lower = {name.lower(): value for name, value in headers.items()}
    context = Context(source=source, kind=kind, at=now, origin=Origin.SUBMIT, headers=lower)
    try:
        update = as_object(poll.root.find(read_json(raw), lower))
        return read_update(known, poll, update, context)
    except Unreadable as error:
        raise Invalid(f"`submitted` names no job, {error}: {excerpt(raw)}") from None


def _encoded(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass")
    return msgspec.json.encode(body)
