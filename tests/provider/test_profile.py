"""Profiles: errors have a remedy, polls are safe, and values are read within limits."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from processor import provider
from processor.durations import parse_duration
from processor.errors import ConfigError, InvalidValue, Unreadable, WrongType
from processor.http_time import parse_number, parse_retry_after, parse_timestamp
from processor.model import NULL, HttpResponse, Push, State, StatusUpdate
from processor.provider import (
    Account,
    PollFailure,
    Profile,
    UrlTemplate,
    extract_update,
    parse,
)

PROFILES = Path(provider.__file__).parents[1] / "providers"
NOW = 1_000_000.0

PUSHED = """
[push]
id = "/id"
status = "/status"
[states]
done = "succeeded"
"""
POLLED = """
base_url = "https://api.example.com"
[poll]
request = "GET /jobs/{id}"
id = "/id"
status = "/status"
every = ["1s", "10s"]
[states]
done = "succeeded"
busy = "running"
"""


def shipped(name: str) -> Profile:
    return parse(name, (PROFILES / f"{name}.toml").read_text())


def polled(more: str = "") -> Profile:
    return parse("acme", POLLED.replace("[states]", f"{more}\n[states]"))


def answer(profile: Profile, body: Any, status: int = 200, **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    result = HttpResponse(status, {k.replace("_", "-"): v for k, v in headers.items()}, raw, 2.0)
    return provider.read_poll_response(profile, "acme", None, "1", result, NOW)


# What is refused, and how -------------------------------------------------------------------


REFUSED = [
    ("base_url = ", "Invalid value (at end of document)"),
    ("base_url = x\n", "Invalid value (at line 1, column 12)"),
    ("", "no table says how to read a job"),
    ("colour = 1", "unknown key `colour`; it takes base_url, checked, docs, inferred, kinds, mir"),
    ('trust = "refetch"', "unknown key `trust`"),
    ("base_url = 1", '`base_url` holds a number; write "https://api.example.com"'),
    (PUSHED.replace("/status", "status"), "[push] status: `status` is not a JSON pointer"),
    (PUSHED.replace('"/id"', "[]"), "[push] id: an empty list"),
    (PUSHED.replace('"/id"', "7"), "[push] id: 7 is not a location"),
    (PUSHED.replace("/id", "/a~2"), "[push] id: `/a~2` is not a JSON pointer"),
    (PUSHED.replace('id = "/id"', ""), "[push] `id` is missing; add it, such as id ="),
    (PUSHED.replace("id =", "di ="), "[push] unknown key `di`; it takes about, aliases,"),
    (PUSHED.replace("succeeded", "success"), "[states] done = 'success' is not a state; use que"),
    (PUSHED.replace('done = "succeeded"', ""), "[states] no words; map each of the provider's"),
    (
        PUSHED.replace("[states]", "[push.verify]\n[states]"),
        "[push.verify] `scheme` is missing; add it",
    ),
    (
        PUSHED.replace("[states]", '[push.verify]\nscheme = "rot13"\n[states]'),
        "[push.verify] unknown scheme `rot13`; known are ",
    ),
    (
        PUSHED.replace("[states]", "progress = { of = 1 }\n[states]"),
        "[push.progress] `at` is missing; add it, such as at",
    ),
    (
        PUSHED.replace("[states]", 'progress = { at = "/p", of = 0 }\n[states]'),
        "[push.progress] `of` is the number that means done",
    ),
    (
        PUSHED.replace("[states]", 'error = { text = "/e" }\n[states]'),
        "[push.error] unknown key `text`; it takes code, message",
    ),
    (
        PUSHED.replace("[states]", 'about = "done"\n[states]'),
        '[push] about: write it as { "/type" = ["job.done"',
    ),
    (
        PUSHED.replace("[states]", 'about = { "/type" = [1.5] }\n[states]'),
        '[push] about: write it as { "/type" = ["job.done", "job',
    ),
    (
        PUSHED.replace("[states]", 'about = { "type" = "done" }\n[states]'),
        "[push] about: `type` is not a JSON pointer",
    ),
    (
        PUSHED.replace('"/status"', '{ is = "done" }'),
        '[push] status: write a rule as { is = "done", if = { "/finished" = true } }',
    ),
    (
        PUSHED.replace('"/status"', '[{ is = "ready", if = { "/x" = true } }]'),
        "[push] status: `ready` is not in [states]; add it there",
    ),
    (
        PUSHED.replace("[push]", '[push]\ndecode = "xml"'),
        "[push] decode: `xml` is not known; write",
    ),
    (PUSHED.replace("[push]", "[push]\nanswer = 404"), "[push] `answer` is the status code for"),
    (
        PUSHED.replace("[push]", '[push]\ntrust = "me"'),
        '[push] `trust` cannot be \'me\'; write "event" or "refetch"',
    ),
    (POLLED.replace("[states]", 'hint = { at = "/a", unit = "h" }\n[states]'), "[poll.hint] unit"),
    (POLLED + '[submit]\nwhere = "/id"', "[submit] unknown key `where`; it takes aliases, attempt"),
    (
        POLLED + "[register]\n[register.body]",
        "[register] set either `paste`, or `create` or `update` wi",
    ),
    (POLLED + '[register]\ncreate = "/hooks"', "[register] create: `/hooks` is not a request; wri"),
    (POLLED.replace('"1s"', '"1 s"'), "[poll] every[0]: `1 s` is not a duration; write it as"),
    (POLLED.replace('"1s"', "1"), "[poll] every[0]: `1` is not a duration"),
    (POLLED.replace('"1s"', '"0s"'), "[poll] `every` is [first, longest]"),
    (
        POLLED.replace('"1s"', '"11s"'),
        '`every` is reversed: [first, longest]; write ["10s", "11s"]',
    ),
    (POLLED.replace("GET /", "POST /"), "[poll] request: `POST /jobs/{id}` is not a request"),
    (POLLED.replace("GET /", "GET https://x/"), "is not a request; write `GET /jobs/{id}`"),
    (POLLED.replace("{id}", "{Id}"), "[poll] request: `/jobs/{Id}` must contain `{id}`"),
    (POLLED.replace("{id}", "all"), "[poll] request: `/jobs/all` must contain `{id}`"),
    (POLLED.replace("{id}", "{account}"), "[poll] request: `/jobs/{account}` must contain `{id}`"),
    (POLLED.replace("{id}", "{id}/{"), "no braces except those of placeholders"),
    (POLLED.replace("{id}", "{id} x"), "no spaces"),
    (
        POLLED.replace("[states]", 'budget = "600"\n[states]'),
        "[poll] budget: `600` is not a budget",
    ),
    (POLLED.replace("[states]", 'budget = "0/1m"\n[states]'), "`0/1m` is not a budget"),
    (POLLED.replace("[states]", 'budget = "5/0s"\n[states]'), "per time, such as 600/1m"),
    (
        POLLED.replace("[states]", 'auth = "digest"\n[states]'),
        "[poll] auth: `digest` is not known;",
    ),
    (POLLED.replace("[states]", 'auth = "X: {key}"\n[states]'), "header itself, `X-Api-Key: {tok"),
    ('mirror = "jobs/{id}"', "mirror: `jobs/{id}` is not a path or a URL"),
    ('mirror = "https://h/{id}"' + POLLED, "mirror is a path that starts with `/`"),
    ('mirror = "/{id}"' + PUSHED, "needs [poll]"),
    ("[kinds.Media]\n", "kinds.Media: the name of a kind has only lower-case letters"),
    ("[kinds.media]\n", "[kinds.media.push] or [kinds.media.poll] is missing"),
    ("[kinds.media.push]\nid = 1", "[kinds.media.push] id: 1 is not a location"),
    ("[kinds.media]\npoke = 1", "[kinds.media] unknown key `poke`"),
    ('[push]\neach = "/events"', "add `id` and `status` to [push]"),
    ('[states]\ndone = "succeeded"', "[push] or [poll] is missing; add one"),
]


@pytest.mark.parametrize(("text", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_a_wrong_profile_is_one_line_with_file_key_and_remedy(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse("acme", text)
    message = str(refusal.value)
    assert re.match(r"providers/acme\.toml:\d+: |providers/acme\.toml: ", message)
    assert says in message
    assert "\n" not in message


def test_a_bad_profile_does_not_affect_the_others() -> None:
    wistia = shipped("wistia")
    assert wistia.needs_secret
    assert not shipped("bluesky").needs_secret
    assert shipped("bluesky").push is None
    assert wistia.base_url == "https://api.wistia.com/modern"
    assert provider.mirror_paths(wistia, {}) == {
        None: "/modern/background_job_status/{id}",
        "media": "/modern/medias/{id}",
    }
    assert wistia.kind_of("media:l9dq") == "media"
    assert wistia.kind_of("media") is None
    assert wistia.kind_of("other:l9dq") is None
    assert wistia.polls("other") is None
    poll = wistia.polls(None)
    assert poll is not None
    assert (poll.every, poll.after, poll.budget) == ((2.0, 30.0), 2.0, (600, 60.0))
    late = polled('after = "30s"').polls(None)
    assert late is not None
    assert late.after == 30


# Asking -------------------------------------------------------------------------------------


def ask(profile: Profile, job: str, **more: Any) -> provider.PollRequest:
    facts = {"base_url": profile.base_url or "", "token": "tok", **more}
    params = facts.pop("params", {})
    account = Account(facts["base_url"], facts["token"], facts.pop("values", {}))
    return provider.build_poll_request(profile, profile.kind_of(job), job, account, params)


def test_the_shipped_providers_are_polled_as_documented() -> None:
    wistia = ask(shipped("wistia"), "197424")
    assert wistia.url == "https://api.wistia.com/modern/background_job_status/197424"
    assert wistia.headers == {
        "Accept": "application/json",
        "X-Wistia-API-Version": "2026-03",
        "Authorization": "Bearer tok",
    }
    assert ask(shipped("wistia"), "media:l9dq").url == "https://api.wistia.com/modern/medias/l9dq"
    bluesky = ask(shipped("bluesky"), "d9it0", base_url="http://127.0.0.1:9/")
    assert bluesky.url == "http://127.0.0.1:9/xrpc/app.bsky.video.getJobStatus?jobId=d9it0"
    assert bluesky.headers == {"Accept": "application/json"}


def test_a_status_url_of_the_source_is_polled_with_its_optional_token() -> None:
    values = {"status_url": "http://encoder.internal/jobs/{id}?full=1"}
    standard = shipped("standard")
    assert ask(standard, "a/b", values=values).url == "http://encoder.internal/jobs/a%2Fb?full=1"
    assert ask(standard, "1", values=values).headers["Authorization"] == "Bearer tok"
    assert "Authorization" not in ask(standard, "1", values=values, token=None).headers


def test_a_jobs_params_fill_placeholders_and_never_replace_a_setting() -> None:
    profile = parse("acme", POLLED.replace("/jobs/{id}", "/{region}/jobs/{id}"))
    assert ask(profile, "1", params={"region": "eu/1"}).url.endswith("/eu%2F1/jobs/1")
    both = ask(profile, "1", values={"region": "us"}, params={"region": "eu", "id": "2"})
    assert both.url.endswith("/us/jobs/1")
    stolen = {"status_url": "http://evil.example/{id}"}
    with pytest.raises(InvalidValue, match="set `status_url` on the source"):
        ask(shipped("standard"), "1", params=stolen)


@pytest.mark.parametrize("name", ["wistia", "bluesky", "standard"])
@settings(max_examples=100, deadline=None)
@given(job=st.text(min_size=1) | st.sampled_from(["../../x", "a?b#c", "@evil", "//evil", "%2e"]))
def test_no_id_can_change_host_path_or_query(name: str, job: str) -> None:
    values = {"status_url": "https://h.example/jobs/{id}"}
    profile = shipped(name)
    try:
        provider.check_id(job)
    except ValueError:
        return
    plain = urlsplit(ask(profile, "JOB", values=values).url)
    url = urlsplit(ask(profile, job, values=values).url)
    bare = provider.bare_id(profile.kind_of(job), job)
    assert (url.scheme, url.netloc, url.fragment) == (plain.scheme, plain.netloc, "")
    if profile.kind_of(job) is None:
        assert len(url.path.split("/")) == len(plain.path.split("/"))
        assert unquote(url.path + url.query) == (plain.path + plain.query).replace("JOB", bare)


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_value_of_dots_or_nothing_is_refused(value: str) -> None:
    profile = parse("acme", POLLED.replace("/jobs/{id}", "/{region}/jobs/{id}"))
    with pytest.raises(InvalidValue, match="`region` must have a value other than"):
        ask(profile, "1", params={"region": value})
    with pytest.raises(InvalidValue, match="`id` must have a value"):
        ask(profile, value, params={"region": "eu"})


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("encoder/{id}", "not a path or a URL"),
        ("ftp://h/{id}", "not a path or a URL"),
        ("http://{id}.internal/", "not a path or a URL"),
        ("http://h?{id}", "not a path or a URL"),
        ("http://h/jobs", "must contain `{id}`"),
    ],
)
def test_a_status_url_keeps_its_host(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        UrlTemplate(url)
    with pytest.raises(InvalidValue, match="cannot be polled"):
        ask(shipped("standard"), "1", values={"status_url": url})


def test_a_source_that_cannot_poll_names_what_is_missing() -> None:
    def why(name: str, account: Account) -> str:
        return provider.why_not_pollable(shipped(name), None, account) or ""

    assert not why("wistia", Account("https://h", "tok"))
    assert "set `token`" in why("wistia", Account("https://h"))
    assert "set `base_url`" in why("wistia", Account(token="tok"))
    assert "set `status_url`" in why("standard", Account("https://h"))
    assert not why("standard", Account(params={"status_url": "http://h/{id}"}))
    lack = provider.why_not_pollable(parse("acme", PUSHED), None, Account())
    assert "no [poll]" in (lack or "")
    with pytest.raises(InvalidValue, match="no \\[poll\\]"):
        ask(parse("acme", PUSHED), "1")


# Reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mime", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"]
)
def test_json_content_types_are_accepted_with_any_parameters(mime: str) -> None:
    provider.check_content_type(shipped("wistia"), Push({"content-type": mime}, b""))


@pytest.mark.parametrize("mime", [None, "", "text/plain", "text/json+json", "multipart/form-data"])
def test_a_content_type_that_is_not_json_is_refused(mime: str | None) -> None:
    headers = {} if mime is None else {"content-type": mime}
    with pytest.raises(WrongType, match="wistia pushes application/json"):
        provider.check_content_type(shipped("wistia"), Push(headers, b""))


def test_a_location_is_a_pointer_a_header_or_the_first_of_several() -> None:
    profile = polled(
        'aliases = ["/a~1b~0c", "/list/1", "header:X-Job"]\n'
        'time = ["/none", "/empty", "/when"]\n'
        'error = { code = "/list/9", message = "/list/x" }'
    )
    body = {"id": 1, "status": "busy", "a/b~c": "n", "list": ["x", 7], "empty": "", "when": 5}
    update = answer(profile, body, x_job="h")
    assert update.aliases == ("n", "7", "h")
    assert (update.at, update.error) == (5.0, None)


def test_a_push_is_read_by_the_first_kind_that_matches() -> None:
    profile = parse(
        "acme",
        """
        [push]
        each = "/batch"
        about = { "header:x-kind" = ["job"], "/type" = ["a", "b"] }
        id = "/id"
        status = "/type"
        [states]
        a = "running"
        b = "succeeded"
        [kinds.other.push]
        about = { "/type" = ["a", "o"] }
        id = "/id"
        status = "/type"
        [kinds.other.states]
        o = "failed"
        """,
    )
    body = b'{"batch": [{"id": 1, "type": "a"}, {"id": 2, "type": "o"}, {"id": 3, "type": "x"}]}'
    result = provider.read_push(profile, "acme", Push({"x-kind": "job"}, body), NOW)
    assert [(u.id, u.state) for u in result.updates] == [("1", "running"), ("other:2", "failed")]
    assert result.ignored == 1
    elsewhere = provider.read_push(profile, "acme", Push({}, body), NOW)
    assert [u.id for u in elsewhere.updates] == ["other:1", "other:2"]


def test_a_provider_without_push_refuses_one() -> None:
    with pytest.raises(Unreadable, match="bluesky does not push"):
        provider.read_push(shipped("bluesky"), "acme", Push({}, b"{}"), NOW)


def test_without_otherwise_an_unknown_word_has_no_state() -> None:
    assert answer(polled(), {"id": "1", "status": "odd"}).state is None
    assert answer(polled(), {"id": "1", "status": "odd"}).flags == ("unknown_status",)
    decided = parse("acme", POLLED + 'otherwise = "running"')
    assert answer(decided, {"id": "1", "status": "odd"}).state is State.RUNNING


@pytest.mark.parametrize("status", ["", " ", None, True, 1.5, [], "a\nb", "x" * 201])
def test_an_invalid_status_is_unreadable_even_with_otherwise(status: Any) -> None:
    result = answer(parse("acme", POLLED + 'otherwise = "running"'), {"id": "1", "status": status})
    assert isinstance(result, PollFailure)
    assert "status at `/status`" in result.reason


def test_a_result_is_kept_up_to_64_kib_and_100_levels() -> None:
    profile = polled('result = "/result"')
    nested: Any = "x"
    for _ in range(100):
        nested = [nested]
    for good in ({"a": [1, None]}, 0, False, "x" * 65_534, nested, [{}] * 500):
        update = answer(profile, {"id": "1", "status": "done", "result": good})
        assert msgspec.json.decode(update.result) == good
        assert update.flags == ()
    for bad in ("x" * 65_535, [nested], ["["] * 200 + [[nested]]):
        update = answer(profile, {"id": "1", "status": "done", "result": bad})
        assert bytes(update.result) == b"null"
        assert update.flags == ("result_truncated",)


def test_a_result_too_deep_even_to_encode_is_dropped() -> None:
    nested: list[Any] = []
    for _ in range(5_000):
        nested = [nested]
    assert extract_update._result(nested) == (NULL, True, False)


@pytest.mark.parametrize("job", ["", ".", "..", "a\nb", "\x85", "\udcff", "é" * 257])
def test_an_invalid_id_is_refused_with_the_reason(job: str) -> None:
    with pytest.raises(ValueError, match="an id "):
        provider.check_id(job)


@pytest.mark.parametrize("job", ["media:", "media:.", "media:.."])
def test_the_providers_part_of_an_id_is_checked_too(job: str) -> None:
    with pytest.raises(ValueError, match="an id is not empty"):
        provider.check_id(job, "media")
    assert provider.check_id("media:l9dq", "media") == "media:l9dq"
    media = {"type": "media.ready", "payload": {"media": {"id": job.removeprefix("media:")}}}
    body = msgspec.json.encode({"events": [media]})
    with pytest.raises(Unreadable, match=r"id at `/payload/media/id`|an id is not empty"):
        provider.read_push(shipped("wistia"), "acme", Push({}, body), NOW)


def test_counts_attempts_and_errors_stay_within_what_readers_hold() -> None:
    profile = polled(
        'counts = { total = "/t", failed = "/f" }\nattempt = "/n"\n'
        'error = { code = "/code", message = "/text" }'
    )
    update = answer(
        profile,
        {"id": "1", "status": "done", "t": 3, "f": 10**30, "code": 422, "text": "x" * 3_000},
    )
    assert (update.counts.total, update.counts.failed) == (3, None)
    assert (update.error.code, len(update.error.message)) == ("422", 2_000)
    assert answer(profile, {"id": "1", "status": "done", "f": -1, "code": {}}).counts is None
    assert answer(profile, {"id": "1", "status": "done", "n": 7}).attempt == 7
    for wrong in (0, 2**31, "1", True, 1.0):
        assert isinstance(answer(profile, {"id": "1", "status": "done", "n": wrong}), PollFailure)
    result = parse("acme", PUSHED.replace("[states]", 'event_id = "/e"\n[states]'))
    long = msgspec.json.encode({"id": "1", "status": "done", "e": "x" * 600})
    (update,) = provider.read_push(result, "acme", Push({}, long), NOW).updates
    assert update.event_id is None  # then it is deduped by its content


@pytest.mark.parametrize(
    ("status", "headers", "kind", "wait"),
    [
        (404, {}, "missing", None),
        (410, {}, "missing", None),
        (401, {}, "unauthorized", None),
        (401, {"retry_after": "7"}, "unauthorized", 7.0),
        (403, {}, "unauthorized", None),
        (403, {"retry_after": "7"}, "throttled", 7.0),
        (429, {}, "throttled", None),
        (429, {"retry_after": "7"}, "throttled", 7.0),
        (429, {"retry_after": "Mon, 12 Jan 1970 13:46:52 GMT"}, "throttled", 10.0),
        (503, {}, "failed", None),
        (503, {"retry_after": "7"}, "throttled", 7.0),
        (500, {"retry_after": "7"}, "failed", 7.0),
        (302, {}, "failed", None),
        (202, {}, "failed", None),
    ],
)
def test_a_response_without_a_status_fails_by_its_code(
    status: int, headers: dict[str, str], kind: str, wait: float | None
) -> None:
    result = answer(polled(), b" why\n not\x1b[31m ", status, **headers)
    assert result == PollFailure(kind, f"HTTP {status}: why not[31m", wait)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [404, 410])
def test_not_found_means_gone_only_if_the_profile_says_so(status: int) -> None:
    assert answer(polled("gone = true"), b"", status) == PollFailure(
        "gone", f"HTTP {status}: no body"
    )


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("rules", ["", "gone = true"])
def test_a_proxys_page_says_nothing_about_a_job(rules: str, status: int) -> None:
    page = b"\r\n<html><h1>Not Found</h1></html>"
    html = {"content_type": "text/html; charset=utf-8"}
    assert answer(polled(rules), page, status, **html) == PollFailure(
        "failed", f"HTTP {status} with a page of HTML: <html><h1>Not Found</h1></html>"
    )
    kind = "gone" if rules else "missing"
    assert answer(polled(rules), b"Not Found", status, **html).kind == kind
    assert answer(polled(rules), page, status, content_type="application/json").kind == kind


def test_codes_that_a_profile_reads_are_not_failures() -> None:
    update = answer(
        polled("reads = [200, 404]\nreopens = true"), {"id": "1", "status": "busy"}, 404
    )
    assert isinstance(update, StatusUpdate)
    assert (update.state, update.reopens, update.at) == (State.RUNNING, True, NOW)


def test_without_poll_no_response_is_read() -> None:
    profile = parse("acme", PUSHED)
    assert answer(profile, {"id": "1", "status": "done"}).kind == "failed"
    with pytest.raises(InvalidValue, match="no \\[poll\\]"):
        provider.read_submit_response(
            profile, "acme", "1", 200, {}, {"id": "1", "status": "done"}, NOW
        )


def test_a_submit_reads_headers_in_any_case() -> None:
    profile = polled('aliases = ["header:x-job"]')
    update = provider.read_submit_response(
        profile, "a", "m", 201, {"X-Job": "j"}, '{"id":1,"status":"busy"}', NOW
    )
    assert (update.id, update.aliases) == ("1", ("j",))


# Texts that mean seconds --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("1.5s", 1.5), ("30s", 30), ("5m", 300), ("24h", 86_400), ("7d", 604_800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-1s", "1 s", "1.s", ".5s", "1e3s", "٣s", "5w", "1s\n"]
)
def test_a_bad_duration_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it as 1\.5s, 30s, 5m, 24h or 7d"):
        parse_duration(text)


def test_retry_after_is_seconds_or_a_date_between_now_and_a_day() -> None:
    def at(seconds: float) -> str:
        return format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)

    assert parse_retry_after("0", NOW) == 0
    assert parse_retry_after("120", NOW) == 120
    assert parse_retry_after(" 0.493 ", NOW) == 0.493
    assert parse_retry_after("1.", NOW) == 1
    assert parse_retry_after("999999999", NOW) == 86_400
    assert parse_retry_after(at(30), NOW) == 30
    assert parse_retry_after(at(-30), NOW) == 0
    assert parse_retry_after(at(1e9), NOW) == 86_400


@pytest.mark.parametrize(
    "text", [None, "", "soon", "-1", ".", "1.5.5", "9" * 10, "٣", "Mon, 99 Foo"]
)
def test_an_invalid_retry_after_is_none(text: str | None) -> None:
    assert parse_retry_after(text, NOW) is None


@pytest.fixture(params=["America/Los_Angeles", "Asia/Kolkata", "Pacific/Kiritimati", "UTC"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A machine's time zone that the test runs in."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 29 Nov 2026 12:00:20 GMT",
        "Sunday, 29-Nov-26 12:00:20 GMT",
        "Sun Nov 29 12:00:20 2026",
        "Sun, 29 Nov 2026 12:00:20 UTC",
        "Sun, 29 Nov 2026 12:00:20 -0000",
        "Sun, 29 Nov 2026 12:00:20",
        "Sun, 29 Nov 2026 14:00:20 +0200",
        "sun, 29 nov 2026 12:00:20 gmt",
        "29 Nov 2026 12:00:20 GMT",
        "2026-11-29T12:00:20Z",
        "2026-11-29T12:00:20",
        "2026-11-29 12:00:20 UTC",
        "2026-11-29T17:30:20+05:30",
    ],
)
def test_a_date_means_the_same_moment_in_every_time_zone(zone: str, text: str) -> None:
    """RFC 9110, 5.6.7: HTTP dates are UTC. Seen with urllib3#1896: a source rested 8 h."""
    noon = 1_795_953_600.0
    assert parse_retry_after(text, noon) == 20
    if text[:4] == "2026":
        assert parse_timestamp(text) == noon + 20


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("39.0", 39.0),
        ("61.538461538461538461538461538461", 61.53846153846154),  # Cloudflare's pctComplete
        ("40%", 40.0),
        (" 40.5 % ", 40.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("4e1", 40.0),
        ("1e-7", 1e-7),
        ("-3", -3.0),
        ("1e300", None),
        ("1,5", None),
        ("٣", None),
        ("0x1f", None),
        ("nan", None),
        ("", None),
        ("%", None),
        ("9" * 13, None),
    ],
)
def test_numbers_written_as_text(value: str, number: float | None) -> None:
    assert parse_number(value) == number


