"""The keys of a profile: conditions, decoders, tokens, poll hints, placeholders, status URLs."""

import base64
import json
import tracemalloc
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from processor import form_data, provider
from processor.errors import ConfigError, InvalidValue, Unreadable, WrongType
from processor.model import HttpResponse, Push, State, StatusUpdate
from processor.provider import Account, PollFailure, Profile, parse
from processor.provider.condition import Condition, StatusField
from processor.provider.field_types import Auth
from processor.provider.origin import absolute_url

NOW = 1_000_000.0

PUSHED = """
[push]
{more}
id = "/id"
status = "/status"
[states]
done = "succeeded"
busy = "running"
"""
POLLED = """
base_url = "https://api.example.com/v1"
[poll]
request = "GET /jobs/{id}"
status = "/status"
every = ["1s", "10s"]
{more}
[states]
done = "succeeded"
busy = "running"
"""


def pushed(more: str = "") -> Profile:
    return parse("acme", PUSHED.replace("{more}", more))


def polled(more: str = "", **replaced: str) -> Profile:
    text = POLLED.replace("{more}", more)
    for old, new in replaced.items():
        text = text.replace(f'{old} = "', f'{old} = "', 1).replace(old, new) if new else text
    return parse("acme", text)


def read(profile: Profile, body: Any, **headers: str) -> provider.ParsedPush:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"content-type": "application/json"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return provider.read_push(profile, "acme", Push(named, raw), NOW)


def poll_result(
    profile: Profile, body: Any, status: int = 200, **headers: str
) -> StatusUpdate | PollFailure:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return provider.read_poll_response(
        profile, "acme", None, "1", HttpResponse(status, named, raw, 2.0), NOW
    )


# Conditions ---------------------------------------------------------------------------------

HOLDS = [
    ({}, True),
    ({"/a": "x"}, True),
    ({"/a": ["y", "x"]}, True),
    ({"/a": "y"}, False),
    ({"/n": 3}, True),
    ({"/n": "3"}, True),
    ({"/n": [4]}, False),
    ({"/n": True}, True),
    ({"/zero": True}, False),
    ({"/zero": False}, True),
    ({"/none": False}, True),
    ({"/missing": False}, True),
    ({"/missing": True}, False),
    ({"/empty": False}, True),
    ({"/yes": True}, True),
    ({"/yes": "True"}, False),
    ({"/list/*/s": "ok"}, True),
    ({"/list/*/s": ["ok", "bad"]}, True),
    ({"/mixed/*/s": "ok"}, False),
    ({"/mixed/*/s": ["ok", "bad"]}, True),
    ({"/empty/*/s": "ok"}, False),
    ({"/missing/*": "ok"}, False),
    ({"/map/*": 1}, True),
    ({"/deep/*/*/v": "x"}, True),
    ({"/a": "x", "/n": 4}, False),
    ({"header:X-Kind": "job"}, True),
    ({"header:X-None": True}, False),
    ({"code": "200"}, True),
]
DOCUMENT = {
    "a": "x", "n": 3, "zero": 0, "none": None, "empty": [], "yes": True, "map": {"p": 1, "q": 1},
    "list": [{"s": "ok"}, {"s": "ok"}], "mixed": [{"s": "ok"}, {"s": "bad"}],
    "deep": [[{"v": "x"}], [{"v": "x"}]],
}  # fmt: skip


@pytest.mark.parametrize(("table", "holds"), HOLDS, ids=[str(table) for table, _ in HOLDS])
def test_a_condition_holds_if_every_location_matches(table: dict[str, Any], holds: bool) -> None:  # noqa: FBT001
    headers = {"x-kind": "job", ":code": "200"}
    assert Condition(table).holds(DOCUMENT, headers) is holds


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_a_condition_accepts_any_document(document: Any) -> None:
    for table, _ in HOLDS:
        Condition(table).holds(document, {})


