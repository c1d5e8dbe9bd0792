"""Simulated pushes and responses read back: every built-in profile, kind and status.

What cannot come back, and why; each is allowed below by what the profile says, not by its name:

an answer with a code such as 204   HTTP forbids a body: only the status is sent
a word of answers alone, in a push  the profile takes other words from its pushes
an event id at the place of the id  it is the job's id
the event id of a CloudEvent        it is its source and its id, so it holds a blank
a result, an error                  left out where what lies there decides the status
"""

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from processor import provider, signing
from processor.config.profiles import ProfileRegistry
from processor.model import Failure, HttpResponse, Origin, StatusUpdate
from processor.provider import ListedJobs, Profile, full_id
from processor.provider.pointer import Pointer
from processor.provider.profile import PushFields, UpdateFields
from processor.simulation import (
    params_from_provider,
    vocabulary,
    write_list_response,
    write_poll_response,
    write_push,
    write_submit_response,
)
from processor.simulation.encode_push import MODES
from processor.simulation.vocabulary import UNLISTED, VALUE

NOW = 1795346400.0
ODD = """
[push]
decode = "form:job"
each = "/jobs"
about = { "header:X-Event" = ["job.going", "job.done"], "/live" = false, "/parts/*/n" = [1, 2] }
id = "header:X-Job"
status = [{ is = "stuck", if = { "/stuck" = true, "/why/*" = ["x", "y"] } }, "/states/1/word"]
progress = { at = "header:X-Done", of = "/all" }
time = "header:Date"
event_id = "header:X-Id"
params = { region = "header:X-Region" }
attempt = "/n"
[push.verify]
scheme = "hmac-sha256"
field = "sign"
format = "t=;v="
signs = "{timestamp}:{field:job}:{header:X-Id}"
encoding = "base64"
[poll]
request = "GET /{region}/{+id}"
root = ["/a/0/job", ""]
status = ["header:X-State", "code"]
id = "/id~0~1"
reads = [202, 203, 410]
progress = { at = ["/done"], of = 3 }
time = "/t"
every = ["1s", "1s"]
throttled = { "/a" = false }
[states]
going = "running"
stuck = "failed"
done = "succeeded"
202 = "running"
203 = "succeeded"
410 = "expired"
otherwise = "queued"
"""

PROFILES = {**ProfileRegistry(), "odd": provider.parse("odd", ODD)}
KINDS = [(name, kind) for name, profile in PROFILES.items() for kind in profile.kinds]
PUSHED = [(name, kind) for name, kind in KINDS if PROFILES[name].kinds[kind].push]
LISTED = [
    (name, kind)
    for name, kind in KINDS
    if (rules := PROFILES[name].kinds[kind].poll) and rules.list is not None
]
POLLED = [(name, kind) for name, kind in KINDS if PROFILES[name].kinds[kind].poll]
BEGUN = [
    (name, kind)
    for name, kind in KINDS
    if PROFILES[name].kinds[kind].submit or PROFILES[name].kinds[kind].poll
]
SECRETS = {"standard-webhooks": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}
ONLY_THE_PROVIDER = {"ed25519", "sns"}  # schemes whose private key only the provider has

NAME = st.text("abcXYZ019-_.~ é✓/:", min_size=1, max_size=20).filter(
    lambda text: text not in {".", ".."}
)
PLAIN = st.text("abcxyz0189-_", min_size=1, max_size=20)  # fits a header


class Sample(msgspec.Struct, frozen=True):
    """What is to be written, whatever the word."""

    id: str
    progress: float | None
    time: float
    event: str
    attempt: int
    param: str
    result: Any
    error: Failure | None


SAMPLES = st.builds(
    Sample,
    NAME,
    st.none() | st.floats(0, 1),
    st.floats(0, NOW),  # what is from the future is not taken
    PLAIN,
    st.integers(1, 9),
    PLAIN,
    st.none() | st.text(max_size=9) | st.dictionaries(st.text(max_size=3), st.integers()),
    st.none() | st.builds(Failure, PLAIN, NAME),
)


def update(profile: Profile, kind: str | None, word: str, sample: Sample) -> StatusUpdate:
    params = params_from_provider(profile, kind)
    return StatusUpdate(
        source="acme",
        id=full_id(kind, sample.id),
        status=word,
        state=profile.kinds[kind].states.of(word),
        at=sample.time,
        origin=Origin.PUSH,
        progress=sample.progress,
        event_id=event_id(profile, sample.event),
        attempt=sample.attempt,
        params={n: sample.param if value == VALUE else value for n, value in params.items()},
        result=msgspec.Raw(msgspec.json.encode(sample.result)),
        error=sample.error,
    )


def event_id(profile: Profile, text: str) -> str:
    """The id of a CloudEvent is its source and id, separated by a space."""
    events = profile.push is not None and profile.push.decode.name == "cloudevents"
    return f"/acme {text}" if events else text


