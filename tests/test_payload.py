"""The payload of events, and a job as the API returns it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st
from msgspec import Raw
from msgspec.structs import replace

from processor.model import Callback, Counts, FailedPolls, Failure, Job, Origin, Polling, State
from processor.payload import JobData, event_body, poll_data, utc, view

BIRTH = 1_795_341_600.0  # 2026-11-22T10:00:00Z

DONE = Job(
    source="wistia",
    provider="wistia",
    id="197424",
    uid="u",
    created_at=BIRTH - 60,
    deadline=100.0,
    deadline_at=BIRTH + 100,
    state=State.SUCCEEDED,
    previous_state=State.RUNNING,
    status="finished",
    status_at=BIRTH,
    attempt=1,
    sequence=3,
    progress=1.0,
    metadata={"tenant": "t1"},
    params={"region": "secret-ish"},
    aliases=("k2j3h4g5f6",),
    callbacks=(Callback("cb_1", "cb:https://x"),),
    polling=Polling(every=5.0),
    counts=Counts(3, 3, 0),
    seen=True,
    origin=Origin.POLL,
    started_at=BIRTH - 30,
    finished_at=BIRTH,
    completion="evt_u_1_final",
)

# The contract's example, with the times filled in.
BODY: dict[str, Any] = {
    "type": "job.succeeded",
    "timestamp": "2026-11-22T10:00:00Z",
    "data": {
        "source": "wistia",
        "provider": "wistia",
        "kind": None,
        "id": "197424",
        "aliases": ["k2j3h4g5f6"],
        "attempt": 1,
        "sequence": 3,
        "state": "succeeded",
        "previous_state": "running",
        "status": "finished",
        "progress": 1.0,
        "partial": False,
        "result": None,
        "error": None,
        "metadata": {"tenant": "t1"},
        "origin": "poll",
        "created_at": "2026-11-22T09:59:00Z",
        "started_at": "2026-11-22T09:59:30Z",
        "finished_at": "2026-11-22T10:00:00Z",
    },
}


def test_a_payload_is_as_documented():
    assert json.loads(event_body(DONE, "job.succeeded")) == BODY


def test_a_payload_has_its_keys_in_the_documented_order():
    body = json.loads(event_body(DONE, "job.succeeded"))
    assert list(body["data"]) == list(BODY["data"]) == list(JobData.__struct_fields__)
    assert list(body) == list(BODY)


def test_the_same_job_is_always_the_same_bytes():
    assert event_body(DONE, "job.succeeded") == event_body(replace(DONE), "job.succeeded")


def test_a_result_is_passed_on_unchanged():
    body = event_body(replace(DONE, result=Raw(b'{"z":1.50,"a":"\\u00e9"}')), "job.succeeded")
    assert b'"result":{"z":1.50,"a":"\\u00e9"}' in body


def test_a_job_whose_deadline_is_beyond_any_date_can_be_shown():
    """A source's `deadline` was not limited once, and such jobs are kept."""
    shown = view(replace(DONE, deadline_at=BIRTH + 99_999_999 * 86_400.0), None)
    assert msgspec.to_builtins(shown["deadline_at"]) == "9999-12-31T23:59:59Z"


def test_an_error_has_code_and_message():
    body = event_body(replace(DONE, error=Failure("E1", None)), "job.failed")
    assert json.loads(body)["data"]["error"] == {"code": "E1", "message": None}


def test_internal_fields_are_not_in_the_payload():
    body = event_body(DONE, "job.succeeded")
    for word in (b"callbacks", b"cb_1", b"params", b"secret-ish", b"uid", b"polling", b"deadline"):
        assert word not in body, word


def test_the_api_returns_the_events_data_without_origin_and_more():
    poll = poll_data(
        replace(DONE, failed_polls=FailedPolls(2, BIRTH, "HTTP 502")), BIRTH + 7.5, 9.0
    )
    shown = json.loads(msgspec.json.encode(view(DONE, poll)))
    expected = {key: value for key, value in BODY["data"].items() if key != "origin"}
    more = {
        "counts": {"total": 3, "succeeded": 3, "failed": 0},
        "flags": [],
        "deadline_at": "2026-11-22T10:01:40Z",
        "next_poll_at": "2026-11-22T10:00:07.500000Z",
        "poll": {
            "failures": 2,
            "last_error": "HTTP 502",
            "next_at": "2026-11-22T10:00:07.500000Z",
            "interval": 9.0,
        },
    }
    assert shown == expected | more


def test_a_job_that_is_not_polled_has_no_next_poll():
    shown = view(DONE, None)
    assert shown["next_poll_at"] is shown["poll"] is None


@given(st.floats(0, 253_402_300_799))
def test_every_time_that_a_provider_may_give_can_be_shown(seconds: float):
    body = event_body(replace(DONE, status_at=seconds, finished_at=seconds), "job.succeeded")
    assert json.loads(body)["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "1970-01-01T00:00:00+00:00"), (BIRTH + 0.25, "2026-11-22T10:00:00.250000+00:00")],
)
def test_times_are_utc(seconds: float, text: str):
    assert utc(seconds).isoformat() == text