def test_a_status_is_the_first_rule_or_pointer_that_matches() -> None:
    word = StatusField(
        [
            {"is": "good", "if": {"/end": True, "/ok": True}},
            {"is": "bad", "if": {"/end": True}},
            "/status",
        ]
    )
    assert word.find({"end": True, "ok": 2, "status": "x"}, {}) == "good"
    assert word.find({"end": True, "ok": 0, "status": "x"}, {}) == "bad"
    assert word.find({"status": "x"}, {}) == "x"
    assert word.find({}, {}) is None


# Decoders -----------------------------------------------------------------------------------

FORM = "application/x-www-form-urlencoded"
PARTS = (
    b'--x\r\nContent-Disposition: form-data; name="job"\r\n\r\n{"id": 1, "status": "done"}\r\n'
    b'--x\r\nContent-Disposition: form-data; name="signature"\r\n\r\nabc\r\n--x--\r\n'
)


def test_json_may_be_in_a_form_field() -> None:
    profile = pushed('decode = "form:job"')
    body = b"job=%7B%22id%22%3A1%2C%22status%22%3A%22done%22%7D&signature=x"
    for type_, raw in (
        (FORM, body),
        ("multipart/form-data; boundary=x", PARTS),
        ("application/json", b'{"id": 1, "status": "done"}'),
    ):
        push = Push({"content-type": type_}, raw)
        provider.check_content_type(profile, push)
        (update,) = provider.read_push(profile, "acme", push, NOW).updates
        assert (update.id, update.state) == ("1", State.SUCCEEDED)


