"""Why a part of a push is not about a job: the place and, if it is short, the word."""

from typing import Any

import pytest

from processor.provider.condition import Condition
from processor.provider.ignored import IgnoredPart, explain

TYPE = {"/type": ["job.done"]}
WHY: list[tuple[list[Any], Any, str, str, str]] = [
    ([TYPE], {"type": "other"}, "not_listed", "/type", "`/type` is `other`, which"),
    ([TYPE], {"type": 7}, "not_listed", "/type", "`/type` is `7`, which"),
    ([TYPE], {"type": ["x"]}, "not_listed", "/type", "`/type` is no word, which"),
    ([TYPE], {"type": True}, "not_listed", "/type", "`/type` is no word, which"),
    ([TYPE], {}, "empty", "/type", "there is nothing at `/type`"),
    ([{"/a/b~1c": True}], {"a": {"b/c": ""}}, "empty", "/a/b~1c", "nothing at `/a/b~1c`"),
    ([{"/error": False}], {"error": "x"}, "not_empty", "/error", "there is a value at `/error`"),
    ([{"header:X-Kind": ["a"]}], {}, "empty", "header:x-kind", "nothing at `header:x-kind`"),
    ([{"/all/*/s": ["ok"]}], {"all": [{"s": "ok"}, {"s": "bad"}]}, "not_listed", "/all/*/s", "bad"),
    ([{"/all/*/s": ["ok"]}], {"all": []}, "empty", "/all/*/s", "nothing at `/all/*/s`"),
    ([{"/a": True}, TYPE], {"type": "other"}, "not_listed", "/type", "`other`"),
    ([], {}, "empty", "", "reads no such push"),
]


@pytest.mark.parametrize(("tables", "part", "reason", "at", "text"), WHY)
def test_the_place_and_the_word_are_named(
    tables: list[Any], part: Any, *, reason: str, at: str, text: str
):
    conditions = [Condition(table) for table in tables]
    assert not any(one.holds(part, {}) for one in conditions)
    found = explain(conditions, part, {})
    assert (found.reason, found.at) == (reason, at)
    assert text in found.text


def test_a_condition_that_holds_has_no_mismatch():
    assert Condition({"/type": ["a"], "/b": False}).mismatch({"type": "a"}, {}) is None


def test_a_quoted_word_is_short_and_harmless():
    found = explain([Condition(TYPE)], {"type": "\x1b\ud800" + "x" * 1000}, {})
    assert isinstance(found, IgnoredPart)
    assert found.text.isprintable()
    assert len(found.text) < 250
    found.text.encode()
