"""A source's secrets are masked in every spelling; ordinary words are not."""

import base64
import html
import json
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from processor.config import Source, load
from processor.config.redaction import redact

TOKEN = """key_A&B<C>'"d\\e/0123+456 é€😀789-z"""
HOOK = "hook-secret-xyz"
USER, PASSWORD = "my-token-id", "Very-Secret-Part-0123456789"


@pytest.fixture
def source_of(tmp_path: Path) -> Callable[..., Source]:
    """A source at Mux, whose token is `user:password`."""

    def make(token: str, secret: str = HOOK) -> Source:
        file = tmp_path / "ringback.toml"
        quoted = [json.dumps(text, ensure_ascii=False) for text in (token, secret)]
        written = f"token = {quoted[0]}\nwebhook_secret = {quoted[1]}"
        file.write_text(f'[sources.m]\nprovider = "mux"\n{written}')
        return load(file, {}).sources["m"]

    return make


def _escaped_fully(text: str) -> str:
    return "".join(
        char if char.isalnum() and char.isascii() else f"&#x{ord(char):X};" for char in text
    )


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON of Go": lambda text: (
        json.dumps(text)[1:-1]
        .replace("&", r"\u0026")
        .replace("<", r"\u003c")
        .replace(">", r"\u003E")
    ),
    "JSON of PHP": lambda text: json.dumps(text)[1:-1].replace("/", r"\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text))[3:-3],
    "URL": lambda text: quote(text, safe=""),
    "path": quote,
    "form": quote_plus,
    "URL in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "HTML": html.escape,
    "HTML of PHP": lambda text: html.escape(text).replace("&#x27;", "&#039;"),
    "HTML, all characters": _escaped_fully,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 in JSON": lambda text: json.dumps(base64.b64encode(text.encode()).decode())[1:-1],
    "base64 in a URL": lambda text: quote(base64.b64encode(text.encode()).decode(), safe=""),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_masked_in_each_spelling(source_of: Callable[..., Source], spelling: str):
    text = SPELLINGS[spelling](TOKEN)
    for whole in (text, f"the key {text} is bad", f'{{"m":"{text}"}}'):
        assert redact(source_of(TOKEN), whole) == whole.replace(text, "********")


def test_the_password_of_a_credential_is_masked_alone_and_its_user_is_not(
    source_of: Callable[..., Source],
):
    source = source_of(f"{USER}:{PASSWORD}")
    assert redact(source, f"secret {PASSWORD} is not valid for {USER}, of course") == (
        f"secret ******** is not valid for {USER}, of course"
    )
    assert redact(source, f"bad {USER}:{PASSWORD}!") == "bad ********!"


@pytest.mark.parametrize("rest", ["", "x"])
def test_a_user_is_masked_where_only_that_can_be_secret(
    source_of: Callable[..., Source], rest: str
):
    assert redact(source_of(f"{PASSWORD}:{rest}"), f"no {PASSWORD}, sorry") == "no ********, sorry"


def test_short_secrets_are_masked_as_words_and_never_inside_of_one(
    source_of: Callable[..., Source],
):
    source = source_of("dg", "test")
    assert redact(source, "judge dg: the latest testing") == "judge dg: the latest testing"
    assert redact(source, r'"test" =test& %3Dtest \ntest (test)') == (
        r'"********" =********& %3D******** \n******** (********)'
    )


def test_a_short_secret_is_masked_that_overlaps_the_end_of_another_word(
    source_of: Callable[..., Source],
):
    assert redact(source_of(TOKEN, "a-a-a"), "xa-a-a-a") == "xa-********"


def test_the_beginning_of_a_secret_at_the_end_of_a_text_is_masked(source_of: Callable[..., Source]):
    source = source_of(f"{USER}:{PASSWORD}")
    for length in range(8, len(PASSWORD)):
        assert redact(source, f"no {PASSWORD[:length]}") == "no ********"
    assert redact(source, f"no {PASSWORD[:8]} there") == f"no {PASSWORD[:8]} there"
    assert redact(source, f"no {PASSWORD[:4]}") == f"no {PASSWORD[:4]}"


@pytest.mark.parametrize(
    "secret", ["a secret of words 123", """it's-'quoted'-all""", '<a"b c>-0123456']
)
def test_the_beginning_of_a_secret_with_quotes_or_spaces_is_masked_too(
    source_of: Callable[..., Source], secret: str
):
    source = source_of(TOKEN, secret)
    for length in range(8, len(secret)):
        for spelling in ("plain", "JSON", "JSON of Go", "URL", "HTML"):
            assert redact(source, f"no {SPELLINGS[spelling](secret[:length])}") == "no ********"


def test_a_line_break_in_a_secret_with_spaces_does_not_hide_its_beginning(
    source_of: Callable[..., Source],
):
    assert (
        redact(source_of(TOKEN, "a secret of words 123"), "no a secret\nof words") == "no ********"
    )


@pytest.mark.parametrize("piece", ["\\", "&#0", "%25", "key_", " ", "-\\", "e\\"])
def test_a_hostile_answer_is_searched_in_linear_time(source_of: Callable[..., Source], piece: str):
    source = source_of("-\\key_-A:%secret word", "& another secret")
    redact(source, "")  # compiles
    began = time.process_time()
    redact(source, piece * (2**18 // len(piece)))
    assert time.process_time() - began < 5.0  # 0.3 s at most; minutes if it were quadratic
