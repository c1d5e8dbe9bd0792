"""Writes one update as a document from which its profile reads that update.

The document holds only what the profile reads; a real push or response holds more.
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

HUNDRED = 100  # the number that means done, if the document contains that number too
DIGITS = 6  # decimals of a progress: no provider sends more

_ALWAYS = Condition()


def candidate_documents(
    fields: UpdateFields, update: StatusUpdate, job: str, code: int | None = None
) -> Iterator[DocumentBuilder]:
    """Yield every document that reads back as this update; `job` is the provider's id.

    `code` is the HTTP code of a response, unless the code is the status. Error and result are
    omitted if they would conflict with the rest.
    """
    for variant in (update, replace(update, error=None, result=NULL)):
        for option in _status_options(fields.status, update.status):
            for choice in range(_choices(_selector(fields), option)):
                builder = _build(fields, variant, job, option, choice)
                if code is not None:
                    builder.headers.setdefault(CODE, str(code))
                if _reads_back(builder, fields, variant, job):
                    yield builder


def iso(at: float) -> str:
    """Format a time as ISO 8601, which every profile can read."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _selector(fields: UpdateFields) -> Condition:
    return fields.matches if isinstance(fields, PushFields) else _ALWAYS


def _status_options(word: StatusField | None, text: str) -> Iterator[Condition | Pointer | None]:
    """The ways to write a status word: by a rule's conditions, as the HTTP code, at a pointer."""
    if word is None:
        yield None
        return
    rules = [condition for said, condition in word.rules if said == text]
    pointers = [location for location in word.options if isinstance(location, Pointer)]
    yield from rules
    yield from sorted(pointers, key=lambda pointer: CODE not in pointer.locations)


def _choices(*conditions: object) -> int:
    """The number of words in the longest choice of some conditions."""
    rules = [
        r for condition in conditions if isinstance(condition, Condition) for r in condition.rules
    ]
    return max((len(wanted) for _, wanted in rules if isinstance(wanted, tuple)), default=1)


def _build(
    fields: UpdateFields,
    update: StatusUpdate,
    job: str,
    option: Condition | Pointer | None,
    choice: int,
) -> DocumentBuilder:
    """Write the deciding values first, then the update's, then those that only must exist."""
    builder = DocumentBuilder()
    about = _selector(fields)
    similar = (update.status, *([update.state.value] if update.state else []))
    if isinstance(option, Condition):
        builder.require(option, choice)
    else:
        builder.put(option, scalar(update.status))
    builder.require(about, choice, similar)
    _put_values(builder, fields, update, job)
    for condition in (option, about):
        if isinstance(condition, Condition):
            builder.fill(condition)
    return builder


def _put_values(
    builder: DocumentBuilder, fields: UpdateFields, update: StatusUpdate, job: str
) -> None:
    builder.put(fields.id, job)
    for name, pointer in fields.params.items():
        builder.put(pointer, update.params.get(name))
    for pointer, alias in zip(fields.aliases, update.aliases, strict=False):
        builder.put(pointer, alias)
    builder.put(fields.time, iso(update.at))
    builder.put(fields.attempt, update.attempt)
    if isinstance(fields, PushFields):
        builder.put(fields.event_id, update.event_id)
    if fields.progress and update.progress is not None:
        _put_progress(builder, fields.progress, update.progress)
    _put_end(builder, fields, update)


def _put_progress(builder: DocumentBuilder, field: ProgressField, progress: float) -> None:
    if isinstance(field.of, Pointer):
        builder.put(field.of, HUNDRED)
    whole = HUNDRED if isinstance(field.of, Pointer) else field.of
    number = round(progress * whole, DIGITS)
    builder.put(field.at, int(number) if number == int(number) else number)


def _put_end(builder: DocumentBuilder, fields: UpdateFields, update: StatusUpdate) -> None:
    """Put the error or the result of a finished job."""
    error = update.error or Failure()
    if fields.error:
        builder.put(fields.error.code, error.code)
        builder.put(fields.error.message, error.message)
    builder.put(fields.result, msgspec.json.decode(update.result))


def _reads_back(
    builder: DocumentBuilder, fields: UpdateFields, update: StatusUpdate, job: str
) -> bool:
    """Whether the document reads back as this update: another rule might match first."""

    def reads(pointer: Pointer | StatusField | None, text: str) -> bool:
        found: Any = pointer and pointer.find(builder.document, builder.headers)
        return pointer is None or str(found) == text

    return (
        reads(fields.status, update.status)
        and reads(fields.id, job)
        and _selector(fields).holds(builder.document, builder.headers)
    )


def code_of(builder: DocumentBuilder) -> int:
    """Remove the HTTP code from the headers of a response's document, and return it."""
    return int(builder.headers.pop(CODE))
