"""Requests that poll many jobs, and what their responses say, without a network."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from processor import provider
from processor.errors import InvalidValue
from processor.model import HttpResponse
from processor.provider import Account, ListedJobs, ListPage, PollFailure, PollRules, parse

PROFILES = Path(provider.__file__).parents[1] / "providers"
NOW = 1_000_000.0
PROFILE = """
[poll]
request = "GET /jobs/{id}"
root = ["/job/data", ""]
id = "/id"
status = "/status"
every = ["1s", "10s"]
throttled = { "code" = 403, "header:x-remaining" = "0" }
[poll.list]
request = "GET /jobs"
each = "/items"
whole = true
[states]
done = "succeeded"
"""


def poll_of(name: str, kind: str | None = None) -> PollRules:
    poll = parse(name, (PROFILES / f"{name}.toml").read_text()).polls(kind)
    assert poll is not None
    return poll


FIRST, SECOND = ListPage(), ListPage(2, "a/1")
REQUESTS = [
    ("wistia", "media", FIRST, "/medias?per_page=100&hashed_ids%5B%5D=a%2F1&hashed_ids%5B%5D=b"),
    ("cloudflare-stream", None, FIRST, "/accounts/acme/stream?id=a%2F1,b"),
    ("openai", "batch", FIRST, "/batches?limit=100"),
    ("openai", "batch", SECOND, "/batches?limit=100&after=a%2F1"),
    ("github", None, SECOND, "/repos/acme/widgets/actions/runs?per_page=100&page=2"),
]


@pytest.mark.parametrize(("name", "kind", "page", "path"), REQUESTS)
def test_a_request_names_jobs_or_a_page(name: str, kind: str | None, page: ListPage, path: str):
    account = Account("https://api.example/", "secret", {"account": "acme"})
    params = {"repo": "acme/widgets", "account": "another"}
    poll = poll_of(name, kind)
    request = provider.build_list_request(poll, account, params, ["a/1", "b"], page)
    assert (request.method, request.url) == ("GET", f"https://api.example{path}")
    assert request.headers.items() >= {("Authorization", "Bearer secret"), *poll.headers.items()}


def test_a_request_without_its_params_is_refused():
    with pytest.raises(InvalidValue, match="cannot be listed: `repo` must have a value"):
        provider.build_list_request(poll_of("github"), Account("https://h"), {}, [], FIRST)
    with pytest.raises(InvalidValue, match="there is no such page"):
        provider.build_list_request(poll_of("replicate"), Account("https://h"), {}, [], SECOND)


def read(body: Any, status: int = 200, **headers: str) -> ListedJobs | PollFailure:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = HttpResponse(status, named, raw, 1.0)
    return provider.read_list_response(parse("acme", PROFILE), "acme", None, response, NOW)


@pytest.mark.parametrize(
    ("body", "status", "headers", "kind", "reason"),
    [
        (b"<html>", 200, {}, "failed", "not JSON"),
        ({"items": {}}, 200, {}, "failed", "there is no array at `/items`"),
        ([], 200, {}, "failed", "there is no array at `/items`"),
        ({"items": []}, 201, {}, "failed", "HTTP 201"),
        ({"items": []}, 401, {}, "unauthorized", "HTTP 401"),
        ({"items": []}, 403, {}, "unauthorized", "HTTP 403"),
        ({"items": []}, 403, {"x_remaining": "0"}, "throttled", "HTTP 403"),
        ({"items": []}, 429, {"retry_after": "7"}, "throttled", "HTTP 429"),
    ],
)
def test_a_list_that_is_not_one_is_a_failure(
    body: Any, status: int, headers: dict[str, str], kind: str, reason: str
):
    failure = read(body, status, **headers)
    assert isinstance(failure, PollFailure)
    assert failure.kind == kind
    assert reason in failure.reason
    assert failure.retry_after == (7.0 if headers.get("retry_after") else None)


def test_what_is_unreadable_in_a_list_is_left_out():
    good = [{"id": "1", "status": "done"}, {"id": "2", "status": "new word"}]
    bad = [None, [], {}, {"id": "3"}, {"status": "done"}, {"id": "\x00", "status": "done"}]
    listed = read({"items": [good[0], *bad, good[1], 7]}, retry_after="30")
    assert isinstance(listed, ListedJobs)
    assert [(job.update.id, job.update.poll_after) for job in listed.jobs] == [("1", 30), ("2", 30)]
    assert (listed.last, listed.size) == ("2", 9)


def test_no_page_is_so_long_that_reading_it_holds_up_other_work():
    job = {"id": "1", "status": "done"}
    listed = read({"items": [job] * 3_000})
    assert isinstance(listed, ListedJobs)
    assert (len(listed.jobs), listed.size) == (2_000, 3_000)


def test_an_element_as_the_answer_of_a_poll_is_read_like_the_element():
    profile = parse("acme", PROFILE)
    listed = read({"items": [{"id": "1", "status": "done", "more": [1]}]}, etag='"x"')
    assert isinstance(listed, ListedJobs)
    (job,) = listed.jobs
    response = HttpResponse(200, {"etag": '"x"', "content-type": "a/b"}, b"", 1.0)
    answer = provider.as_answer(profile.kinds[None].poll, job.element, response)  # type: ignore[arg-type]
    assert answer is not None
    assert answer.body == b'{"job":{"data":{"id":"1","status":"done","more":[1]}}}'
    assert answer.headers == {"etag": "", "content-type": "a/b"}
    alone = provider.read_poll_response(profile, "acme", None, "1", answer, NOW)
    assert alone == job.update


def test_a_large_list_is_read_too():
    many = [{"id": str(n), "status": "done", "more": "x" * 1000} for n in range(1000)]
    listed = read({"items": many})
    assert isinstance(listed, ListedJobs)
    assert [job.update.id for job in listed.jobs] == [str(n) for n in range(1000)]


@pytest.mark.parametrize(
    ("status", "kind"), [(200, "failed"), (429, "throttled"), (404, "missing")]
)
def test_a_list_that_breaks_off_says_nothing_but_its_error(status: int, kind: str):
    """What is left of it may be JSON by chance."""
    answer = HttpResponse(status, {}, b'{"items": []}', 0.1, "the answer broke off")
    failure = provider.read_list_response(parse("acme", PROFILE), "acme", None, answer, NOW)
    assert isinstance(failure, PollFailure)
    assert failure.kind == kind
    assert status != 200 or failure.reason == "the answer broke off"
