"""Path and query parameters, validated; and the pages and cursors of lists."""

import base64
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

import msgspec
from starlette.requests import Request

from processor import provider
from processor.config import Source
from processor.errors import InvalidValue, RequestError

LIMIT, MAX_LIMIT = 50, 200  # items of a page

Item = TypeVar("Item")
Word = TypeVar("Word", bound=str)
Key = tuple[float, str]
"""The sort key of a list, and the content of its cursors: a number, and a name for ties."""

_decode: Callable[[bytes], Key] = msgspec.json.Decoder(Key).decode
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,20})?")


def segment(request: Request, name: str) -> str:
    """A path parameter, percent-decoded; the router sees paths as they were sent."""
    try:
        return unquote(request.path_params[name], errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{name}: percent-encode it as UTF-8") from error


def job_name(request: Request, sources: Mapping[str, Source]) -> tuple[str, str]:
    """Source and id of the job in a path; what follows `kind:` must be a valid id by itself."""
    return checked_name(sources, segment(request, "source"), segment(request, "id"))


def checked_name(sources: Mapping[str, Source], name: str, job: str) -> tuple[str, str]:
    """Source and id of a job, if the id is valid."""
    source = sources.get(name)
    try:
        return name, provider.check_id(job, source.kind_of(job) if source else None)
    except ValueError as error:
        raise InvalidValue(f"id: {error}") from error


def check_query(request: Request, *known: str, repeatable: Collection[str] = ()) -> None:
    """Refuse unknown query parameters, and several values of one that takes one."""
    for name in request.query_params:
        if name not in known:
            takes = ", ".join(known) or "none"
            raise InvalidValue(f"Unknown query parameter {name!r}; this call takes {takes}")
        if name not in repeatable and len(request.query_params.getlist(name)) > 1:
            raise InvalidValue(f"{name}: it is named more than once, and takes one value")


def choice(request: Request, name: str, good: Collection[Word]) -> Word | None:
    """A query parameter that is one of some words, or None; InvalidValue for another word."""
    text = request.query_params.get(name)
    found = next((word for word in good if word == text), None)
    if text is not None and found is None:
        raise InvalidValue(f"{name}: {text!r} is not known; use one of {', '.join(good)}")
    return found


def key_and_value(text: str) -> tuple[str, str]:
    """A filter by metadata: `key:value`."""
    key, colon, value = text.partition(":")
    if not colon:
        raise InvalidValue(f"metadata: {text!r} is not `key:value`")
    return key, value


def number(request: Request, name: str, default: float, least: float, most: float) -> float:
    """A number in the query; InvalidValue if it is out of bounds."""
    text = request.query_params.get(name)
    if text is not None and not _NUMBER.fullmatch(text):
        raise InvalidValue(f"{name}: {text!r} is not a number; write digits, as in 25")
    value = default if text is None else float(text)
    if not least <= value <= most:
        raise InvalidValue(f"{name}: {value:g} is out of range; it goes from {least:g} to {most:g}")
    return value


def limit(request: Request) -> int:
    """The `limit` of a list."""
    value = number(request, "limit", LIMIT, 1, MAX_LIMIT)
    if value != int(value):
        raise InvalidValue(f"limit: {value:g} is not a whole number")
    return int(value)


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """A part of a list, and the cursor of the next part, if any."""

    items: list[Item]
    next: str | None


def page(
    request: Request, items: Sequence[Item], key: Callable[[Item], Key], *, short: bool = False
) -> Page[Item]:
    """The page of a whole list, ordered by `key`, that `limit` and `cursor` ask for; of a
    `short` list without a `limit` all.

    A cursor is the key of the last item shown, so it holds when that item is removed.
    """
    after = cursor(request)
    rest = [item for item in items if after is None or key(item) > after]
    whole = short and "limit" not in request.query_params
    shown = rest if whole else rest[: limit(request)]
    more = len(rest) > len(shown)
    return Page(shown, write_cursor(key(shown[-1]) if more else None))


def short_page(request: Request, items: Sequence[Item]) -> Page[Item]:
    """The page of a short list in its own order: all of it, unless `limit` asks for less."""
    numbered = list(enumerate(items))
    shown = page(request, numbered, lambda row: (row[0], ""), short=True)
    return Page([item for _, item in shown.items], shown.next)


def cursor(request: Request) -> Key | None:
    """Where the previous page ended."""
    return read_cursor(request.query_params.get("cursor"))


def read_cursor(text: str | None) -> Key | None:
    """What a cursor is of; RequestError if this server did not return it."""
    try:
        return None if text is None else _decode(base64.urlsafe_b64decode(text.encode() + b"=="))
    except (ValueError, msgspec.MsgspecError) as error:  # neither base64 nor a key
        raise RequestError(
            "cursor: this server did not return it; start again without it"
        ) from error


def write_cursor(key: Key | None) -> str | None:
    """The cursor of what continues after a key, if anything does."""
    if key is None:
        return None
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def newest_first(item: Mapping[str, Any]) -> Key:
    """The sort key of a list with the newest first."""
    return -item["created_at"].timestamp(), item["id"]
