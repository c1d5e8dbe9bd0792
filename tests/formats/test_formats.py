"""The delivery formats: exact bytes, and how other libraries read them."""

import json
from datetime import datetime
from typing import Any

import msgspec
import pytest
import standardwebhooks
import svix.webhooks
from cloudevents.core.bindings import http as sdk
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, strategies as st
from msgspec.structs import replace

from processor import group_payload, provider
from processor.config.profiles import ProfileRegistry
from processor.event_types import EVENT_TYPES
from processor.formats import BATCH, FORMATS, Event, SignedRequest, traceparent
from processor.formats.cloudevents import batch_id
from processor.group import Group, GroupState, Member, Policy, event_id
from processor.model import Job, Origin, Push, State, Subscription
from processor.payload import event_body
from processor.subscription_settings import FORMAT_NAMES

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD = "whsec_" + "b2xk" * 8
NOW = 1_795_341_600.5
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
JOB = Job(
    source="wistia",
    provider="wistia",
    id="197424",
    uid="u",
    created_at=NOW,
    deadline=1.0,
    deadline_at=NOW,
    state=State.SUCCEEDED,
    status="finished",
    status_at=NOW,
    result=msgspec.Raw(b'{"z":1.50,"a":"\\u00e9"}'),
    origin=Origin.PUSH,
)
DONE = Event("evt_u_1_final", event_body(JOB, "job.succeeded"))
TEST = Event(
    "evt_test_1",
    b'{"type":"subscription.test","timestamp":"2026-11-22T10:00:00Z",'
    b'"data":{"subscription":"sub_1","message":"hello"}}',
)
IDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=512)


def target(form: str = "standard", **more: Any) -> Subscription:
    return Subscription(id="sub_1", url="https://x.example", secrets=(SECRET,), format=form, **more)


def write(form: str, *events: Event, **more: Any) -> SignedRequest:
    return FORMATS[form](events or [DONE], target(form, **more), NOW)


def read(form: str, wire: SignedRequest) -> list[CloudEvent]:
    """The events of a request, as the SDK reads them; of a batch it reads one after the other."""
    if form != BATCH:
        message = sdk.HTTPMessage(headers=wire.headers, body=wire.body)
        return [sdk.from_http_event(message)]  # type: ignore[list-item]
    return [_one(json.dumps(one)) for one in json.loads(wire.body)]


def _one(text: str) -> Any:
    return JSONFormat().read(None, text.encode())


CLOUDY = [name for name in FORMATS if name != "standard"]


# --- all of them ----------------------------------------------------------------------------


def test_every_format_can_be_configured() -> None:
    assert list(FORMATS) == list(FORMAT_NAMES)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("library", [standardwebhooks, svix.webhooks])
def test_other_libraries_verify_the_bytes_that_are_sent(form: str, library: Any) -> None:
    now = datetime.now().astimezone().timestamp()
    rotated = replace(target(form), secrets=(SECRET, OLD), old_secret_until=now + 1)
    wire = FORMATS[form]([DONE], rotated, now)
    for secret in (SECRET, OLD):
        library.Webhook(secret).verify(wire.body.decode(), wire.headers)
        with pytest.raises(library.WebhookVerificationError):
            library.Webhook(secret).verify(wire.body.decode() + " ", wire.headers)


@pytest.mark.parametrize("form", FORMATS)
def test_the_signature_equals_that_of_other_libraries(form: str) -> None:
    wire = write(form)
    at = datetime.fromtimestamp(int(NOW)).astimezone()
    signed = wire.headers["webhook-id"], at, wire.body.decode()
    for library in (standardwebhooks, svix.webhooks):
        assert library.Webhook(SECRET).sign(*signed) == wire.headers["webhook-signature"]


@pytest.mark.parametrize("form", FORMATS)
def test_attempts_differ_only_in_time_and_signature(form: str) -> None:
    first, second = write(form), FORMATS[form]([DONE], target(form), NOW + 5)
    changed = {name for name, value in first.headers.items() if second.headers[name] != value}
    assert first.body == second.body
    assert first.headers.keys() == second.headers.keys()
    assert changed == {"webhook-timestamp", "webhook-signature"}


