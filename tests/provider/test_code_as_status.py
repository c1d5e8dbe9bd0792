"""Answers without JSON, to polls whose status may be the HTTP code."""

from pathlib import Path

import msgspec
import pytest

from processor import provider
from processor.model import HttpResponse, StatusUpdate
from processor.provider import parse

PROFILES = Path(provider.__file__).parents[1] / "providers"
JSON, HTML = "application/json", "text/html; charset=utf-8"
PAGE = b"<html><form>sign in</form></html>"
ANSWERS = [
    # An empty body is documented.
    (200, None, b"", "succeeded"),
    (200, JSON, b"", "succeeded"),
    (202, HTML, b" \r\n", "running"),
    (204, None, b"", "succeeded"),
    # The result may be any document, but JSON is JSON, and a page of HTML is from a proxy.
    (200, "text/csv", b"a,b\n", "succeeded"),
    (200, "application/pdf", b"%PDF-1.7\n", "succeeded"),
    (202, "text/plain", b"wait", "running"),
    (200, JSON, b'{"status": "fai', None),
    (200, "application/problem+json", b"{", None),
    (200, None, b"<html>", None),
    (200, HTML, PAGE, None),
    (200, "application/xhtml+xml", PAGE, None),
    (202, HTML, PAGE, None),
    (200, HTML, b"\xef\xbb\xbf\r\n" + PAGE, None),
    # What Flask sends for `return "Accepted", 202` is called HTML, and is no page.
    (202, HTML, b"Accepted", "running"),
    (200, HTML, b"OK\n", "succeeded"),
    (200, HTML, b'{"status": "fai', None),
    # What is JSON is read, whatever it is called.
    (200, HTML, b'{"status": "failed"}', "failed"),
    (200, None, b'{"status": "failed"}', "failed"),
]


def read(name: str, status: int, mime: str | None, body: bytes, cut: str = "") -> str | None:
    profile = parse(name, (PROFILES / f"{name}.toml").read_text())
    headers = {"content-type": mime} if mime else {}
    response = HttpResponse(status, headers, body, 0.1, cut)
    outcome = provider.read_poll_response(profile, "acme", None, "1", response, 1e6)
    return outcome.state if isinstance(outcome, StatusUpdate) else None


@pytest.mark.parametrize("name", ["azure-async", "http-202"])
@pytest.mark.parametrize(("status", "mime", "body", "state"), ANSWERS)
def test_the_code_counts_if_no_json_was_to_be_expected(
    name: str, status: int, mime: str | None, body: bytes, state: str | None
):
    assert read(name, status, mime, body) == state


def spellings(word: str) -> set[str]:
    """A word as services write it: in_progress, in-progress, In Progress, inProgress, IN_PROGRESS."""
    upper_first = word.title().replace("_", "")
    both = {word, word.replace("_", "-"), word.replace("_", " "), word.upper(), upper_first}
    return both | {word.replace("_", " ").title(), upper_first[0].lower() + upper_first[1:]}


USUAL = parse("hmac", (PROFILES / "hmac.toml").read_text()).kinds[None].states.words
MORE = {
    "enqueued": "queued",
    "scheduled": "queued",
    "submitted": "queued",
    "not_started": "queued",
    "initializing": "running",
    "retrying": "running",
    "canceling": "running",
    "cancelling": "running",
    "timeout": "expired",
}
SPELLED = [
    (text, state) for word, state in (USUAL | MORE).items() for text in sorted(spellings(word))
]


@pytest.mark.parametrize(("word", "state"), SPELLED)
def test_a_usual_word_in_a_200_is_not_taken_for_success(word: str, state: str):
    """The words of `hmac`, which has no list of its provider's either, and some that it does not need."""
    body = msgspec.json.encode({"status": word, "progress": 10})
    assert read("http-202", 200, JSON, body) == state


@pytest.mark.parametrize("word", ["queued", "waiting", "Running", "in_progress", "retrying"])
def test_a_303_is_the_end_whatever_its_body_says_of_the_work(word: str):
    assert read("http-202", 303, JSON, msgspec.json.encode({"status": word})) == "succeeded"


def test_a_303_with_a_bad_end_is_no_success():
    assert read("http-202", 303, JSON, b'{"status": "failed"}') == "failed"


@pytest.mark.parametrize("word", ["accepted", "rejected", "approved"])
def test_a_verdict_in_a_200_is_a_result(word: str):
    """Such as that of a moderation, which did its work either way."""
    assert read("http-202", 200, JSON, msgspec.json.encode({"status": word})) == "succeeded"


@pytest.mark.parametrize("word", ["active", "created", "scheduled", "Submitted", "Enabled", "", 3])
def test_any_other_status_is_that_of_a_result(word: object):
    """Such as of the account that a 201 has created."""
    assert read("http-202", 201, JSON, msgspec.json.encode({"status": word})) == "succeeded"


VIDEO = b"\0\0\0\x20ftypmp42"
CUT_ANSWERS = [
    # The result itself: no status can be in it.
    (200, "video/mp4", VIDEO, "succeeded"),
    (200, "text/csv", b"a,b\n", "succeeded"),
    (202, "text/plain", b"wait", "running"),
    (200, "audio/L16", bytes(99), "succeeded"),
    # There may be a status in what did not come.
    (200, JSON, b'{"id": "1", ', None),
    (200, "application/problem+json", VIDEO, None),
    (200, "text/plain", b' {"id": "1", ', None),
    (200, "application/octet-stream", b'\xef\xbb\xbf[{"id": "1", ', None),
    (200, "text/plain; charset=utf-16", '{"id": "1", '.encode("utf-16"), None),
    (200, None, VIDEO, None),
    (200, "", VIDEO, None),
    (200, HTML, PAGE, None),
    # Nothing of it came, so nothing tells what it is.
    (200, "video/mp4", b"", None),
    (200, "text/plain", b"\r\n ", None),
]


@pytest.mark.parametrize("name", ["azure-async", "http-202"])
@pytest.mark.parametrize(("status", "mime", "body", "state"), CUT_ANSWERS)
def test_of_a_cut_answer_the_code_counts_if_no_status_can_be_in_it(
    name: str, status: int, mime: str | None, body: bytes, state: str | None
):
    assert read(name, status, mime, body, "the answer is larger than 9 bytes") == state


def test_the_code_of_a_cut_redirection_does_not_count():
    assert read("http-202", 303, "text/plain", b"see", "timed out after 10 s") is None


def test_a_redirection_is_explained_in_html():
    """As RFC 9110, 15.4.4, has it."""
    assert read("http-202", 303, HTML, b'<a href="/reports/9">here</a>') == "succeeded"


def test_a_profile_that_reads_no_status_in_the_body_takes_any_whole_one():
    text = """
[poll]
request = "GET /jobs/{id}"
status = "code"
every = ["1s", "10s"]
[states]
200 = "succeeded"
"""
    for mime in (JSON, HTML):
        for cut in ("", "the answer broke off"):
            response = HttpResponse(200, {"content-type": mime}, b"<html>", 0.1, cut)
            outcome = provider.read_poll_response(
                parse("acme", text), "acme", None, "1", response, 1e6
            )
            assert isinstance(outcome, StatusUpdate) is not bool(cut)