@pytest.mark.parametrize(
    ("type_", "body", "says"),
    [
        (FORM, b"other=1", "no field `job`"),
        (FORM, b"job=\xff", "not JSON"),
        (FORM, b"job=%ff", "not JSON"),
        (FORM, b"&".join([b"a=1"] * 101), "not a form"),
        (FORM, b"job={", "not JSON"),
        ("multipart/form-data", PARTS, "not a form"),
        ("multipart/form-data; boundary=x", PARTS[:-10], "not a form: it breaks off"),
        ("multipart/form-data; boundary=y", PARTS, "not a form"),
        ("multipart/form-data; boundary=x", b"", "not a form: it breaks off"),
        ("multipart/form-data; boundary=x", PARTS.replace(b"name=", b"nome="), "not a form"),
    ],
)
def test_a_body_that_is_not_a_form_is_unreadable(type_: str, body: bytes, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        read(pushed('decode = "form:job"'), body, content_type=type_)


@given(st.binary(), st.sampled_from([FORM, "multipart/form-data; boundary=x"]))
def test_any_form_is_read_or_unreadable(body: bytes, type_: str) -> None:
    for raw in (body, PARTS.replace(b"abc", body), PARTS + body, b"job=" + body):
        try:
            read(pushed('decode = "form:job"'), raw, content_type=type_)
        except Unreadable as refusal:
            assert str(refusal)  # noqa: PT017 - either outcome is good


def sns(kind: str = "Notification", message: Any = '{"id": 1, "status": "done"}') -> bytes:
    url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"
    return json.dumps({"Type": kind, "Message": message, "SubscribeURL": url}).encode()


def test_an_sns_envelope_holds_a_message_or_a_confirmation_request() -> None:
    profile = pushed('decode = "sns"')
    provider.check_content_type(profile, Push({"content-type": "text/plain; charset=UTF-8"}, b""))
    (update,) = read(profile, sns()).updates
    assert update.id == "1"
    request = read(profile, sns("SubscriptionConfirmation"))
    assert (request.updates, (request.confirm or "")[:12]) == ((), "https://sns.")
    assert read(profile, sns("UnsubscribeConfirmation")).updates == ()
    for bad in (sns("Other"), sns(message=None), sns(message="{"), b"[]", b"{}"):
        with pytest.raises(Unreadable):
            read(profile, bad)


EVENT = {"specversion": "1.0", "id": "e1", "source": "/jobs", "type": "job.done", "subject": "7"}
CLOUDEVENTS = """
[push]
decode = "cloudevents"
id = ["/data/id", "/subject"]
status = ["/data/status", "/type"]
event_id = "/key"
[states]
"job.done" = "succeeded"
busy = "running"
"""


def test_a_cloudevent_is_read_in_all_three_modes() -> None:
    profile = parse("acme", CLOUDEVENTS)
    data = base64.b64encode(b'{"status": "busy"}').decode()
    structured = read(profile, EVENT, content_type="application/cloudevents+json")
    packed = read(
        profile, EVENT | {"data_base64": data}, content_type="application/cloudevents+json"
    )
    binary = read(
        profile, {"status": "busy"}, ce_id="e1", ce_source="/jobs", ce_type="x",
        ce_subject="%37", ce_specversion="1.0",
    )  # fmt: skip
    batch = read(
        profile, [EVENT, EVENT | {"id": "e2"}], content_type="application/cloudevents-batch+json"
    )
    updates = [*structured.updates, *packed.updates, *binary.updates, *batch.updates]
    assert [u.event_id for u in updates] == [
        "/jobs e1",
        "/jobs e1",
        "/jobs e1",
        "/jobs e1",
        "/jobs e2",
    ]
    assert {u.id for u in updates} == {"7"}
    assert [u.status for u in updates] == ["job.done", "busy", "busy", "job.done", "job.done"]


@pytest.mark.parametrize(
    ("mime", "body"),
    [
        ("application/json", b"{}"),
        ("application/cloudevents+json", b"[]"),
        ("application/cloudevents-batch+json", b"{}"),
        ("application/cloudevents-batch+json", b"7"),
        ("application/cloudevents+json", b'{"data_base64": "%"}'),
        ("application/cloudevents+json", '{"data_base64": "é"}'.encode()),
    ],
)
def test_a_push_that_is_not_a_cloudevent_is_unreadable(mime: str, body: bytes) -> None:
    with pytest.raises(Unreadable):
        read(parse("acme", CLOUDEVENTS), body, content_type=mime)


@pytest.mark.parametrize(
    ("decode", "mime"),
    [("json", FORM), ("sns", FORM), ("form:a", "text/plain"), ("cloudevents", "")],
)
def test_a_content_type_that_the_provider_does_not_push_is_refused(decode: str, mime: str) -> None:
    with pytest.raises(WrongType, match="acme pushes application/json"):
        provider.check_content_type(
            pushed(f'decode = "{decode}"'), Push({"content-type": mime}, b"")
        )


def test_a_challenge_is_echoed() -> None:
    profile = pushed('echo = { at = "/0/data/code", as = "validationResponse" }')
    request = read(profile, [{"data": {"code": "abc"}}])
    assert request.echo == {"validationResponse": "abc"}
    assert request.updates == ()
    assert read(profile, {"id": 1, "status": "done"}).echo is None


# Answers ------------------------------------------------------------------------------------


def test_the_http_code_may_be_the_status_with_any_body() -> None:
    text = POLLED.replace("{more}", "reads = [200, 202, 204]").replace('"/status"', '"code"')
    profile = parse(
        "acme", text.replace("[states]", '[states]\n200 = "succeeded"\n202 = "running"')
    )
    for code, body, state in (
        (202, b"", State.RUNNING),
        (202, b"<html>", State.RUNNING),
        (200, b"[1]", State.SUCCEEDED),
        (200, b'{"a": 1}', State.SUCCEEDED),
        (204, b"", None),
    ):
        update = poll_result(profile, body, code)
        assert isinstance(update, StatusUpdate)
        assert (update.state, update.status) == (state, str(code))


def test_retry_after_and_hints_of_a_running_job_set_the_next_poll() -> None:
    body = {"status": "busy", "wait": 7}
    assert poll_result(polled(), body).poll_after is None  # type: ignore[union-attr]
    assert poll_result(polled(), body, retry_after="30").poll_after == 30  # type: ignore[union-attr]
    hinted = polled('hint = { at = "/wait", unit = "s" }')
    assert poll_result(hinted, body).poll_after == 7  # type: ignore[union-attr]
    assert poll_result(hinted, body, retry_after="30").poll_after == 30  # type: ignore[union-attr]
    assert poll_result(hinted, {"status": "busy", "wait": [1]}).poll_after is None  # type: ignore[union-attr]
    millis = polled('hint = { at = "header:poll-after-ms", unit = "ms" }')
    assert poll_result(millis, body, poll_after_ms="1500").poll_after == 1.5  # type: ignore[union-attr]
    epoch = polled('hint = { at = "header:reset", unit = "epoch" }')
    assert poll_result(epoch, body, 429, reset=str(int(NOW) + 62)) == PollFailure(
        "throttled", 'HTTP 429: {"status": "busy", "wait": 7}', 60.0
    )


def test_a_profile_can_describe_a_throttled_response() -> None:
    profile = polled('throttled = { "header:x-remaining" = "0" }\nhint = { at = "/in" }')
    throttled = poll_result(profile, {"in": 5}, 403, x_remaining="0")
    assert isinstance(throttled, PollFailure)
    assert (throttled.kind, throttled.retry_after) == ("throttled", 5.0)
    refused = poll_result(profile, {"in": 5}, 403, x_remaining="9")
    assert isinstance(refused, PollFailure)
    assert refused.kind == "unauthorized"


def test_progress_may_be_text_and_its_total_a_pointer() -> None:
    profile = pushed('progress = { at = "/p", of = "/all" }')
    for body, progress in (
        ({"p": 3, "all": 4}, 0.75),
        ({"p": "3.0", "all": "4"}, 0.75),
        ({"p": "75%"}, 0.75),
        ({"p": 3}, None),
        ({"p": 3, "all": 0}, None),
        ({"p": "three", "all": 4}, None),
    ):
        (update,) = read(profile, {"id": 1, "status": "busy", **body}).updates
        assert update.progress == progress


def test_params_are_read_unless_they_are_too_long() -> None:
    profile = pushed('params = { repo = "/repo", n = "/n", long = "/long", odd = "/odd" }')
    body = {"id": 1, "status": "busy", "repo": "a/b", "n": 7, "long": "x" * 5_000, "odd": {}}
    assert read(profile, body).updates[0].params == {"repo": "a/b", "n": "7"}


# Asking -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        ("bearer", "Authorization", "Bearer a:b"),
        ("basic", "Authorization", "Basic YTpi"),
        ("Authorization: Key {token}", "Authorization", "Key a:b"),
        ("X-Api-Key: {token}", "X-Api-Key", "a:b"),
    ],
)
def test_a_token_is_sent_by_the_auth_of_the_profile(auth: str, name: str, value: str) -> None:
    assert Auth(auth).header("a:b") == (name, value)


