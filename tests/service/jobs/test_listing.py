"""The filter of the job list: what is looked for in a record before it is decoded."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from processor.model import Job, State
from processor.service.jobs.listing import JobFilter

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.one_of(TEXTS, st.none(), st.booleans(), st.integers(-99, 99), st.floats(0, 9))
METADATA = st.dictionaries(TEXTS, VALUES, max_size=3)


def job(state: State, metadata: dict[str, Any]) -> Job:
    return Job(
        source="s",
        provider="standard",
        id="1",
        uid="u",
        created_at=0.0,
        deadline=1.0,
        deadline_at=1.0,
        state=state,
        metadata=metadata,
    )


@given(state=st.sampled_from(State), metadata=METADATA, asked=st.none() | st.sampled_from(State))
def test_the_record_of_a_job_that_matches_contains_what_is_looked_for(
    state: State, metadata: dict[str, Any], asked: State | None
):
    one = job(state, metadata)
    record = msgspec.json.encode(one)
    texts = [
        (key, value if isinstance(value, str) else msgspec.json.encode(value).decode())
        for key, value in metadata.items()
    ]
    wanted = JobFilter(None, asked, texts)
    assert wanted.matches(one) is (asked in (None, state))
    if wanted.matches(one):
        assert all(needle in record for needle in wanted.needles())


@pytest.mark.parametrize(
    "wanted",
    [
        JobFilter(state=State.FAILED),
        JobFilter(metadata=[("team", "audio")]),
        JobFilter(metadata=[("colour", "1")]),
    ],
)
def test_most_records_that_do_not_match_are_not_decoded(wanted: JobFilter):
    record = msgspec.json.encode(job(State.RUNNING, {"team": "video"}))
    assert not all(needle in record for needle in wanted.needles())


def test_only_the_records_of_its_source_are_read():
    names = ["wistia/1", "wistia-2/1", "wist/1"]
    assert [JobFilter("wistia").reads(name) for name in names] == [True, False, False]
    assert all(JobFilter().reads(name) for name in names)


@pytest.mark.parametrize(
    ("value", "text", "listed"),
    [
        ("42", "42", True),
        ("42", '"42"', True),
        ('"42"', '"42"', True),
        ('"42"', '"\\"42\\""', True),
        ("a", '"a"', True),
        ("a", '"\\u0061"', True),
        ("a", '"b"', False),
        (42, "42", True),
        (42, '"42"', False),
        (True, "1", False),
        ({"b": True}, '{"b":true}', True),
        ({"b": 1}, '{"b":true}', False),
    ],
    ids=repr,
)
def test_a_value_is_found_as_text_or_as_json(value: Any, text: str, listed: bool):  # noqa: FBT001 -- a table's column
    one, wanted = job(State.RUNNING, {"order": value}), JobFilter(metadata=[("order", text)])
    assert wanted.matches(one) is listed
    record = msgspec.json.encode(one)
    assert not listed or all(needle in record for needle in wanted.needles())