@settings(max_examples=200, deadline=None)
@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [-+A-Z0-9]*"))
def test_no_text_breaks_retry_after_or_timestamp(text: str) -> None:
    wait, moment = parse_retry_after(text, NOW), parse_timestamp(text)
    assert wait is None or 0 <= wait <= 86_400
    assert moment is None or moment >= 0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T01:01:00.5+01:00", 60.5),
        ("1970-01-01T00:01:00.123456789Z", 60.123456),
        ("1970-01-01T00:01:00", 60.0),
        (60, 60.0),
        (60.5, 60.5),
        (0, 0.0),
        (True, None),
        (-1, None),
        (1_700_000_000_000, 1_700_000_000.0),
        ("1969-12-31T23:59:59Z", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        ({}, None),
        (None, None),
    ],
)
def test_timestamps(value: object, seconds: float | None) -> None:
    assert parse_timestamp(value) == seconds


@pytest.mark.parametrize("when", ["9999-12-31T23:59:59Z", "2026-11-22T10:05:01Z", 253402300799])
def test_a_time_from_the_future_is_replaced_and_flagged(when: object) -> None:
    """It would outrank every update to come; a clock that is a little ahead is believed."""
    now = parse_timestamp("2026-11-22T10:00:00Z")
    assert now
    text = PUSHED.replace("[states]", 'time = "/at"\n[states]')
    for result, at, flags in (
        (when, now, ("time_in_future",)),
        ("2026-11-22T10:04:59Z", now + 299, ()),
        ("2001-01-01T00:00:00Z", parse_timestamp("2001-01-01T00:00:00Z"), ()),
    ):
        body = msgspec.json.encode({"id": "1", "status": "done", "at": result})
        (update,) = provider.read_push(parse("own", text), "own", Push({}, body), now).updates
        assert (update.at, update.flags) == (at, flags)