@pytest.mark.parametrize("form", FORMATS)
def test_a_subscriptions_own_headers_are_sent_but_never_override_ours(form: str) -> None:
    own = {"x-key": "k", "webhook-id": "forged", "content-type": "text/plain"}
    wire = write(form, headers=own)
    assert wire.headers["x-key"] == "k"
    assert write(form).headers == {n: v for n, v in wire.headers.items() if n != "x-key"}


@pytest.mark.parametrize("form", FORMATS)
def test_a_subscription_with_a_handshake_gets_our_request_origin(form: str) -> None:
    assert "webhook-request-origin" not in write(form).headers
    assert write(form, origin="hooks.example").headers["webhook-request-origin"] == "hooks.example"


# --- Standard Webhooks ----------------------------------------------------------------------


def test_a_standard_event_is_sent_as_it_was_committed() -> None:
    wire = write("standard")
    assert wire.body is DONE.body
    assert wire.headers["webhook-id"] == DONE.id
    assert wire.headers["webhook-timestamp"] == str(int(NOW))
    assert wire.headers["content-type"] == "application/json"


def test_a_rotated_secret_stops_signing_after_a_day() -> None:
    two = replace(target(), secrets=(SECRET, OLD), old_secret_until=NOW)
    counts = [
        len(FORMATS["standard"]([DONE], one, at).headers["webhook-signature"].split())
        for one, at in ((two, NOW - 1), (two, NOW), (replace(two, static=True), NOW))
    ]
    assert counts == [2, 1, 2]


# --- CloudEvents ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", CLOUDY)
def test_the_sdk_reads_every_attribute_and_the_data(form: str) -> None:
    (event,) = read(form, write(form))
    assert event.get_attributes() == {
        "specversion": "1.0",
        "id": "evt_u_1_final",
        "source": "/ringback/wistia",
        "type": "ringback.job.succeeded",
        "subject": "197424",
        "time": datetime.fromisoformat("2026-11-22T10:00:00.500000Z"),
        "datacontenttype": "application/json",
    }
    assert event.get_data() == json.loads(DONE.body)["data"]


@pytest.mark.parametrize("form", CLOUDY)
@given(job=IDS, source=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True))
def test_the_sdk_reads_any_job_id_back(form: str, job: str, source: str) -> None:
    body = event_body(replace(JOB, id=job, source=source), "job.failed")
    wire = write(form, Event("evt_1", body))
    (event,) = read(form, wire)
    assert (event.get_subject(), event.get_source()) == (job, f"/ringback/{source}")
    assert event.get_data() == json.loads(body)["data"]
    assert all(name.isascii() and value.isascii() for name, value in wire.headers.items())


@pytest.mark.parametrize("form", CLOUDY)
@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_every_job_event_has_its_type_with_our_prefix(form: str, kind: str) -> None:
    (event,) = read(form, write(form, Event("evt_1", event_body(JOB, kind))))
    assert event.get_type() == f"ringback.{kind}"


@pytest.mark.parametrize("form", CLOUDY)
def test_a_test_event_has_its_subscription_as_subject(form: str) -> None:
    (event,) = read(form, write(form, TEST))
    assert event.get_source() == "/ringback"
    assert event.get_subject() == "sub_1"
    assert event.get_type() == "ringback.subscription.test"


@pytest.mark.parametrize("form", CLOUDY)
@given(group=IDS)
def test_an_event_of_a_group_has_the_group_as_subject(form: str, group: str) -> None:
    ended = Group(
        *(group, "u", "", Policy.ALL, 0.0, 1.0), own_deadline=True, state=GroupState.SUCCEEDED
    )
    body = group_payload.event_body(ended, {"wistia/1": Member(0, State.SUCCEEDED)})
    (event,) = read(form, write(form, Event(event_id(ended), body)))
    assert (event.get_source(), event.get_subject()) == ("/ringback", group)
    assert (event.get_type(), event.get_id()) == ("ringback.group.completed", "evt_gu_final")
    assert event.get_data()["jobs"] == [{"source": "wistia", "id": "1", "state": "succeeded"}]


