"""Damaged JSON inside envelopes and responses: the final status is read nevertheless."""

import base64
import json
from typing import Any
from urllib.parse import quote_from_bytes

import pytest

from processor import provider
from processor.errors import Unreadable
from processor.model import HttpResponse, Push, State, StatusUpdate
from processor.provider import PollFailure, Profile, parse

NOW = 1_795_346_400.0
BODY = """
[push]
{decode}
id = "/id"
event_id = "/event"
status = "/status"
result = "/result"
aliases = ["/alias"]
[states]
done = "succeeded"
"""
ASKED = """
base_url = "https://api.example.com"
[poll]
request = "GET /jobs/{id}"
id = "/id"
status = "/status"
result = "/result"
params = { next = "/next" }
every = ["2s", "30s"]
aliases = ["/alias"]
[states]
done = "succeeded"
"""
DAMAGED = [
    (rb'{"id": "a", "status": "done", "result": "cut \ud83d"}', "cut \ufffd"),
    (b'{"id": "a", "status": "done", "result": "caf\xe9"}', "caf\ufffd"),
    (b'{"id": "a", "status": "done", "result": [NaN, "\x01"]}', [None, "\x01"]),
    (b'\xef\xbb\xbf{"id": "a", "status": "done", "result": 1}', 1),
]
FORM = "application/x-www-form-urlencoded"


def pushed(decode: str) -> Profile:
    return parse("acme", BODY.replace("{decode}", f'decode = "{decode}"' if decode else ""))


def read(decode: str, body: bytes, mime: str = "application/json") -> tuple[StatusUpdate, ...]:
    push = Push({"content-type": mime}, body)
    return provider.read_push(pushed(decode), "acme", push, NOW).updates


def polled(body: bytes) -> StatusUpdate | PollFailure:
    answer = HttpResponse(200, {}, body, 0.1)
    return provider.read_poll_response(parse("acme", ASKED), "acme", None, "a", answer, NOW)


def good(update: Any, result: Any) -> None:
    assert (update.id, update.state) == ("a", State.SUCCEEDED)
    assert json.loads(bytes(update.result), parse_constant=pytest.fail) == result


@pytest.mark.parametrize(("body", "result"), DAMAGED)
def test_damaged_values_are_read_in_every_envelope_and_response(body: bytes, result: Any) -> None:
    form = b"x=1&job=" + quote_from_bytes(body).encode()
    raw = b"x=1&job=" + body.replace(b"+", b"%2B")
    part = b'--x\r\nContent-Disposition: form-data; name="job"\r\n\r\n%b\r\n--x--\r\n' % body
    text = body.decode("utf-8", "surrogateescape")
    envelope = json.dumps({"Type": "Notification", "MessageId": "1", "Message": text}).encode()
    (update,) = read("form:job", form, FORM)
    good(update, result)
    (update,) = read("form:job", raw, FORM)
    good(update, result)
    (update,) = read("form:job", part, "multipart/form-data; boundary=x")
    good(update, result)
    (update,) = read("form:job", body, FORM)
    good(update, result)
    if b"\xe9" not in body:  # what an envelope in JSON cannot hold
        (update,) = read("sns", envelope, "text/plain")
        good(update, result)
    good(polled(body), result)


@pytest.mark.parametrize("byte", [b"\xe9", b"\xe8"])
@pytest.mark.parametrize("write", [bytes, lambda body: quote_from_bytes(body).encode()])
def test_an_id_that_is_not_utf8_is_refused_in_a_form_too(byte: bytes, write: Any) -> None:
    """Else both would be `caf\ufffd`."""
    body = b"job=" + write(b'{"id": "caf%b", "status": "done"}' % byte)
    with pytest.raises(Unreadable, match="at `/id`: an id must be valid Unicode"):
        read("form:job", body, FORM)