STATUS_URL = """
base_url = "https://api.example.com"
[poll]
request = "GET {status_url}"
auth = "bearer-if-set"
status = "/status"
every = ["1s", "10s"]
[submit]
params = { status_url = ["header:Operation-Location", "/status_url"] }
[states]
done = "succeeded"
"""


def submitted(headers: dict[str, str], body: Any = "") -> StatusUpdate:
    return provider.read_submit_response(
        parse("acme", STATUS_URL), "acme", "mine", 202, headers, body, NOW
    )


def test_a_submit_response_may_contain_the_status_url() -> None:
    update = submitted({"Operation-Location": "/jobs/7?api-version=1"})
    assert (update.id, update.state) == ("mine", State.QUEUED)
    account = Account("https://api.example.com", "tok")
    request = provider.build_poll_request(
        parse("acme", STATUS_URL), None, "mine", account, update.params
    )
    assert request.url == "https://api.example.com/jobs/7?api-version=1"
    with pytest.raises(InvalidValue, match="its `status_url` is unknown"):
        provider.build_poll_request(parse("acme", STATUS_URL), None, "mine", account, {})


HOSTILE = [
    "https://evil.example/x", "http://api.example.com/x", "//evil.example/x", "/\\evil.example",
    "https://api.example.com@evil.example/x", "https://api.example.com.evil.example/x",
    "https://api.example.com:444/x", "https://api.example.com", "https:/api.example.com/x",
    "javascript:alert(1)", "x", "", "https://user@api.example.com/x", "\thttps://api.example.com/",
]  # fmt: skip


