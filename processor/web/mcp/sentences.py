"""What tools say in words: one sentence about their answer, and what to do next. No I/O."""

from collections.abc import Sequence
from typing import Any, TypedDict

import msgspec

from processor.model import FINAL, NULL, State


class Document(TypedDict, total=False):
    """What sentences use of any answer of the API, and of its parts: only that is decoded, since the
    results of hundreds of jobs take long.
    """

    source: Any
    id: Any
    state: Any
    progress: Any
    status: Any
    error: Any
    result: msgspec.Raw
    origin: Any
    name: Any
    provider: Any
    counts: Any
    jobs: "list[Document]"
    items: "list[Document]"
    done: Any
    next: Any
    title: Any
    detail: Any


FAILURES = FINAL - {State.SUCCEEDED}
MAX_SHOWN = 20  # jobs that a sentence names
MAX_RESULT = 1000  # characters of a result in a sentence

read = msgspec.json.Decoder(Document).decode


def failed(document: Document) -> bool:
    """Whether an answer is about a job that failed, was canceled or expired, or was deleted."""
    if "done" in document and "error" in document:
        return True
    jobs = document.get("jobs", [document] if "source" in document else [])
    return any(one["state"] in FAILURES for one in jobs)


def problem(document: Document) -> str:
    """A call that was refused."""
    return f"{document['title']}: {document['detail']}.{_next_step(document)}"


def job(document: Document) -> str:
    """One job."""
    name = f"{document['source']}/{document['id']}"
    match document["state"]:
        case "succeeded":
            return f"{name} succeeded.{_result(document)}"
        case "failed":
            return f"{name} failed{_error(document)}. job_history shows what happened."
        case "canceled":
            return f"{name} was canceled{_error(document)}."
        case "expired":
            return f"{name} expired: its provider said nothing final before its deadline."
        case _:
            return f"{_short(document)}. Call wait_for_job to wait until it ends."


def wait(document: Document) -> str:
    """A wait for one or several jobs."""
    jobs = document["jobs"]
    if not jobs:
        return f"{document['error']}."
    ended = sum(one["state"] in FINAL for one in jobs)
    text = f"{ended} of {len(jobs)} jobs have ended: {_several(jobs)}."
    if len(jobs) == 1:
        text = job(jobs[0]) if document["done"] else f"{_short(jobs[0])}."
    error = f" {document['error']}." if "error" in document else ""
    return f"{text}{error} {document.get('next', '')}".rstrip()


def working(jobs: Sequence[Document]) -> str:
    """Jobs that a wait is open for."""
    return f"Waiting: {_several(jobs)}"


def jobs(document: Document) -> str:
    """A page of jobs."""
    more = " For more, pass `next` as `cursor`." if document["next"] else ""
    return f"{_counted(document['items'], 'job')}: {_several(document['items'])}.{more}"


def history(document: Document) -> str:
    """What happened to a job."""
    items = document["items"]
    last = f", the last one {items[-1]['state']} ({items[-1]['origin']})" if items else ""
    return f"{_counted(items, 'entry', 'entries')}{last}."


def sources(document: Document) -> str:
    """The sources of a server."""
    named = ", ".join(f"{one['name']} ({one['provider']})" for one in document["items"])
    return f"{_counted(document['items'], 'source')}: {named}. watch_job takes one as `source`."


def group(document: Document) -> str:
    """A group of jobs."""
    counts = document["counts"]
    ended = counts["total"] - counts["pending"]
    done = f"group {document['id']} is {document['state']}, {ended} of {counts['total']} have ended"
    return f"{done}. Its jobs are watched; call wait_for_jobs to wait for them."


def _next_step(document: Document) -> str:
    """What an agent can do about a call that was refused."""
    match document["status"]:
        case 404 if document["detail"].startswith("No source "):
            return " list_sources names the sources."
        case 404:
            return " To watch the job, call watch_job."
        case 503:
            return " Try again."
        case _:
            return ""


def _short(document: Document) -> str:
    progress = document.get("progress")
    percent = f", {progress:.0%}" if progress is not None and document["state"] == "running" else ""
    return f"{document['source']}/{document['id']} is {document['state']}{percent}"


def _several(found: Sequence[Document]) -> str:
    shown = "; ".join(map(_short, found[:MAX_SHOWN])) or "none"
    more = len(found) - MAX_SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown


def _counted(items: Sequence[Any], one: str, several: str = "") -> str:
    return f"{len(items)} {one if len(items) == 1 else several or one + 's'}"


def _error(document: Document) -> str:
    error = document.get("error") or {}
    said = error.get("message") or error.get("code") or document.get("status")
    return f": {said}" if said else ""


def _result(document: Document) -> str:
    text = msgspec.json.format(bytes(document.get("result", NULL)), indent=-1).decode()
    if text == "null":
        return ""
    return f" Its result: {text}" if len(text) <= MAX_RESULT else " Its result is in `result`."
