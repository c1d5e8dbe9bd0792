"""One update as a document from which its profile reads that update: reading, turned round.

What the profile does not read is not there; a real push or answer holds more.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from processor.model import NULL, Failure, StatusUpdate
from processor.provider.condition import Condition, StatusField
from processor.provider.pointer import CODE, Pointer
from processor.provider.profile import ProgressField, PushFields, UpdateFields
from processor.simulation.document_builder import DocumentBuilder, scalar

HUNDRED = 100  # what means done, where a document tells that itself
DIGITS = 6  # of a progress: no provider tells more

_ALWAYS = Condition()


def candidate_documents(
    fields: UpdateFields, update: StatusUpdate, job: str, code: int | None = None
) -> Iterator[DocumentBuilder]:
    """Give every document that says this update; `job` is the id as the provider knows it.

    `code` is the HTTP code of an answer, unless that says the status. Error and result are
    left out where they would stand in the way of the rest.
    """
    for told in (update, replace(update, error=None, result=NULL)):
        for way in _ways(fields.status, update.status):
            for pick in range(_picks(_about(fields), way)):
                draft = _draft(fields, told, job, way, pick)
                if code is not None:
                    draft.headers.setdefault(CODE, str(code))
                if _says(draft, fields, told, job):
                    yield draft


def iso(at: float) -> str:
    """Write a time as ISO 8601, which every place of a time may hold."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _about(fields: UpdateFields) -> Condition:
    return fields.matches if isinstance(fields, PushFields) else _ALWAYS


def _ways(word: StatusField | None, text: str) -> Iterator[Condition | Pointer | None]:
    """How a word can be said: by a rule's conditions, by the HTTP code, at a place."""
    if word is None:
        yield None
        return
    rules = [condition for said, condition in word.rules if said == text]
    places = [location for location in word.options if isinstance(location, Pointer)]
    yield from rules
    yield from sorted(places, key=lambda place: CODE not in place.locations)


def _picks(*conditions: object) -> int:
    """How many words the longest choice of some conditions has."""
    rules = [r for one in conditions if isinstance(one, Condition) for r in one.rules]
    return max((len(wanted) for _, wanted in rules if isinstance(wanted, tuple)), default=1)


def _draft(
    fields: UpdateFields, update: StatusUpdate, job: str, way: Condition | Pointer | None, pick: int
) -> DocumentBuilder:
    """Lay what decides first, then what is told, then whatever is merely asked for."""
    draft = DocumentBuilder()
    about = _about(fields)
    near = (update.status, *([update.state.value] if update.state else []))
    if isinstance(way, Condition):
        draft.require(way, pick)
    else:
        draft.put(way, scalar(update.status))
    draft.require(about, pick, near)
    _tell(draft, fields, update, job)
    for condition in (way, about):
        if isinstance(condition, Condition):
            draft.fill(condition)
    return draft


def _tell(draft: DocumentBuilder, fields: UpdateFields, update: StatusUpdate, job: str) -> None:
    draft.put(fields.id, job)
    for name, place in fields.params.items():
        draft.put(place, update.params.get(name))
    for place, alias in zip(fields.aliases, update.aliases, strict=False):
        draft.put(place, alias)
    draft.put(fields.time, iso(update.at))
    draft.put(fields.attempt, update.attempt)
    if isinstance(fields, PushFields):
        draft.put(fields.event_id, update.event_id)
    if fields.progress and update.progress is not None:
        _put_progress(draft, fields.progress, update.progress)
    _put_end(draft, fields, update)


def _put_progress(draft: DocumentBuilder, where: ProgressField, progress: float) -> None:
    if isinstance(where.of, Pointer):
        draft.put(where.of, HUNDRED)
    whole = HUNDRED if isinstance(where.of, Pointer) else where.of
    number = round(progress * whole, DIGITS)
    draft.put(where.at, int(number) if number == int(number) else number)


def _put_end(draft: DocumentBuilder, fields: UpdateFields, update: StatusUpdate) -> None:
    """Put what is known of a job at its end."""
    error = update.error or Failure()
    if fields.error:
        draft.put(fields.error.code, error.code)
        draft.put(fields.error.message, error.message)
    draft.put(fields.result, msgspec.json.decode(update.result))


def _says(draft: DocumentBuilder, fields: UpdateFields, update: StatusUpdate, job: str) -> bool:
    """Whether the draft is read as meant: as other rules may come first."""

    def reads(place: Pointer | StatusField | None, text: str) -> bool:
        found: Any = place and place.find(draft.document, draft.headers)
        return place is None or str(found) == text

    return (
        reads(fields.status, update.status)
        and reads(fields.id, job)
        and _about(fields).holds(draft.document, draft.headers)
    )


def code_of(draft: DocumentBuilder) -> int:
    """Take the HTTP code out of the headers of an answer's draft."""
    return int(draft.headers.pop(CODE))