@pytest.mark.parametrize("url", HOSTILE)
def test_a_job_cannot_have_the_token_sent_elsewhere(url: str) -> None:
    base = "https://api.example.com/v1"
    try:
        whole = absolute_url(base, url)
    except ValueError as refusal:
        assert "not at https://api.example.com" in str(refusal)  # noqa: PT017
    else:
        assert whole.startswith("https://api.example.com/")


def test_a_jobs_url_must_have_the_origin_of_the_base_url() -> None:
    assert absolute_url("https://A.example:8443/x", "/y") == "https://A.example:8443/y"
    assert absolute_url("https://A.example/x", "https://a.example/y?z") == "https://a.example/y?z"
    with pytest.raises(ValueError, match="set `base_url`"):
        absolute_url("", "https://a.example/y")


@pytest.mark.parametrize(
    ("base", "url", "whole"),
    [
        ("https://m.azure.com", "https://m.azure.com:443/op?v=1", "https://m.azure.com/op?v=1"),
        ("https://m.azure.com:443", "https://m.azure.com/op", "https://m.azure.com/op"),
        ("http://m.example/", "http://m.example:80/op", "http://m.example/op"),
        ("http://m.example:8080", "http://M.Example:8080/op", "http://m.example:8080/op"),
        ("https://M.example", "HTTPS://m.example./op", "https://m.example/op"),
        ("https://m.example", "https://m.example:/op", "https://m.example/op"),
        ("https://m.example:0443/v1", "https://m.example/op", "https://m.example/op"),
        ("https://bücher.example", "https://xn--bcher-kva.example/op", "https://xn--bcher-kva.example/op"),
        ("https://xn--bcher-kva.example", "https://BÜCHER.example/op", "https://xn--bcher-kva.example/op"),
        ("http://[::1]:80", "http://[0:0:0:0:0:0:0:1]/op", "http://[::1]/op"),
        ("https://m.example/v1", "//m.example/op", "https://m.example/op"),
        ("https://m.example/v1", "/op", "https://m.example/op"),
        ("https://m.example/v1", "jobs/7", "https://m.example/v1/jobs/7"),
        ("https://m.example/v1/", "./jobs/7", "https://m.example/v1/jobs/7"),
        ("https://m.example/v1", "../jobs/7", "https://m.example/jobs/7"),
        ("https://m.example", "jobs/7?a=b", "https://m.example/jobs/7?a=b"),
        ("https://m.example", "https://m.example?a=b", "https://m.example/?a=b"),
        ("https://m.example", "https://m.example", "https://m.example/"),
        ("https://m.example", " https://m.example/op#part ", "https://m.example/op"),
    ],
)  # fmt: skip
def test_two_spellings_of_an_origin_are_equal(base: str, url: str, whole: str) -> None:
    assert absolute_url(base, url) == whole


