"""GitLab jobs that were skipped and run later under the same id, when the job that failed is retried."""

import json
from typing import Any

import pytest

from processor.model import Push, State

CREATED = {"build_status": "created"}
SKIPPED = {"build_status": "skipped"}
PENDING = {"build_status": "pending"}
RUNNING = {"build_status": "running", "build_started_at": "2026-11-22T10:10:00.000Z"}
SUCCESS = RUNNING | {"build_status": "success", "build_finished_at": "2026-11-22T10:12:00.000Z"}


async def push(bench: Any, source: str, *updates: dict[str, str], note: str = "") -> None:
    """Receive pushes about job 77; pushes with another note are no repetitions."""
    for update in updates:
        body = {
            "object_kind": "build",
            "build_id": 77,
            "build_created_at": "2026-11-22T09:28:01.886Z",
            "build_started_at": None,
            "build_finished_at": None,
            "project_id": 1,
            "build_name": note,
        }
        push = Push({"x-gitlab-token": "a token"}, json.dumps(body | update).encode())
        assert (await bench.take(source, push)).accepted == 1


def answer(provider: Any, status: str) -> None:
    """Answer polls of job 77 with this status."""
    provider.says("projects/1/jobs/77", id=77, status=status, created_at="2026-11-22T09:28:01.886Z")


async def attempt_and_state(bench: Any, source: str) -> tuple[int, State]:
    job = await bench.job("job:77", source)
    return job.attempt, job.state


@pytest.mark.parametrize("source", ["gitlab", "gitlab-polled"])
async def test_a_skipped_job_that_ran_before_any_poll_has_ended_twice(
    bench: Any, provider: Any, source: str
):
    await push(bench, source, CREATED, SKIPPED)
    assert await attempt_and_state(bench, source) == (1, State.CANCELED)
    answer(provider, "success")
    await push(bench, source, CREATED, PENDING, RUNNING, SUCCESS, note="again")
    await bench.poll()
    assert await attempt_and_state(bench, source) == (2, State.SUCCEEDED)
    assert [kind for _, kind in await bench.events()] == ["job.canceled", "job.succeeded"]


async def test_a_poll_finds_a_skipped_job_that_waits_to_run(bench: Any, provider: Any):
    source = "gitlab-polled"
    await push(bench, source, CREATED, SKIPPED)
    answer(provider, "created")
    await push(bench, source, CREATED, note="again")
    assert await bench.poll() == [f"{source}/job:77"]
    assert await attempt_and_state(bench, source) == (2, State.QUEUED)
    await push(bench, source, PENDING, RUNNING, SUCCESS, note="again")
    assert await attempt_and_state(bench, source) == (2, State.SUCCEEDED)
    events = ["job.canceled", "job.started", "job.succeeded"]
    assert [kind for _, kind in await bench.events()] == events


@pytest.mark.parametrize("end", [SKIPPED, SUCCESS])
async def test_a_late_push_about_a_job_that_has_ended_starts_no_attempt(
    bench: Any, provider: Any, end: dict[str, str]
):
    source = "gitlab-polled"
    await push(bench, source, CREATED, end)
    answer(provider, end["build_status"])
    await push(bench, source, PENDING, end, note="late")
    assert await bench.poll() == [f"{source}/job:77"]
    assert (await bench.job("job:77", source)).attempt == 1
    assert len(await bench.events()) == 1