def check(found: StatusUpdate, meant: StatusUpdate, fields: UpdateFields) -> None:
    """The found update is the one that was meant, as far as the profile reads it."""
    assert (found.id, found.status, found.state) == (meant.id, meant.status, meant.state)
    assert found.params == {n: v for n, v in meant.params.items() if n in fields.params}
    assert found.attempt == (meant.attempt if fields.attempt else None)
    if fields.time:
        assert math.isclose(found.at, meant.at, abs_tol=1e-5)
    if fields.progress and meant.progress is not None:
        assert found.progress is not None
        assert math.isclose(found.progress, meant.progress, abs_tol=1e-6)
    else:
        assert found.progress is None
    if isinstance(fields, PushFields) and fields.event_id:
        shared = fields.event_id.locations == fields.id.locations  # an update's id is its job's
        assert found.event_id == (provider.bare_id(None, found.id) if shared else meant.event_id)


def words(profile: Profile, kind: str | None) -> list[str]:
    states = profile.kinds[kind].states
    return [*states.words, *([UNLISTED] if states.otherwise else [])]


@cache
def sayable(name: str, kind: str | None) -> tuple[list[str], list[str]]:
    """The words of pushes, and those of poll responses."""
    pushed, polled = vocabulary(PROFILES[name], kind)
    return [w for some in pushed.values() for w in some], [
        w for some in polled.values() for w in some
    ]


@pytest.mark.parametrize(("name", "kind"), PUSHED)
@settings(max_examples=10)
@given(sample=SAMPLES)
def test_a_written_push_reads_back(name: str, kind: str | None, sample: Sample):
    profile = PROFILES[name]
    push, fields = profile.push, profile.kinds[kind].push
    assert push
    assert fields
    for word in sayable(name, kind)[0]:
        meant = update(profile, kind, word, sample)
        for mode in MODES[push.decode.name]:
            made = write_push(profile, kind, meant, mode).push
            provider.check_content_type(profile, made)
            (found,) = provider.read_push(profile, "acme", made, NOW).updates
            check(found, meant, fields)


@pytest.mark.parametrize(("name", "kind"), POLLED)
@settings(max_examples=10)
@given(sample=SAMPLES)
def test_a_written_poll_response_reads_back(name: str, kind: str | None, sample: Sample):
    profile, fields = PROFILES[name], PROFILES[name].kinds[kind].poll
    assert fields
    for word in sayable(name, kind)[1]:
        meant = update(profile, kind, word, sample)
        answer = write_poll_response(profile, kind, meant)
        found = provider.read_poll_response(profile, "acme", kind, meant.id, answer, NOW)
        assert isinstance(found, StatusUpdate), found
        if answer.body:
            check(found, meant, fields)
        else:  # HTTP forbids a body with this code, so there is only the status
            assert (found.status, found.state) == (meant.status, meant.state)


@pytest.mark.parametrize(("name", "kind"), BEGUN)
@settings(max_examples=10)
@given(sample=SAMPLES)
def test_a_written_submit_response_reads_back(name: str, kind: str | None, sample: Sample):
    profile = PROFILES[name]
    fields = profile.kinds[kind].submit or profile.kinds[kind].poll
    assert fields
    for word in words(profile, kind):
        meant = update(profile, kind, word, sample)
        answer = write_submit_response(profile, kind, meant)
        found = submitted(profile, meant, answer)
        assert found.id == meant.id
        if fields.status:
            assert (found.status, found.state) == (meant.status, meant.state)
        if answer.body or profile.kinds[kind].submit:
            assert found.params == {n: v for n, v in meant.params.items() if n in fields.params}


def submitted(profile: Profile, meant: StatusUpdate, answer: HttpResponse) -> StatusUpdate:
    body = answer.body or b"{}"
    return provider.read_submit_response(
        profile, "acme", meant.id, answer.status, answer.headers, body, NOW
    )


@pytest.mark.parametrize(("name", "kind"), PUSHED)
@settings(max_examples=5)
@given(sample=SAMPLES)
def test_a_signed_push_verifies_and_reads_back(name: str, kind: str | None, sample: Sample):
    profile = PROFILES[name]
    rule, push = profile.verify, profile.push
    assert push
    if rule is None or rule.scheme in ONLY_THE_PROVIDER:
        return
    secret = SECRETS.get(rule.scheme, "s3cret")
    meant = update(profile, kind, sayable(name, kind)[0][0], sample)
    for mode in MODES[push.decode.name]:
        made = write_push(profile, kind, meant, mode).signed(secret, NOW)
        signing.verify(rule, [signing.secret_key(rule, secret)], made, NOW)
        (found,) = provider.read_push(profile, "acme", made, NOW).updates
        assert (found.id, found.status) == (meant.id, meant.status)


def test_only_two_schemes_cannot_be_simulated():
    for name, kind in PUSHED:
        rule = PROFILES[name].verify
        if rule and rule.scheme in ONLY_THE_PROVIDER:
            word = sayable(name, kind)[0][0]
            meant = update(PROFILES[name], kind, word, Sample("1", None, 0.0, "e", 1, "p", 0, None))
            with pytest.raises(ValueError, match="private key that only the provider has"):
                write_push(PROFILES[name], kind, meant).signed("s", NOW)


