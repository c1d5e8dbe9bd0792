"""Waits that are asked about later: kept in Redis, so that any receiver answers.

Nothing runs for a wait: whoever asks reads its jobs, and the first who finds that they have ended
writes its end, which never changes. While Redis has no room for it, the next who asks tries again.
"""

import hmac
import re
import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from processor.errors import NotFound, Overloaded
from processor.service.groups import wait
from processor.service.groups.wait import Name, Waited
from processor.service.jobs.poll_sooner import poll_sooner
from processor.service.jobs.query import member
from processor.service.runtime.context import Context
from processor.service.runtime.in_parts import in_parts
from processor.store.reserve import task_price
from processor.store.wait_tasks import TaskEnd, WaitTask

ASKED_AGAIN = 10.0  # seconds within which a client asks again: so long somebody waits
MAX_ANSWER = 64 * 1024  # bytes of an answer that is kept; of a larger one only the states
KEPT_ENDED = 86_400.0  # seconds that a wait is kept once its end was read
SHORTENED = "Results are left out: get_job has them."

_encode = msgspec.json.Encoder().encode


class WaitState(NamedTuple):
    """A wait as it is now: `end`, or what it still waits for."""

    id: str
    task: WaitTask
    end: TaskEnd | None
    waited: Waited | None


async def start(
    context: Context, key: bytes, tool: str, jobs: Sequence[Name], *, first: bool
) -> WaitState:
    """Keep a wait for the owner of an API key; NotFound if a job is unknown."""
    waited, store = await wait.read(context, jobs), context.store
    task = WaitTask(
        owner=await store.fleet.digest(key),
        tool=tool,
        jobs=[f"{source}/{job}" for source, job in jobs],
        first=first,
        created_at=await store.now(),
    )
    task_id = f"wait-{_readable(task.jobs[0])}-{secrets.token_urlsafe(24)}"
    async with store.memory.admitted(task_price(len(_encode(task)))):
        await store.wait_tasks.create(task_id, task, _expires(context, waited))
    return await _look(context, task_id, task)


async def find(context: Context, key: bytes, task_id: str) -> WaitState:
    """A wait of the owner of an API key; NotFound if it is unknown or another one's."""
    found = await context.store.wait_tasks.read(task_id)
    owner = await context.store.fleet.digest(key)
    if found is None or not hmac.compare_digest(found.task.owner, owner):
        raise NotFound(f"No task {task_id!r}, or no longer: start another wait")
    if found.end:
        return WaitState(task_id, found.task, found.end, None)
    return await _look(context, task_id, found.task)


async def cancel(context: Context, key: bytes, task_id: str) -> None:
    """Cancel a wait that has not ended; its jobs stay as they are."""
    found = await find(context, key, task_id)
    if found.end is None:
        await _end(context, task_id, "cancelled", b"null")


async def _look(context: Context, task_id: str, task: WaitTask) -> WaitState:
    """Read the jobs of a wait, and end it if they have ended.

    A job that was deleted ends it, too; a wait for the first one goes on while other jobs are left.
    """
    found = await in_parts(partial(member, context), task.jobs, wait.TOGETHER)
    waited = Waited([one for one in found if one], [])
    gone = [name for name, one in zip(task.jobs, found, strict=True) if one is None]
    in_vain = bool(gone) and not (task.first and waited.jobs)
    if in_vain or waited.done(first=task.first):
        answer = await wait.view(context, waited, first=task.first)
        if gone:
            said = f"Not watched any more: {', '.join(gone)}"
            answer |= {"done": False, "error": said} if in_vain else {"next": f"{said}."}
        return WaitState(task_id, task, await _complete(context, task_id, answer), None)
    await context.store.wait_tasks.keep(task_id, _expires(context, waited))
    await poll_sooner(context, waited.polled(), ASKED_AGAIN)
    return WaitState(task_id, task, None, waited)


async def _complete(context: Context, task_id: str, answer: dict[str, Any]) -> TaskEnd:
    """End a wait with an answer, which is kept only if accepted work leaves room for it."""
    kept = _kept(answer)
    try:
        async with context.store.memory.admitted(task_price(len(kept))):
            return await _end(context, task_id, "completed", kept)
    except Overloaded:
        return TaskEnd("completed", await context.store.now(), msgspec.Raw(kept))


async def _end(context: Context, task_id: str, status: Any, answer: bytes) -> TaskEnd:
    now = await context.store.now()
    end = TaskEnd(status, now, msgspec.Raw(answer))
    return await context.store.wait_tasks.end(task_id, end, now + KEPT_ENDED)


def _expires(context: Context, waited: Waited) -> float:
    """When the last of its jobs' records expires."""
    return max(context.store.jobs.ends(found.job) for found in waited.jobs)


def _kept(view: dict[str, Any]) -> bytes:
    """The answer that is kept."""
    answer = _encode(view)
    if len(answer) <= MAX_ANSWER:
        return answer
    shown = [{name: job[name] for name in ("source", "id", "state")} for job in view["jobs"]]
    said = f"{view.get('next', '')} {SHORTENED}".strip()
    return _encode({**view, "jobs": shown, "next": said})


def _readable(name: str) -> str:
    """A part of an id from which a reader knows the job; some clients show only the id."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name)[:60].strip("-")
