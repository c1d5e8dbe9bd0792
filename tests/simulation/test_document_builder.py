"""Values are put where pointers find them; a value that was put first stays."""

from typing import Any

import pytest

from processor.provider.condition import Condition
from processor.provider.pointer import CODE, Pointer
from processor.simulation.document_builder import DocumentBuilder, scalar, wrap_at

PUT: list[tuple[object, object, Any]] = [
    ("/id", "a", {"id": "a"}),
    ("/data/id", 1, {"data": {"id": 1}}),
    ("/errors/0/message", "m", {"errors": [{"message": "m"}]}),
    ("/errors/1", "m", {"errors": [None, "m"]}),
    (["/a/b", "/c"], "x", {"a": {"b": "x"}}),
    ("/a~1b/~0", "x", {"a/b": {"~": "x"}}),
]


@pytest.mark.parametrize(("place", "value", "document"), PUT)
def test_a_value_is_put_where_its_pointer_finds_it(place: object, value: object, document: Any):
    draft, where = DocumentBuilder(), Pointer(place)
    assert draft.put(where, value)
    assert draft.document == document
    assert where.find(draft.document, draft.headers) == value


def test_headers_and_the_http_code_are_locations_too():
    draft = DocumentBuilder()
    assert draft.put(Pointer("header:X-Status"), 7)
    assert draft.put(Pointer("code"), 202)
    assert draft.headers == {"x-status": "7", CODE: "202"}


@pytest.mark.parametrize(
    ("place", "value"),
    [("", "x"), ("header:X", {"a": 1}), ("code", "done"), ("code", 7), ("/a", None)],
)
def test_a_location_that_cannot_hold_the_value_is_unchanged(place: str, value: object):
    draft = DocumentBuilder()
    assert not draft.put(Pointer(place), value)
    assert (draft.document, draft.headers) == ({}, {})


def test_the_next_location_holds_what_the_first_cannot():
    draft = DocumentBuilder()
    assert draft.put(Pointer(["header:Location", "/result"]), {"a": 1})
    assert draft.document == {"result": {"a": 1}}


@pytest.mark.parametrize("place", ["/a", "/a/b", "/a/0", "/list/x", "/list/0/b"])
def test_what_was_put_first_stays(place: str):
    draft = DocumentBuilder()
    draft.put(Pointer("/a"), "first")
    draft.put(Pointer("/list/0"), "first")
    assert not draft.put(Pointer(place), "second")
    assert draft.document == {"a": "first", "list": ["first"]}


def test_putting_the_same_value_twice_is_not_a_conflict():
    draft = DocumentBuilder()
    assert draft.put(Pointer("/a"), "x")
    assert draft.put(Pointer("/a"), "x")


CONDITIONS: list[tuple[dict[str, Any], Any]] = [
    ({"/type": ["a", "b"], "/error": False}, {"type": "a"}),
    ({"/Status": 3}, {"Status": 3}),
    ({"/done": True}, {"done": True}),
    ({"/outputs/*/status": "done"}, {"outputs": [{"status": "done"}]}),
    ({"/o/*/s": ["done", "failed"]}, {"o": [{"s": "done"}, {"s": "failed"}]}),
    ({"/o/*/s": ["x", "y"], "/o/*/t": True}, {"o": [{"s": "x", "t": True}, {"s": "y", "t": True}]}),
    ({"/a/*/b/*": "x"}, {"a": [{"b": ["x"]}]}),
]


@pytest.mark.parametrize(("table", "document"), CONDITIONS)
def test_the_words_of_a_condition_are_put(table: dict[str, Any], document: Any):
    draft, condition = DocumentBuilder(), Condition(table)
    draft.require(condition)
    draft.fill(condition)
    assert draft.document == document
    assert condition.holds(draft.document, draft.headers)


@pytest.mark.parametrize(
    ("pick", "near", "word"),
    [
        (0, ("ready",), "asset.ready"),
        (0, ("nothing", "failed"), "asset.failed"),
        (0, (), "asset.new"),
        (1, (), "asset.ready"),
        (9, (), "asset.new"),
    ],
)
def test_of_several_words_the_one_similar_to_the_status_is_put(
    pick: int, near: tuple[str, ...], word: str
):
    draft = DocumentBuilder()
    draft.require(Condition({"/type": ["asset.new", "asset.ready", "asset.failed"]}), pick, near)
    assert draft.document == {"type": word}


def test_a_required_value_is_put_only_where_none_is():
    draft = DocumentBuilder()
    draft.put(Pointer("/error/message"), "m")
    draft.fill(Condition({"/error": True, "header:X": True}))
    assert draft.document == {"error": {"message": "m"}}
    assert draft.headers == {"x": "true"}


@pytest.mark.parametrize(
    ("word", "written"), [("3", 3), ("03", "03"), ("x", "x"), ("-1", "-1"), ("٣", "٣")]
)
def test_a_word_that_is_a_number_is_written_as_one(word: str, written: object):
    assert scalar(word) == written


@pytest.mark.parametrize(
    ("place", "in_list", "document"),
    [
        ("", False, {"id": 1}),
        ("", True, {"id": 1}),
        ("/events", True, {"events": [{"id": 1}]}),
        (["/job/status", ""], False, {"job": {"status": {"id": 1}}}),
    ],
)
def test_a_document_is_wrapped_at_the_first_location(
    place: object,
    in_list: bool,  # noqa: FBT001 - a column of the table
    document: Any,
):
    assert wrap_at(Pointer(place), {"id": 1}, in_list=in_list) == document