# --- words that cannot be said ------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_every_word_can_be_pushed_or_answered(name: str, kind: str | None):
    pushed, polled = sayable(name, kind)
    assert {*pushed, *polled} == set(words(PROFILES[name], kind))


@pytest.mark.parametrize(("name", "kind"), POLLED)
def test_every_word_can_be_answered(name: str, kind: str | None):
    assert set(sayable(name, kind)[1]) == set(words(PROFILES[name], kind))


@pytest.mark.parametrize(("name", "kind"), PUSHED)
def test_a_word_is_never_pushed_only_if_the_profile_does_not_read_it_from_pushes(
    name: str, kind: str | None
):
    """Either conditions decide and none is for it, or `about` takes other words only."""
    profile = PROFILES[name]
    fields = profile.kinds[kind].push
    assert fields
    takes = {word for word, _ in fields.status.rules} | set(read_words(fields))
    unsaid = set(words(profile, kind)) - set(sayable(name, kind)[0])
    assert unsaid & takes == set()
    assert not unsaid or takes


def read_words(fields: PushFields) -> Iterator[str]:
    """The words that may be at the location of the status."""
    places = {
        location
        for one in fields.status.options
        if not isinstance(one, tuple)
        for location in one.locations
    }
    for location, wanted in fields.matches.rules:
        if location in places and isinstance(wanted, tuple):
            yield from wanted


@pytest.mark.parametrize(("name", "kind"), LISTED)
def test_a_list_reads_back_as_its_jobs(name: str, kind: str | None):
    profile, sample = PROFILES[name], Sample("1", None, NOW, "e", 1, "p", None, None)
    meant = [
        replace(update(profile, kind, word, sample), id=full_id(kind, f"job{number}"))
        for number, word in enumerate(sayable(name, kind)[1])
    ]
    answers = [write_poll_response(profile, kind, one) for one in meant]
    page = write_list_response(profile, kind, answers)
    found = provider.read_list_response(profile, "acme", kind, page, NOW)
    assert isinstance(found, ListedJobs)
    said = [(job.update.id, job.update.status) for job in found.jobs]
    assert said == [(one.id, one.status) for one in meant]


# --- results and errors -------------------------------------------------------------------

RESULT, ERROR = msgspec.Raw(b'{"simulated":true}'), Failure("c", "m")


@pytest.mark.parametrize(("name", "kind"), POLLED)
def test_a_poll_response_has_result_and_error_unless_they_decide_the_status(
    name: str, kind: str | None
):
    profile, fields = PROFILES[name], PROFILES[name].kinds[kind].poll
    assert fields
    for meant in ends(profile, kind):
        if meant.status in sayable(name, kind)[1]:
            answer = write_poll_response(profile, kind, meant)
            found = provider.read_poll_response(profile, "acme", kind, meant.id, answer, NOW)
            assert isinstance(found, StatusUpdate)
            if answer.body:
                check_end(found, meant, fields)


@pytest.mark.parametrize(("name", "kind"), PUSHED)
def test_a_push_has_result_and_error_unless_they_decide_the_status(name: str, kind: str | None):
    profile, fields = PROFILES[name], PROFILES[name].kinds[kind].push
    assert fields
    for meant in ends(profile, kind):
        if meant.status in sayable(name, kind)[0]:
            push = write_push(profile, kind, meant).push
            (found,) = provider.read_push(profile, "acme", push, NOW).updates
            check_end(found, meant, fields)


def ends(profile: Profile, kind: str | None) -> Iterator[StatusUpdate]:
    sample = Sample("1", None, 0.0, "e", 1, "p", None, None)
    for word, state in profile.kinds[kind].states.words.items():
        if state == "succeeded":
            yield replace(update(profile, kind, word, sample), result=RESULT)
        if state == "failed":
            yield replace(update(profile, kind, word, sample), error=ERROR)


def check_end(found: StatusUpdate, meant: StatusUpdate, fields: UpdateFields) -> None:
    if meant.error and fields.error:
        codes, messages = fields.error.code, fields.error.message
        assert found.error
        assert found.error.code == (meant.error.code if codes else None) or decides(fields, codes)
        assert found.error.message == (meant.error.message if messages else None)
    if meant.error is None and fields.result and not decides(fields, fields.result):
        assert bytes(found.result) == bytes(meant.result)


def decides(fields: UpdateFields, place: Pointer | None) -> bool:
    """Whether the value there is the whole update, a header, or decides the status."""
    rules = fields.status.rules if fields.status else ()
    asked = [location for _, rule in rules for location, _ in rule.rules]
    return any(
        isinstance(location, str)
        or not location
        or any(location[: len(one)] == one or one[: len(location)] == location for one in asked)
        for location in (place.locations if place else ())
    )