@pytest.mark.parametrize("form", CLOUDY)
def test_an_event_without_a_known_subject_has_none(form: str) -> None:
    body = b'{"type":"other.thing","timestamp":"2026-11-22T10:00:00Z","data":{"jobs":[]}}'
    (event,) = read(form, write(form, Event("evt_1", body)))
    assert event.get_subject() is None
    assert event.get_data() == {"jobs": []}


@pytest.mark.parametrize("form", CLOUDY)
def test_data_is_passed_on_byte_for_byte(form: str) -> None:
    data = DONE.body.partition(b'"data":')[2][:-1]
    assert b'"result":{"z":1.50,"a":"\\u00e9"}' in data
    assert data in write(form).body
    assert form != "cloudevents-binary" or data == write(form).body


@pytest.mark.parametrize(
    ("form", "mime"),
    [
        ("cloudevents", "application/cloudevents+json"),
        ("cloudevents-binary", "application/json"),
        ("cloudevents-batch", "application/cloudevents-batch+json"),
    ],
)
def test_each_mode_has_its_content_type_and_headers(form: str, mime: str) -> None:
    headers = write(form).headers
    assert headers["content-type"] == mime
    assert ("ce-id" in headers) is (form == "cloudevents-binary")


@pytest.mark.parametrize("form", CLOUDY)
def test_a_cloudevents_source_accepts_ringbacks_own_events(form: str) -> None:
    wire = write(form)
    profile = ProfileRegistry()["cloudevents"]
    reading = provider.read_push(profile, "s", Push(wire.headers, wire.body), NOW)
    (update,) = reading.updates
    assert (update.id, update.state) == ("197424", State.SUCCEEDED)


# --- batches --------------------------------------------------------------------------------


def test_a_batch_contains_its_events_unchanged_and_in_order() -> None:
    wire = write(BATCH, DONE, TEST)
    alone = [write("cloudevents", event).body for event in (DONE, TEST)]
    assert wire.body == b"[" + b",".join(alone) + b"]"
    assert [event.get_id() for event in read(BATCH, wire)] == [DONE.id, TEST.id]


def test_a_batch_of_one_is_an_array_too() -> None:
    assert len(json.loads(write(BATCH).body)) == 1


def test_the_id_of_a_batch_depends_only_on_its_events() -> None:
    changed = replace(DONE, body=TEST.body)
    assert batch_id([DONE, TEST]) == batch_id([changed, TEST]) == batch_id([DONE, TEST])
    ids = {batch_id(some) for some in ([DONE, TEST], [TEST, DONE], [DONE], [TEST])}
    assert len(ids) == 4
    assert all("." not in one and one.startswith("evt_batch_") for one in ids)


# --- traces ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_a_trace_is_passed_on_outside_the_data(form: str) -> None:
    wire = write(form, replace(DONE, trace=TRACE))
    assert wire.headers.get("traceparent") == (None if form == BATCH else TRACE)
    if form == "standard":
        assert wire.body == DONE.body
        return
    (event,) = read(form, wire)
    assert event.get_extension("traceparent") == TRACE
    assert "traceparent" not in event.get_data()  # type: ignore[operator]


BAD_TRACES = [
    None, "", "x", TRACE.upper(), TRACE[:-1], TRACE + "0", f"{TRACE}-00", f" {TRACE}", f"{TRACE}\n",
    "01" + TRACE[2:], "ff" + TRACE[2:], TRACE.replace("-", "_"), TRACE.replace("0", "\u0660"),
    f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
    TRACE.replace("a", "g"), f"{TRACE}, {TRACE}",
]  # fmt: skip


@pytest.mark.parametrize("value", BAD_TRACES)
def test_a_malformed_trace_is_dropped(value: str | None) -> None:
    assert traceparent(value) is None


@pytest.mark.parametrize("flags", ["00", "01", "ff"])
def test_a_valid_trace_is_kept_unchanged(flags: str) -> None:
    assert traceparent(TRACE[:-2] + flags) == TRACE[:-2] + flags
