"""Writes jobs as a worker commits them: record, history, an event. Three in ten are unfinished."""

import itertools
from collections.abc import Iterator

import msgspec

from bench.contenders import standard
from processor import payload
from processor.model import HistoryEntry, Job, Origin, State
from processor.state_machine import event_id
from processor.store import Store
from processor.store.change import Change, NewEvent

TOGETHER = 200  # jobs in one commit
DEADLINE = 259_200.0  # seconds
STATES = [State.RUNNING, *[State.SUCCEEDED] * 6, State.FAILED, *[State.RUNNING] * 2]
RESULT = msgspec.Raw(msgspec.json.encode({"note": "x" * 500}))


async def fill(store: Store, count: int, now: float) -> None:
    """Commit so many jobs, one a second until now."""
    keys = store.shards[0]
    router = await store.subscriptions.router(keys)
    for batch in batched((change(n, now - count + n) for n in range(count)), TOGETHER):
        done = await store.jobs.commit(keys, router.version, batch)
        assert done is not None
        assert all(done), "a job was not committed: nobody else writes to this store"


def batched(changes: Iterator[Change], size: int) -> Iterator[list[Change]]:
    """Lists of so many."""
    while found := list(itertools.islice(changes, size)):
        yield found


def change(number: int, at: float) -> Change:
    """A job as it is after one push."""
    state = STATES[number % len(STATES)]
    final = state is not State.RUNNING
    job = Job(
        source=standard.SOURCE,
        provider="standard",
        id=job_id(number),
        uid=f"{number:016x}",
        created_at=at,
        deadline=DEADLINE,
        deadline_at=at + DEADLINE,
        state=state,
        previous_state=State.QUEUED,
        status=state.value,
        status_at=at,
        sequence=1,
        progress=number % 100 / 100,
        result=RESULT,
        metadata={"team": "video"},
        seen=True,
        origin=Origin.PUSH,
        started_at=at,
        finished_at=at if final else None,
        ended_at=at if final else None,
    )
    event = event_id(job)
    kind = f"job.{state}" if final else "job.started"
    entry = HistoryEntry(Origin.PUSH, state.value, state, State.QUEUED, 1, event)
    new = NewEvent(id=event, type=kind, body=payload.event_body(job, kind), deliveries=())
    return Change(job=job, version="", save=True, renew=True, entries=[(at, entry)], events=[new])


def job_id(number: int) -> str:
    """The id of a job, of the same length for every number."""
    return f"episode-{number:06}"
