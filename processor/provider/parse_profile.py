"""Parses the TOML of a profile into a Profile, or into one error with line, key and remedy."""

import re
import tomllib
from datetime import date
from typing import Any, TypeVar

import msgspec

from processor import text_input
from processor.errors import ConfigError
from processor.provider import consistency_checks, pointer_checks
from processor.provider.field_types import States
from processor.provider.profile import (
    JobKind,
    PollRules,
    Profile,
    PushFields,
    PushRules,
    UpdateFields,
)
from processor.provider.toml_lines import explain_toml_error, line_of, line_of_error
from processor.provider.url_template import UrlTemplate
from processor.provider.validation_messages import (
    ProfileError,
    describe_error,
    list_keys,
    unknown_key,
)
from processor.provider.webhook_setup import WebhookSetup

_T = TypeVar("_T", bound=msgspec.Struct)
_KIND = re.compile(r"[a-z][a-z0-9_]*")
_SHARED = frozenset(field.encode_name for field in msgspec.structs.fields(PushRules))


class _KindTables(msgspec.Struct, kw_only=True):
    """The tables of one kind, not converted yet."""

    mirror: UrlTemplate | None = None
    push: dict[str, Any] = {}
    poll: dict[str, Any] = {}
    submit: dict[str, Any] = {}
    states: dict[str, Any] = {}


class _ProfileFile(_KindTables, kw_only=True):
    """The whole file, not converted yet: the default kind's tables, and what all kinds share."""

    docs: str = ""
    checked: date | None = None
    inferred: str = ""
    base_url: str | None = None
    params: dict[str, str] = {}
    kinds: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    register: dict[str, Any] = msgspec.field(default_factory=dict)


def parse(name: str, text: str, where: str = "") -> Profile:
    """Parse a profile; raise ConfigError naming file, line, key and remedy."""
    where, text = where or f"providers/{name}.toml", text.removeprefix(text_input.MARK)
    try:
        return _profile(name, _table("", tomllib.loads(text), _ProfileFile))
    except ProfileError as error:
        line = line_of(text, error.table, error.key)
        raise ConfigError(f"{where}:{line}: {error}") from None
    except ValueError as error:  # tomllib's
        line, why = line_of_error(text, error), explain_toml_error(text, error)
        raise ConfigError(f"{where}:{line}: {why}") from None


def decode_profile(raw: bytes, where: str) -> str:
    """Decode a profile's file; ConfigError if it is not UTF-8."""
    try:
        return text_input.decode_text(raw)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{where}:{line}: is not UTF-8; save the file as UTF-8") from None


def _profile(name: str, file: _ProfileFile) -> Profile:
    consistency_checks.check_base(file.base_url)
    shared = {key: file.push.pop(key) for key in _SHARED if key in file.push}
    tables: dict[str | None, _KindTables] = {
        kind: _table(f"kinds.{_kind_name(kind)}", table, _KindTables)
        for kind, table in file.kinds.items()
    }
    if file.push or file.poll or file.states or file.mirror:
        tables = {None: file, **tables}
    kinds = {kind: _kind(kind, kind_tables) for kind, kind_tables in tables.items()}
    pushes = any(kind.push for kind in kinds.values())
    if not kinds or (shared and not pushes):
        need = "no table says how to read a job; add `id` and `status` to [push]"
        raise ProfileError("push" if shared else "", "", need)
    rules = _table("push", shared, PushRules) if pushes else None
    consistency_checks.check_pointers("push", pointer_checks.pointers_of(shared), answered=False)
    register = _table("register", file.register, WebhookSetup) if file.register else None
    consistency_checks.check_pointers(
        "register", pointer_checks.pointers_of_register(file.register), answered=False
    )
    return Profile(
        name=name,
        base_url=file.base_url,
        push=rules,
        kinds=kinds,
        params=file.params,
        docs=file.docs,
        checked=file.checked,
        inferred=file.inferred,
        register=register,
    )


def _kind_name(name: str) -> str:
    if not _KIND.fullmatch(name):
        need = f"kinds.{name}: the name of a kind has only lower-case letters, digits and _"
        raise ProfileError("", f"kinds.{name}", need)
    return name


def _kind(name: str | None, kind_tables: _KindTables) -> JobKind:
    at = "" if name is None else f"kinds.{name}."
    if not (kind_tables.push or kind_tables.poll):
        need = f"[{at}push] or [{at}poll] is missing; add one, so that a job's status can be read"
        raise ProfileError("", f"kinds.{name}" if name else "", need)
    consistency_checks.check_interval(f"{at}poll", kind_tables.poll.get("every"))
    kind = JobKind(
        push=_table(f"{at}push", kind_tables.push, PushFields) if kind_tables.push else None,
        poll=_table(f"{at}poll", kind_tables.poll, PollRules) if kind_tables.poll else None,
        submit=_table(f"{at}submit", kind_tables.submit, UpdateFields)
        if kind_tables.submit
        else None,
        states=_states(f"{at}states", kind_tables.states),
        mirror=kind_tables.mirror,
    )
    if kind.mirror and not (kind.poll and kind.mirror.text.startswith("/")):
        need = f"{at}mirror is a path that starts with `/`, and needs [{at}poll]"
        raise ProfileError("", f"{at}mirror", need)
    consistency_checks.check_status_rules(at, kind)
    consistency_checks.check_request(at, kind)
    consistency_checks.check_cancel(at, kind)
    for to, table in (
        ("push", kind_tables.push),
        ("poll", kind_tables.poll),
        ("submit", kind_tables.submit),
    ):
        consistency_checks.check_pointers(
            f"{at}{to}", pointer_checks.pointers_of(table), answered=to != "push"
        )
    consistency_checks.check_list(
        f"{at}poll", kind.poll, pointer_checks.pointers_of(kind_tables.poll)
    )
    return kind


def _states(at: str, table: dict[str, Any]) -> States:
    try:
        return States(table)
    except ValueError as error:
        raise ProfileError(at, str(error).partition(" = ")[0], str(error)) from None


def _table(at: str, table: dict[str, Any], shape: type[_T]) -> _T:
    """Convert one table of the file; raise ProfileError naming table, key and remedy."""
    known = {field.encode_name for field in msgspec.structs.fields(shape)}
    for key in table:
        if key not in known:
            raise ProfileError(at, key, _unknown(at, key, shape))
    try:
        return msgspec.convert(table, shape, dec_hook=lambda kind, value: kind(value))
    except msgspec.ValidationError as error:
        raise describe_error(at, shape, table, error) from None


def _unknown(at: str, key: str, shape: type[msgspec.Struct]) -> str:
    """The message for an unknown key; [push] also allows the keys that all kinds share."""
    if shape is PushFields and key in _SHARED:
        return f"`{key}` is shared by all kinds; move it to [push]"
    return unknown_key(key, shape, list_keys(PushRules) if at == "push" else "")
