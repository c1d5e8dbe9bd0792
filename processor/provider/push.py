"""Reads a push with its profile: its status updates, or the challenge that it must answer."""

from typing import Any

import msgspec
from msgspec.structs import replace

from processor.errors import Unreadable
from processor.json_input import mended
from processor.model import Origin, Push, StatusUpdate
from processor.provider import decode
from processor.provider.extract_update import UpdateContext, as_object, read_update
from processor.provider.ignored import CHALLENGE, CONFIRMATION, IgnoredPart, explain
from processor.provider.large_json import open_level
from processor.provider.profile import WHOLE, EchoRule, Profile


class ParsedPush(msgspec.Struct, frozen=True, gc=False):
    """The updates of a push, and why each of its other parts is not about a job.

    `errors` lists the unreadable parts of a batch, each with its index. `echo` is the response to
    a challenge; `confirm` is the URL that confirms a subscription to an SNS topic.
    """

    updates: tuple[StatusUpdate, ...]
    ignored_parts: tuple[IgnoredPart, ...] = ()
    echo: dict[str, Any] | None = None
    confirm: str | None = None
    content: bytes = b""  # dedupes updates that have no id of their own
    errors: tuple[str, ...] = ()

    @property
    def ignored(self) -> int:
        """How many parts are not about a job."""
        return len(self.ignored_parts)


def read_push(profile: Profile, source: str, push: Push, now: float) -> ParsedPush:
    """Read the updates of a push; raise Unreadable if it has errors and no readable update.

    `now` is the time of updates that have none.
    """
    rules = profile.push
    if rules is None:
        raise Unreadable(f"{profile.name} does not push")
    inside = decode.decode_push(
        rules.decode, push, signed=profile.signs, only_field=profile.signs_only_field
    )
    if rules.echo and (echo := _echo(rules.echo, inside.document, push)):
        return ParsedPush((), (CHALLENGE,), echo=echo)
    if inside.confirm:
        return ParsedPush((), (CONFIRMATION,), confirm=inside.confirm)
    parts = inside.document
    if rules.each is not WHOLE:
        parts = open_level(rules.each.find(parts, push.headers))
    parts = parts if isinstance(parts, list) else [parts]
    context = UpdateContext(
        source=source, kind=None, at=now, origin=Origin.PUSH, headers=push.headers
    )
    updates, errors, ignored = [], [], []
    for index, part in enumerate(parts):
        try:
            whole = part if isinstance(part, dict) else _object(part)
            update = _read_part(profile, whole, index, context)
        except Unreadable as error:
            errors.append(f"update {index}: {error}" if len(parts) > 1 else str(error))
            continue
        if update is None:
            conditions = [kind.push.matches for kind in profile.kinds.values() if kind.push]
            ignored.append(explain(conditions, whole, push.headers))
        else:
            updates.append(update)
    if errors and not updates:
        raise Unreadable(errors[0])
    return ParsedPush(tuple(updates), tuple(ignored), content=inside.content, errors=tuple(errors))


def accept_push(profile: Profile, source: str, push: Push, now: float) -> ParsedPush:
    """The same; an unreadable one is accepted if its provider tolerates no refusal."""
    try:
        return read_push(profile, source, push, now)
    except Unreadable as error:
        if profile.push is None or not profile.push.lenient:
            raise
        return ParsedPush((), errors=(str(error),))


def _object(part: object) -> dict[str, Any]:
    """A part that is not decoded yet; raises the error that decoding found in it, if any."""
    if isinstance(part, Unreadable):
        raise part
    return as_object(part)


def _echo(rule: EchoRule, document: Any, push: Push) -> dict[str, Any] | None:
    challenge = rule.at.find(document, push.headers)
    return {rule.key: mended(challenge)} if isinstance(challenge, str) else None


def _read_part(
    profile: Profile, part: dict[str, Any], index: int, context: UpdateContext
) -> StatusUpdate | None:
    """The update of the first kind that matches a part, or None."""
    for name, kind in profile.kinds.items():
        push_fields = kind.push
        if push_fields is None or not push_fields.matches.holds(part, context.headers):
            continue
        context = context if name is None else replace(context, kind=name)
        update = read_update(kind, push_fields, part, context)
        if name is None and profile.kind_of(update.id) is not None:
            raise Unreadable(f"the id {update.id!r} would be read as an id of another kind")
        if index and update.event_id and push_fields.event_id and push_fields.event_id.in_header:
            # One header names the whole push: each update of a batch needs an id of its own.
            return replace(update, event_id=f"{update.event_id}#{index}")
        return update
    return None
