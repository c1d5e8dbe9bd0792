"""From the text of a profile to a Profile, or to one line that says what to change."""

import re
import tomllib
from typing import Any, TypeVar

import msgspec

from processor.errors import ConfigError
from processor.provider.profile import Kind, Poll, Profile, Push, Told
from processor.provider.template import Template
from processor.provider.words import States

_T = TypeVar("_T", bound=msgspec.Struct)
_KIND = re.compile(r"[a-z][a-z0-9_]*")
_SHARED = ("verify", "each")  # the part of `[push]` that is not about one kind


class _Family(msgspec.Struct, kw_only=True):
    """The tables of one kind, unread."""

    mirror: Template | None = None
    push: dict[str, Any] = {}
    poll: dict[str, Any] = {}
    states: dict[str, Any] = {}


class _File(_Family, kw_only=True):
    """The whole file, unread: the default kind's tables, and what the kinds share."""

    base_url: str | None = None
    kinds: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)


def parse(name: str, text: str) -> Profile:
    """Read a profile; raise ConfigError naming file, key and remedy."""
    try:
        return _profile(name, _table("", tomllib.loads(text), _File))
    except ValueError as error:  # tomllib's names the line
        raise ConfigError(f"providers/{name}.toml: {error}") from None


def _profile(name: str, file: _File) -> Profile:
    shared = {key: file.push.pop(key) for key in _SHARED if key in file.push}
    families: dict[str | None, _Family] = {
        kind: _table(f"kinds.{_kind_name(kind)}", table, _Family)
        for kind, table in file.kinds.items()
    }
    if file.push or file.poll or file.states or file.mirror:
        families = {None: file, **families}
    kinds = {kind: _kind(kind, family) for kind, family in families.items()}
    pushes = any(kind.push for kind in kinds.values())
    if not kinds or (shared and not pushes):
        raise ValueError("nothing says how to read a job; add the `id` and `status` of [push]")
    push = _table("push", shared, Push) if pushes else None
    return Profile(name=name, base_url=file.base_url, push=push, kinds=kinds)


def _kind_name(name: str) -> str:
    if not _KIND.fullmatch(name):
        raise ValueError(f"kinds.{name}: a kind's name is lower-case letters, digits and _")
    return name


def _kind(name: str | None, family: _Family) -> Kind:
    at = "" if name is None else f"kinds.{name}."
    if not (family.push or family.poll):
        raise ValueError(f"[{at}push] or [{at}poll] is needed: how else is a job's status known")
    kind = Kind(
        push=_table(f"{at}push", family.push, Told) if family.push else None,
        poll=_table(f"{at}poll", family.poll, Poll) if family.poll else None,
        states=_states(f"{at}states", family.states),
        mirror=family.mirror,
    )
    if kind.mirror and not (kind.poll and kind.mirror.text.startswith("/")):
        raise ValueError(f"{at}mirror is a path that starts with `/`, and needs [{at}poll]")
    return kind


def _states(at: str, table: dict[str, Any]) -> States:
    try:
        return States(table)
    except ValueError as error:
        raise ValueError(f"[{at}] {error}") from None


def _table(at: str, table: dict[str, Any], shape: type[_T]) -> _T:
    """Convert one table of the file; raise ValueError naming table, key and remedy."""
    where = f"[{at}] " if at else ""
    known = sorted(field.encode_name for field in msgspec.structs.fields(shape))
    for key in table:
        if key not in known:
            raise ValueError(f"{where}unknown key `{key}`; it takes {', '.join(known)}")
    try:
        return msgspec.convert(table, shape, dec_hook=lambda kind, value: kind(value))
    except msgspec.ValidationError as error:
        what, _, key = str(error).partition(" - at `$.")
        raise ValueError(f"{where}{key.rstrip('`')}{': ' if key else ''}{what}") from None
