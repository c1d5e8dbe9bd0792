"""A push, read through its profile: what it takes, and which updates it holds."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from processor.errors import Unreadable, WrongType
from processor.model import Origin, StatusUpdate
from processor.provider.profile import Profile
from processor.provider.reading import Context, as_object, read_json, read_update


class Reading(msgspec.Struct, frozen=True):
    """What a push said: its updates, and how many of its parts are not about a job."""

    updates: tuple[StatusUpdate, ...]
    ignored: int


def check_content_type(profile: Profile, content_type: str | None) -> None:
    """Raise WrongType unless the body claims to be JSON."""
    mime = (content_type or "").partition(";")[0].strip().lower()
    if mime == "application/json" or (mime.startswith("application/") and mime.endswith("+json")):
        return
    raise WrongType(f"{profile.name} pushes application/json, not {mime or 'without a type'}")


def read_push(
    profile: Profile, source: str, headers: Mapping[str, str], body: bytes, now: float
) -> Reading:
    """Read all updates of a push; raise Unreadable if one of them cannot be read.

    Header names are in lower case; `now` is the time of updates that carry none.
    """
    if profile.push is None:
        raise Unreadable(f"{profile.name} does not push")
    parts = profile.push.each.find(read_json(body), headers)
    parts = parts if isinstance(parts, list) else [parts]
    known = Context(source=source, kind=None, at=now, origin=Origin.PUSH, headers=headers)
    read = [_read_part(profile, as_object(part), index, known) for index, part in enumerate(parts)]
    updates = tuple(update for update in read if update is not None)
    return Reading(updates, len(parts) - len(updates))


def _read_part(
    profile: Profile, part: dict[str, Any], index: int, known: Context
) -> StatusUpdate | None:
    """The update for the first kind that a part is about, or None."""
    for name, kind in profile.kinds.items():
        told = kind.push
        if told is None or not told.about.matches(part, known.headers):
            continue
        known = known if name is None else replace(known, kind=name)
        update = read_update(kind, told, part, known)
        if index and update.event_id and told.event_id and told.event_id.in_header:
            # One header names the whole push: each update of a batch needs an id of its own.
            return replace(update, event_id=f"{update.event_id}#{index}")
        return update
    return None