def test_a_damaged_signed_envelope_is_read() -> None:
    inner = rb'{"id": "a", "status": "done"}'.decode()
    for mark, more in ((b"\xef\xbb\xbf", b""), (b"", rb', "Subject": "cut \ud83d"')):
        head = b'{"Type": "Notification", "MessageId": "1", "Message": '
        (update,) = read("sns", mark + head + json.dumps(inner).encode() + more + b"}")
        assert update.id == "a"


def test_one_event_of_a_batch_of_cloudevents_may_be_damaged() -> None:
    profile = parse(
        "acme",
        BODY.replace("{decode}", 'decode = "cloudevents"').replace('"/', '"/data/'),
    )
    good_data = base64.b64encode(b'{"id": "a", "status": "done", "result": NaN}').decode()
    batch: list[Any] = [
        {"id": "1", "source": "/s", "data_base64": "%%"},
        {"id": "2", "source": "/s", "data_base64": good_data},
        7,
        {"id": "3", "source": "/s", "data_base64": base64.b64encode(b"[").decode()},
    ]
    push = Push({"content-type": "application/cloudevents-batch+json"}, json.dumps(batch).encode())
    reading = provider.read_push(profile, "acme", push, NOW)
    (update,) = reading.updates
    good(update, None)
    assert (len(reading.errors), reading.ignored) == (3, 0)
    assert reading.errors[0] == "update 0: data_base64 is not base64"


@pytest.mark.parametrize(
    "missing",
    [{"id": None}, {"source": None}, {"id": ""}, {"source": ""}, {"id": {}}, {"source": ["/s"]}],
    ids=str,
)
def test_a_cloudevent_without_id_or_source_is_unreadable(missing: dict[str, Any]) -> None:
    """All such events would have the same key, and count as one."""
    good = {"id": "1", "source": "/s", "subject": "a", "type": "done"}
    bad = {name: value for name, value in (good | missing).items() if value is not None}
    body = BODY.replace("{decode}", 'decode = "cloudevents"').replace('"/event"', '"/key"')
    profile = parse("acme", body.replace('"/id"', '"/subject"').replace('"/status"', '"/type"'))

    def read(sort: str, event: Any) -> Any:
        push = Push({"content-type": f"application/cloudevents{sort}"}, json.dumps(event).encode())
        return provider.read_push(profile, "acme", push, NOW)

    with pytest.raises(Unreadable, match="`id` and `source`"):
        read("+json", bad)
    reading = read("-batch+json", [bad, good])
    assert [update.event_id for update in reading.updates] == ["/s 1"]
    assert len(reading.errors) == 1


@pytest.mark.parametrize("name", ["ce-id", "ce-source"])
def test_a_binary_cloudevent_with_an_empty_id_or_source_is_unreadable(name: str) -> None:
    headers = {"ce-id": "1", "ce-source": "/s", "ce-type": "t", "ce-specversion": "1.0"}
    push = Push({**headers, name: "", "content-type": "application/json"}, b"{}")
    with pytest.raises(Unreadable, match="`id` and `source`"):
        provider.read_push(pushed("cloudevents"), "acme", push, NOW)


def test_damaged_optional_values_of_a_final_update_are_dropped() -> None:
    """A further name, the event's own id, a part of a URL."""
    bad = [rb'"\ud83d"', b'"\xe9"', b'"\x00"', b'"%b"' % (b"x" * 600), b"NaN", b"[[]]", b"1e400"]
    for value in bad:
        body = b'{"id": "a", "status": "done", "alias": %b, "event": %b, "next": %b}'
        body %= (value, value, value)
        (update,) = read("", body)
        assert (update.id, update.aliases, update.state) == ("a", (), State.SUCCEEDED)
        assert update.event_id is None or update.event_id == "\x00"
        result = polled(body)
        assert isinstance(result, StatusUpdate)
        assert result.aliases == ()
        assert all(text.isascii() for text in result.params.values())


def test_an_unreadable_response_names_the_place() -> None:
    result = polled(b'{"id": "a", "status": [1 2]}')
    assert isinstance(result, PollFailure)
    assert "byte 25" in result.reason
