"""A subscription's own headers: which are allowed beside ours."""

import pytest
from hypothesis import given, strategies as st

from processor.formats.custom_headers import BYTES_AT_MOST, HEADERS_AT_MOST, REFUSED, check_headers

TOKEN = st.from_regex(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,40}", fullmatch=True)


def test_names_are_in_lower_case_and_values_as_they_were() -> None:
    assert check_headers({"X-Api-Key": "A b", "x-team": "v"}) == {"x-api-key": "A b", "x-team": "v"}


@pytest.mark.parametrize("word", REFUSED)
def test_reserved_headers_are_refused_in_any_case(word: str) -> None:
    for name in (word, word.upper(), word + "x" if word.endswith("-") else word.title()):
        with pytest.raises(ValueError, match="cannot be set"):
            check_headers({name: "v"})


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a:b", "a\r\nb", "a\nb", "é", "a\x00", "(a)", "a,b", "a/b", '"a"']
)
def test_a_name_that_is_not_an_http_token_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a header name"):
        check_headers({name: "v"})


@pytest.mark.parametrize(
    "value", ["", " ", "a\r\nX-Evil: 1", "a\nb", "a\rb", "a\x00", "é", "\x7f", " a", "a ", "\ta"]
)
def test_a_value_with_control_characters_is_refused_and_not_quoted(value: str) -> None:
    with pytest.raises(ValueError, match="'x-key' must be printable ASCII") as refusal:
        check_headers({"x-key": value})
    assert "Evil" not in str(refusal.value)


def test_there_is_a_limit_on_the_number_of_headers() -> None:
    many = {f"x-{n}": "v" for n in range(HEADERS_AT_MOST)}
    assert check_headers(many) == many
    with pytest.raises(ValueError, match="at most 16"):
        check_headers(many | {"x-more": "v"})


def test_there_is_a_limit_on_the_length_of_headers() -> None:
    room = BYTES_AT_MOST - len("x-key")
    assert check_headers({"x-key": "v" * room})
    with pytest.raises(ValueError, match="more than 4096 bytes"):
        check_headers({"x-key": "v" * (room + 1)})


def test_a_duplicate_name_in_another_case_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        check_headers({"X-Key": "1", "x-key": "2"})


@given(st.dictionaries(TOKEN, st.text(max_size=20), max_size=4))
def test_accepted_headers_are_one_line_of_ascii(given_headers: dict[str, str]) -> None:
    try:
        headers = check_headers(given_headers)
    except ValueError:
        return
    for name, value in headers.items():
        line = f"{name}: {value}"
        assert line.isascii()
        assert line.isprintable()
        assert not name.startswith(("webhook-", "ce-", "content-", "proxy-"))