@pytest.mark.parametrize(
    "url",
    [
        "https://m.example:444/x", "http://m.example/x", "http://m.example:443/x", "//evil.example/x",
        "https://m.example:443@evil.example/x", "https://m.example.evil.example/x",
        "https://m.example..:443/x", "https://m.example\\@evil.example/x", "https:///m.example/x",
        "https:m.example/x", "https://m.example:x/", "https://m.example:123456/x", "ftp://m.example/x",
        "https://[m.example]/x", "https://m%2eexample/x", "https://\u2024m.example/x", "#x", " ",
        "https://m.example\t.evil.example/x", "///evil.example/x", "https://.m.example/x",
    ],
)  # fmt: skip
def test_another_origin_is_refused_in_every_spelling(url: str) -> None:
    with pytest.raises(ValueError, match=r"not at https://m\.example"):
        absolute_url("https://m.example", url)


@given(st.text(st.sampled_from("htps:/\\.@#?[]m.exal%1 \t443é"), max_size=40))
def test_no_text_changes_the_host(url: str) -> None:
    for text in (url, f"https://m.example{url}", f"https://{url}", f"//{url}"):
        try:
            whole = absolute_url("https://m.example", text)
        except ValueError:
            continue
        assert whole.startswith("https://m.example/")


def test_a_placeholder_with_plus_keeps_only_its_slashes() -> None:
    profile = parse(
        "acme", POLLED.replace("{more}", "").replace("/jobs/{id}", "/{+name}/jobs/{id}")
    )

    def url(name: str) -> str:
        account = Account("https://h")
        return provider.build_poll_request(profile, None, "1", account, {"name": name}).url

    assert url("projects/p 1/ops") == "https://h/projects/p%201/ops/jobs/1"
    assert url("a?b#c%2e") == "https://h/a%3Fb%23c%252e/jobs/1"
    for bad in ("a/../b", "a//b", "/a", "a/", "..", ""):
        with pytest.raises(InvalidValue, match="`name` must have a value"):
            url(bad)


# Lines --------------------------------------------------------------------------------------

LINES = [
    ('id = "/id"', "id = 7", 3),
    ('status = "/status"', 'statos = "/status"', 4),
    ("[states]", "[states]\n# more\nodd = 'x'", 7),
    ("[states]", "[states", 5),
    ("[push]", "[pull]", 2),
    ('id = "/id"', 'id = "/id"\nprogress = { at = "p" }', 4),
]


@pytest.mark.parametrize(("old", "new", "line"), LINES)
def test_an_error_is_reported_with_its_line(old: str, new: str, line: int) -> None:
    text = PUSHED.replace("{more}\n", "").replace(old, new)
    with pytest.raises(ConfigError) as refusal:
        parse("acme", text)
    assert f":{line}: " in str(refusal.value) or f"line {line}," in str(refusal.value)


# What attackers tried -----------------------------------------------------------------------


def test_an_unsigned_content_type_does_not_change_a_signed_body() -> None:
    """GitHub signs bytes, not the type; a payload hidden in a text must stay a text."""
    profile = pushed('decode = "form:payload"')
    body = {
        "id": 1,
        "status": "busy",
        "note": "&payload=%7B%22id%22%3A2%2C%22status%22%3A%22done%22%7D&",
    }
    raw = json.dumps(body).encode()
    for type_ in ("application/json", FORM, "multipart/form-data; boundary=x"):
        (update,) = read(profile, raw, content_type=type_).updates
        assert update.id == "1"


SIGNED_FIELD = """decode = "form:job"
verify = { scheme = "hmac-sha256", field = "signature", signs = "{field:job}" }"""
FORGED = b'{"id": 2, "status": "done"}'


@pytest.mark.parametrize(
    ("type_", "body"),
    [
        (FORM, FORGED + b"&job=%7B%22id%22%3A1%2C%22status%22%3A%22done%22%7D&signature=abc"),
        (FORM, FORGED),
        ("multipart/form-data; boundary=x", FORGED + b"\r\n" + PARTS),
        ("application/json; boundary=x", FORGED + b"\r\n" + PARTS),
        ("application/json", FORGED),
    ],
)
def test_beside_a_signed_field_nothing_is_read(type_: str, body: bytes) -> None:
    profile = pushed(SIGNED_FIELD)
    try:
        updates = provider.read_push(
            profile, "acme", Push({"content-type": type_}, body), NOW
        ).updates
    except Unreadable:
        return
    assert [update.id for update in updates] == ["1"]


