"""A large document that is decoded lazily gives the same values as one decoded at once."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from processor.errors import Unreadable
from processor.json_input import BOM, read_json
from processor.model import Push
from processor.provider import large_json, parse, read_push
from processor.provider.condition import Condition
from processor.provider.large_json import LARGE, read_document
from processor.provider.pointer import Pointer, resolve

keys = st.sampled_from(["a", "b", "0", "1", "~", "/", ""])
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)
)


def plain(value: Any) -> Any:
    """A value with all that is raw in it decoded."""
    return msgspec.json.decode(msgspec.json.encode(value))


@given(document=values, steps=st.lists(st.lists(keys, max_size=4), min_size=1, max_size=5))
def test_every_pointer_finds_the_same_value_in_a_large_document(
    document: Any, steps: list[list[str]]
) -> None:
    body = json.dumps(document).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_json, "LARGE", 0)
        patch.setattr(large_json, "LARGE_PART", 3)
        lazily, whole = read_document(body), read_json(body)
        for pointer in [*steps, *steps]:  # what was opened stays so
            assert plain(resolve(tuple(pointer), lazily)) == plain(resolve(tuple(pointer), whole))
        for pointer in steps:
            where = "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in pointer)
            for wanted in (True, ["a"]):
                condition = Condition({f"{where}/*": wanted})
                assert condition.holds(lazily, {}) == condition.holds(whole, {})


PROFILE = """
[push]
each = "/jobs"
id = "/id"
status = "/status"
result = "/result"
[states]
done = "succeeded"
"""


def test_only_the_parts_that_are_read_are_decoded() -> None:
    words = [{"word": "hello", "start": 0.1}] * 20_000
    jobs = [{"id": f"j{n}", "status": "done", "result": words} for n in range(3)]
    jobs.append({"id": "small", "status": "done", "result": {"url": "https://x.example/"}})
    body = json.dumps({"jobs": jobs}).encode()
    reading = read_push(parse("own", PROFILE), "own", Push({}, body), 1.0)
    assert [one.id for one in reading.updates] == ["j0", "j1", "j2", "small"]
    assert [one.flags for one in reading.updates] == [("result_truncated",)] * 3 + [()]
    assert plain(reading.updates[3].result) == {"url": "https://x.example/"}
    document = read_document(body)
    Pointer("/jobs/0/id").find(document, {})
    assert isinstance(document["jobs"][0]["result"], msgspec.Raw)
    assert isinstance(document["jobs"][1], msgspec.Raw)


@pytest.mark.parametrize("bad", [b"NaN", b"1e400", b'"\\ud83d"', b'"\xff"'])
def test_one_bad_value_in_a_large_body_does_not_hide_others(bad: bytes) -> None:
    filling = b'"' + b"x" * LARGE + b'"'
    job = b'{"id": "a", "status": "done", "more": %b, "result": %b}' % (filling, bad)
    reading = read_push(parse("own", PROFILE), "own", Push({}, b'{"jobs": [%b]}' % job), 1.0)
    assert reading.updates[0].id == "a"


@pytest.mark.parametrize("body", [b"[" * LARGE * 2, b"{" + b" " * LARGE, b"x" * (LARGE + 1)])
def test_invalid_json_is_unreadable_at_any_size(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_push(parse("own", PROFILE), "own", Push({}, body), 1.0)


def test_a_byte_order_mark_does_not_have_the_whole_decoded() -> None:
    document = BOM + json.dumps({"status": "done", "words": ["x"] * LARGE}).encode()
    assert isinstance(read_document(document)["words"], msgspec.Raw)
