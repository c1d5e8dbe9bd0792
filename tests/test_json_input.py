"""Hostile JSON is read as far as possible; unreadable JSON names its error and place.

Real senders: `JSON.stringify` writes half a character where a text was cut
(oai-compatible-copilot#271, apify-client-python#87), Python's `json.dumps` writes `NaN`.
"""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from processor import json_input, json_repair
from processor.errors import Unreadable
from processor.json_input import read_exactly, read_json, write_json

READ: list[tuple[bytes, Any]] = [
    (rb'{"a": "cut \ud83d"}', {"a": "cut \ufffd"}),
    (rb'{"a": "\ude00 cut"}', {"a": "\ufffd cut"}),
    (rb'{"a": "\ud83d\u0041"}', {"a": "\ufffdA"}),
    (rb'{"a": "\ude00\ud83d"}', {"a": "\ufffd\ufffd"}),
    (rb'{"\ud83d": 1}', {"\ufffd": 1}),
    (rb'{"\ud83d": 1, "\ud83e": 2}', {"\ufffd": 2}),
    (rb'{"a": "\ud83d\ude00"}', {"a": "\U0001f600"}),
    (rb'{"a": "\u0000"}', {"a": "\x00"}),
    (b'{"a": NaN, "b": [Infinity, -Infinity]}', {"a": None, "b": [None, None]}),
    (b'{"a": 1e400, "b": -1e400, "c": 1e-400}', {"a": None, "b": None, "c": 0.0}),
    (b'{"a": nan, "b": undefined, "c": None, "d": True}', dict.fromkeys("abcd")),
    (b'{"a": 01, "b": +1, "c": .5, "d": 1., "e": 0x1F}', dict.fromkeys("abcde")),
    (b'{"a": , "b":}', {"a": None, "b": None}),
    (b'{"a": %b}' % (b"9" * 300), {"a": int("9" * 300)}),
    (b'{"a": %b}' % (b"9" * 400), {"a": None}),
    (b'{"a": -%b}' % (b"9" * 400), {"a": None}),
    (b'{"a": %b}' % (b"9" * 5_000), {"a": None}),
    (b'{"a": "\x01\n\t\x1f"}', {"a": "\x01\n\t\x1f"}),
    (b'{"a": "caf\xe9"}', {"a": "caf\ufffd"}),
    (b'{"caf\xe9": 1}', {"caf\ufffd": 1}),
    (b'{"a": "\xed\xa0\xbd"}', {"a": "\ufffd" * 3}),
    (rb'{"a": "C:\Users\x", "b": "\u12"}', {"a": "C:\ufffdUsers\ufffdx", "b": "\ufffdu12"}),
    (rb'{"a": "\\\"\/\b\f\n\r\tA", "b": NaN}', {"a": '\\"/\b\f\n\r\tA', "b": None}),
    (b'{"a": 1, "a": 2}', {"a": 2}),
    (b'{"a": 1}\x00', {"a": 1}),
    (b'{"a": 1}\r\n<br />', {"a": 1}),
    (b' \xef\xbb\xbf{"a": 1}', {"a": 1}),
    (b'\xef\xbb\xbf{"a": "\xc3\xa9"}', {"a": "é"}),
    ('{"a": "é"}'.encode("utf-16"), {"a": "é"}),
    ('\ufeff{"a": "é"}'.encode("utf-16-be"), {"a": "é"}),
    ('{"a": "é"}'.encode("utf-16-le"), {"a": "é"}),
    ('{"a": "é"}'.encode("utf-32"), {"a": "é"}),
]

UNREADABLE: list[tuple[bytes, str]] = [
    (b"", "it is empty (byte 0)"),
    (b" \r\n", "it is empty (byte 0)"),
    (b'{"a": 1', "(byte 7)"),
    (b'{"a": "cut', "Unterminated string starting at (byte 6)"),
    (b'{"a": 1,}', "(byte 8)"),
    (b'{"a": [1 2]}', "(byte 9)"),
    (b'{"caf\xc3\xa9": [1 2]}', "(byte 13)"),
    (b'\xef\xbb\xbf{"a": [1 2]}', "(byte 12)"),
    (b'{"a": NaN, "b": nan, "c": [1 2]}', "(byte 29)"),
    (b'{"a": %b, "b": [1 2]}' % (b"[" * 1_000 + b"]" * 1_000), "(byte 2016)"),
    (b'{"a": 1}{"a": 2}', "something follows it (byte 8)"),
    (b'{"a": 1}\n{"a": 2}', "something follows it (byte 9)"),
    (b"{'a': 1}", "(byte 1)"),
    (b"hello", "(byte 0)"),
    (b"\xff", "(byte 0)"),
    (b'\xff\xfe{\x00"\x00a', "not utf-16 (byte 6)"),
    (b"9" * 5_000, "a number is too long (byte 0)"),
    (
        b'{"a": "%b", "b": %b}' % (b"x".join([b"1" * 4_300] * 229), b"2" * 4_301),
        "a number is too long (byte 984943)",
    ),
    (b'{"a": %b' % (b"[" * 1_000), "(byte 1006)"),
    (b"[" * 1_000_000, "nested too deeply"),
]


