"""A push, read through its profile: which updates it holds, and what it asks in return."""

from typing import Any

import msgspec
from msgspec.structs import replace

from processor.errors import Unreadable
from processor.json_input import mended
from processor.model import Origin, Push, StatusUpdate
from processor.provider import decode
from processor.provider.extract_update import UpdateContext, as_object, read_update
from processor.provider.large_json import open_level
from processor.provider.profile import EchoRule, Profile


class ParsedPush(msgspec.Struct, frozen=True):
    """What a push said: its updates, and how many of its parts are not about a job.

    `errors` are the parts of a batch that cannot be read, each with its place.
    `echo` is what a challenge is answered with; `confirm` the URL at which a topic wants
    to hear that we take its messages.
    """

    updates: tuple[StatusUpdate, ...]
    ignored: int
    echo: dict[str, Any] | None = None
    confirm: str | None = None
    content: bytes = b""  # what an update without an id of its own is deduped by
    errors: tuple[str, ...] = ()


def check_content_type(profile: Profile, push: Push) -> None:
    """Raise WrongType unless the body claims to be what this provider sends."""
    if profile.push is not None:
        decode.check_content_type(profile.name, profile.push.decode, push.headers)


def read_push(profile: Profile, source: str, push: Push, now: float) -> ParsedPush:
    """Read the updates of a push; raise Unreadable if none can be read for a fault in it.

    `now` is the time of updates that carry none.
    """
    rules = profile.push
    if rules is None:
        raise Unreadable(f"{profile.name} does not push")
    inside = decode.decode_push(rules.decode, push, signed=profile.signs)
    if rules.echo and (echo := _echo(rules.echo, inside.document, push)):
        return ParsedPush((), 1, echo=echo)
    if inside.confirm:
        return ParsedPush((), 1, confirm=inside.confirm)
    parts = open_level(rules.each.find(inside.document, push.headers))
    parts = parts if isinstance(parts, list) else [parts]
    known = UpdateContext(
        source=source, kind=None, at=now, origin=Origin.PUSH, headers=push.headers
    )
    updates, errors = [], []
    for index, part in enumerate(parts):
        try:
            update = _read_part(profile, _object(part), index, known)
        except Unreadable as problem:
            errors.append(f"update {index}: {problem}" if len(parts) > 1 else str(problem))
            continue
        if update is not None:
            updates.append(update)
    if errors and not updates:
        raise Unreadable(errors[0])
    ignored = len(parts) - len(updates) - len(errors)
    return ParsedPush(tuple(updates), ignored, content=inside.content, errors=tuple(errors))


def _object(part: object) -> dict[str, Any]:
    """An update of a batch, unless it was found to be none already."""
    if isinstance(part, Unreadable):
        raise part
    return as_object(part)


def _echo(rule: EchoRule, document: Any, push: Push) -> dict[str, Any] | None:
    challenge = rule.at.find(document, push.headers)
    return {rule.key: mended(challenge)} if isinstance(challenge, str) else None


def _read_part(
    profile: Profile, part: dict[str, Any], index: int, known: UpdateContext
) -> StatusUpdate | None:
    """The update for the first kind that a part is about, or None."""
    for name, kind in profile.kinds.items():
        told = kind.push
        if told is None or not told.matches.holds(part, known.headers):
            continue
        known = known if name is None else replace(known, kind=name)
        update = read_update(kind, told, part, known)
        if name is None and profile.kind_of(update.id) is not None:
            raise Unreadable(f"the id {update.id!r} would be taken for one of another kind")
        if index and update.event_id and told.event_id and told.event_id.in_header:
            # One header names the whole push: each update of a batch needs an id of its own.
            return replace(update, event_id=f"{update.event_id}#{index}")
        return update
    return None