def test_a_body_of_another_type_is_no_form() -> None:
    for headers in ({"content-type": "application/json; boundary=x"}, {}):
        with pytest.raises(Unreadable, match="not a form: it"):
            form_data.fields(headers, PARTS)


@pytest.mark.parametrize("decode", ["json", "form:other", "sns", "cloudevents"])
def test_what_is_read_must_be_what_is_signed(decode: str) -> None:
    with pytest.raises(ConfigError, match="covers only fields of a form, and none that is read"):
        pushed(SIGNED_FIELD.replace("form:job", decode))


def test_the_same_message_in_another_envelope_has_the_same_content() -> None:
    form = pushed('decode = "form:job"')
    parts = "multipart/form-data; boundary="
    one = read(form, PARTS, content_type=parts + "x")
    other = read(form, PARTS.replace(b"--x", b"--other"), content_type=parts + "other")
    plain = read(form, b"job=" + quote('{"id": 1, "status": "done"}').encode(), content_type=FORM)
    assert one.content == other.content == plain.content
    topic = pushed('decode = "sns"')
    spaced = json.dumps(json.loads(sns()), indent=2).encode()
    assert read(topic, sns()).content == read(topic, spaced).content


def test_an_id_must_not_look_like_one_of_another_kind() -> None:
    text = (
        PUSHED.replace("{more}", 'about = { "/x" = false }')
        + '[kinds.part.push]\nabout = { "/x" = 1 }\n'
    )
    text += 'id = "/id"\nstatus = "/status"\n[kinds.part.states]\ndone = "succeeded"\n'
    profile = parse("acme", text)
    with pytest.raises(Unreadable, match="'part:7' would be read as an id of another kind"):
        read(profile, {"id": "part:7", "status": "done"})
    assert read(profile, {"id": "7", "status": "done", "x": 1}).updates[0].id == "part:7"


def test_the_data_of_a_cloudevent_is_not_read_from_a_header() -> None:
    (update,) = read(
        parse("acme", CLOUDEVENTS), {"status": "busy"}, ce_id="e1", ce_source="/jobs", ce_type="x",
        ce_subject="7", ce_specversion="1.0", ce_data_base64="e30=", ce_data="x",
    ).updates  # fmt: skip
    assert update.status == "busy"


def test_a_signed_cloudevent_must_be_structured() -> None:
    rule = '[push.verify]\nscheme = "hmac-sha256"\nheader = "X-Sign"\n[states]'
    profile = parse("acme", CLOUDEVENTS.replace("[states]", rule))
    headers = {"ce_id": "1", "ce_source": "/", "ce_type": "x", "ce_specversion": "1.0"}
    with pytest.raises(Unreadable, match="headers are not signed"):
        read(profile, EVENT, **headers)
    with pytest.raises(Unreadable, match="no CloudEvent"):
        read(profile, EVENT)
    (update,) = read(profile, EVENT, content_type="application/cloudevents+json").updates
    assert update.id == "7"


def test_a_push_without_a_content_type_is_refused_in_plain_words() -> None:
    with pytest.raises(WrongType) as refusal:
        provider.check_content_type(pushed('decode = "json"'), Push({}, b""))
    assert str(refusal.value) == "acme pushes application/json, but this has no Content-Type"


def test_a_refused_form_is_not_cached() -> None:
    body = b"a=" + b"x" * 900_000
    for _ in range(3):  # what the libraries themselves keep
        form_data.fields({"content-type": FORM}, body)
    tracemalloc.start()
    for number in range(50):
        form_data.fields({"content-type": FORM}, body + str(number).encode())
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 5_000_000