def strict(raw: bytes) -> Any:
    """As a reader in another language takes it: UTF-8, no NaN, no name twice, floats' size."""

    def refused(text: str) -> None:
        raise AssertionError(text)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    value = json.loads(raw.decode(), parse_constant=refused, object_pairs_hook=once)
    json.loads(raw, parse_int=lambda text: float(text).as_integer_ratio())
    return value


@pytest.mark.parametrize(("body", "value"), READ, ids=range(len(READ)))
def test_tolerated_json_is_written_for_strict_readers(body: bytes, value: Any) -> None:
    assert strict(write_json(read_json(body))) == value


@pytest.mark.parametrize(("body", "says"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_unreadable_json_names_error_and_place(body: bytes, says: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        read_json(body)
    assert says in str(refusal.value)


@pytest.mark.parametrize("depth", [150, 250, 990, 5_000, 25_000])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"x":', "}"), ('[{"x":[', "]}]")])
def test_too_deep_nesting_does_not_hide_other_values(depth: int, left: str, right: str) -> None:
    body = f'{{"a": 1, "deep": {left * depth}1{right * depth}, "b": [{{}}, 2]}}'.encode()
    assert len(body) < json_repair.REPAIRED_AT_MOST
    document = read_json(body)
    assert (document["a"], document["b"]) == (1, [{}, 2])


def test_a_body_too_large_to_be_repaired_is_still_read_where_python_reads_it() -> None:
    filler = b'"x": "%b", ' % (b"y" * 2 * json_repair.REPAIRED_AT_MOST)
    assert read_json(b'{%b"a": "\\ud83d", "b": NaN}' % filler)["b"] is None
    with pytest.raises(Unreadable, match=r"Expecting value \(byte 524303\)"):
        read_json(b'{%b"a": nope}' % filler)


@settings(max_examples=80, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=12,
    ),
    st.booleans(),
)
def test_valid_json_is_read_the_same_by_every_decoder(value: Any, escaped: bool) -> None:  # noqa: FBT001 - drawn
    """Repairing changes nothing that is good."""
    text = json.dumps(value, ensure_ascii=escaped)
    strictly = json.loads(text, parse_constant=lambda _: None)
    assert read_json(text.encode("utf-8", "surrogatepass")) == strictly
    repaired = json_repair.repair(text).text
    assert json.loads(repaired, parse_constant=lambda _: None) == strictly


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60) | st.text('{}[]",:\\u0d8nNaI1e+-. ').map(str.encode))
def test_only_unreadable_is_raised(body: bytes) -> None:
    """And what was read can be written for strict readers."""
    try:
        value = read_json(body)
    except Unreadable:
        return
    strict(write_json(value))


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (rb'{"params": {"url": "cut \ud83d"}}', "`/params/url`"),
        (rb'{"aliases": ["a", "\ud83d"]}', "`/aliases/1`"),
        (rb'{"metadata": {"a/b": {"\ud83d": 1}}}', "`/metadata/a~1b`"),
        (b'{"metadata": {"n": [1, NaN]}}', "`/metadata/n/1`"),
        (b'{"metadata": {"n": 1e400}}', "`/metadata/n`"),
        (b'{"metadata": {"n": %b}}' % (b"1" * 400), "`/metadata/n`"),
        (b'{"submitted": {"headers": {"a": "\\ud83d"}}}', "`/submitted/headers/a`"),
    ],
)
def test_an_invalid_value_of_a_caller_is_refused_with_its_place(body: bytes, place: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        read_exactly(body, "/submitted/body")
    assert place in str(refusal.value)


def test_a_third_partys_document_in_a_call_is_read_tolerantly() -> None:
    body = rb'{"submitted": {"body": {"id": "a", "text": "\ud83d", "n": NaN}}, "n": 1}'
    document = read_exactly(b"\xef\xbb\xbf" + body, "/submitted/body")
    assert document == {"submitted": {"body": {"id": "a", "text": "\ud83d", "n": None}}, "n": 1}


@pytest.mark.parametrize(
    "body", [b'{"a": nope}', b'{"a": "\x01"}', b'{"a": "\xff"}', b'{"a": 1} x', b"[" * 2_000, b""]
)
def test_a_callers_own_body_is_strict_json(body: bytes) -> None:
    with pytest.raises(Unreadable, match="the body is"):
        read_exactly(body, "/submitted/body")


def test_a_number_too_long_for_strict_readers_is_null_wherever_it_is() -> None:
    for before in range(2 * (json_input.DIGITS + 1)):
        text = "x" * before
        assert write_json([text, 10**json_input.DIGITS]) == b'["%b",null]' % text.encode()
        longest = 10**json_input.DIGITS - 1
        assert json.loads(write_json([text, longest])) == [text, longest]


def test_a_lost_value_is_never_written() -> None:
    with pytest.raises(TypeError):
        write_json({"a": [json_input.LOST]})
    assert msgspec.json.decode(write_json({"a": float("inf")})) == {"a": None}
