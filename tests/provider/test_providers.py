"""Every profile reads its captures as expected, survives garbage, and has no untested status.

There is no test code for one provider: a provider is `processor/providers/<name>.toml` and its
captures. A capture is `tests/providers/<name>/<case>.json`, the bytes as received, and
`<case>.toml`: where they come from (`mark` V: seen there in these words; I: composed from what
is documented there), `what` they are (push, answer, list or submit), and the expected
updates, trouble or refusal. `result` is JSON text there; an update's time is ours unless `at` says so.
"""

import json
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from processor import provider
from processor.errors import InvalidValue, Unreadable
from processor.model import FINAL, HttpResponse, Push, State, StatusUpdate
from processor.provider import ListedJobs, PollFailure, Profile, check_id

CAPTURES = Path(__file__).parents[1] / "providers"
PROFILES = {
    path.stem: provider.parse(path.stem, path.read_text())
    for path in (Path(provider.__file__).parents[1] / "providers").glob("*.toml")
}
NOW = 1795346400.0
WORK = {State.QUEUED, State.RUNNING}
SECONDS = 0.25  # the duration of a response


class Capture(msgspec.Struct, forbid_unknown_fields=True):
    """What `<case>.toml` says."""

    mark: str
    source: str
    checked: date
    what: str  # push, answer, list, submit
    headers: dict[str, str]
    query: str = ""  # of the URL that was pushed to
    job: str | None = None  # the polled id, or the id given with a submit response
    kind: str | None = None  # of jobs, for a list or a submit
    echo: dict[str, Any] | None = None
    status: int = 200
    ignored: int = 0
    updates: list[dict[str, Any]] = []
    trouble: dict[str, Any] | None = None
    refused: str | None = None


def load(case: str) -> tuple[Profile, Capture, bytes]:
    path = CAPTURES / case
    capture = msgspec.convert(tomllib.loads(path.with_suffix(".toml").read_text()), Capture)
    return PROFILES[path.parent.name], capture, path.with_suffix(".json").read_bytes()


CASES = sorted(f"{path.parent.name}/{path.stem}" for path in CAPTURES.glob("*/*.toml"))
BODIES = [(CAPTURES / f"{case}.json").read_bytes() for case in CASES]


@pytest.mark.parametrize("case", CASES)
def test_a_capture_reads_as_expected(case: str) -> None:
    profile, capture, body = load(case)
    assert capture.mark in ("V", "I")
    match capture.what:
        case "push":
            read_push(profile, capture, body)
        case "answer":
            read_poll_response(profile, capture, body)
        case "list":
            read_list_response(profile, capture, body)
        case "submit":
            read_submit_response(profile, capture, body)
        case _:
            pytest.fail(f"{case}: `what` is push, answer, list or submit")


def read_push(profile: Profile, capture: Capture, body: bytes) -> None:
    push = Push(capture.headers, body, capture.query)
    provider.check_content_type(profile, push)
    if capture.refused:
        with pytest.raises(Unreadable) as refusal:
            provider.read_push(profile, "acme", push, NOW)
        assert capture.refused in str(refusal.value)
        return
    reading = provider.read_push(profile, "acme", push, NOW)
    assert [shown(update, "push") for update in reading.updates] == expected(capture, "push")
    assert reading.ignored == capture.ignored
    assert reading.echo == capture.echo


def read_poll_response(profile: Profile, capture: Capture, body: bytes) -> None:
    result = poll_result(
        profile, str(capture.job), HttpResponse(capture.status, capture.headers, body, SECONDS)
    )
    if isinstance(result, StatusUpdate):
        assert [shown(result, "poll")] == expected(capture, "poll")
        return
    assert capture.trouble is not None, result
    assert result.kind == capture.trouble["kind"]
    assert capture.trouble["reason"] in result.reason
    assert result.retry_after == capture.trouble.get("retry_after")


def read_list_response(profile: Profile, capture: Capture, body: bytes) -> None:
    response = HttpResponse(capture.status, capture.headers, body, SECONDS)
    listed = provider.read_list_response(profile, "acme", capture.kind, response, NOW)
    assert not isinstance(listed, PollFailure), listed
    assert [shown(job.update, "poll") for job in listed.jobs] == expected(capture, "poll")


def read_submit_response(profile: Profile, capture: Capture, body: bytes) -> None:
    try:
        text: Any = json.loads(body)
    except ValueError:
        text = body.decode()
    for form in (body, body.decode(), text):
        if capture.refused:
            with pytest.raises(InvalidValue) as refusal:
                submit(profile, capture, form)
            assert capture.refused in str(refusal.value)
        else:
            assert [shown(submit(profile, capture, form), "submit")] == expected(capture, "submit")


def submit(profile: Profile, capture: Capture, body: Any) -> StatusUpdate:
    job = capture.job or provider.full_id(capture.kind, "mine")
    return provider.read_submit_response(
        profile, "acme", job, capture.status, capture.headers, body, NOW
    )


def poll_result(profile: Profile, job: str, answer: HttpResponse) -> StatusUpdate | PollFailure:
    return provider.read_poll_response(profile, "acme", profile.kind_of(job), job, answer, NOW)


def shown(update: StatusUpdate, origin: str) -> dict[str, Any]:
    """An update as a capture writes it down."""
    plain: dict[str, Any] = json.loads(msgspec.json.encode(update))
    assert plain.pop("source") == "acme"
    assert plain.pop("origin") == origin
    assert plain.pop("begun", None) == (NOW if origin == "poll" else None)
    plain.pop("reopens", None)  # from the profile, not from the response
    return without_nothing(plain)


def without_nothing(value: Any) -> Any:
    """TOML has no null: what is nothing is left out there, also inside an error or counts."""
    for inner in ("error", "counts"):
        if inner in value:
            value[inner] = {k: v for k, v in value[inner].items() if v is not None}
    return {key: inside for key, inside in value.items() if inside is not None}


def expected(capture: Capture, origin: str) -> list[dict[str, Any]]:
    wanted = [{"at": NOW, **update} for update in capture.updates]
    return [u | ({"result": json.loads(u["result"])} if "result" in u else {}) for u in wanted]


@pytest.mark.parametrize("name", PROFILES)
def test_every_status_of_a_profile_is_in_a_capture(name: str) -> None:
    profile = PROFILES[name]
    captured: dict[str | None, set[str]] = {kind: set() for kind in profile.kinds}
    for case in CASES:
        if case.startswith(f"{name}/"):
            for update in load(case)[1].updates:
                captured[profile.kind_of(update["id"])].add(update["status"])
    for name_of_kind, kind in profile.kinds.items():
        words = captured[name_of_kind]
        assert set(kind.states.words) <= words, f"{name_of_kind}: add captures of these words"
        if kind.states.otherwise is not None:
            assert words - set(kind.states.words), f"{name_of_kind}: capture an unlisted word"


@pytest.mark.parametrize("name", PROFILES)
def test_every_list_of_a_profile_is_in_a_capture(name: str) -> None:
    cases = [load(case)[1] for case in CASES if case.startswith(f"{name}/")]
    listed = {capture.kind for capture in cases if capture.what == "list"}
    kinds = PROFILES[name].kinds.items()
    assert listed == {kind for kind, known in kinds if known.poll and known.poll.list}


def test_every_capture_has_a_profile_and_its_bytes() -> None:
    assert {case.split("/")[0] for case in CASES} == set(PROFILES)
    assert {path.stem for path in CAPTURES.glob("*/*.json")} == {c.split("/")[1] for c in CASES}


DOCUMENTED = {
    # enum of W-SDK and W-CLI, closed in every API version from v1 on
    ("wistia", None): {
        "queued": "queued", "started": "running", "finished": "succeeded", "failed": "failed",
    },
    # MediaShow of the same, and the four webhooks about processing
    ("wistia", "media"): {
        "queued": "queued", "processing": "running", "ready": "succeeded", "failed": "failed",
        "media.created": "queued", "media.processing": "running",
        "media.ready": "succeeded", "media.failed": "failed",
    },
    # knownValues of app.bsky.video.defs#jobStatus since 2026-08-12, one seen live (atproto
    # #5292), and the one rule of its description: not listed means in process
    ("bluesky", None): {
        "JOB_STATE_CREATED": "queued", "JOB_STATE_ENCODING": "running",
        "JOB_STATE_ENCODED": "running", "JOB_STATE_SCANNING": "running",
        "JOB_STATE_SCANNED": "running", "JOB_STATE_UPLOADING": "running",
        "JOB_STATE_UPLOADED": "running", "JOB_STATE_IN_PROGRESS": "running",
        "JOB_STATE_COMPLETED": "succeeded", "JOB_STATE_FAILED": "failed",
        "JOB_STATE_NOT_YET_INVENTED": "running",
    },
}  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), DOCUMENTED)
def test_every_documented_status_has_its_state(name: str, kind: str | None) -> None:
    states = PROFILES[name].kinds[kind].states
    words = DOCUMENTED[name, kind]
    assert {word: states.of(word) for word in words} == words
    assert states.words.keys() <= words.keys()


OFFICIAL = tomllib.loads((Path(__file__).parent / "official_words.toml").read_text())["list"]


@pytest.mark.parametrize(
    "words", OFFICIAL, ids=[f"{i} {one['provider']}" for i, one in enumerate(OFFICIAL)]
)
def test_no_official_status_is_unknown_or_wrongly_final(
    words: dict[str, Any],
) -> None:
    states = PROFILES[words["provider"]].kinds[words.get("kind")].states
    ends, works = words.get("ends", []), words.get("works", [])
    assert {word: states.words.get(word) in FINAL for word in ends} == dict.fromkeys(ends, True)
    assert {word: states.words.get(word) in WORK for word in works} == dict.fromkeys(works, True)


# Garbage ------------------------------------------------------------------------------------

KEYS = ["id", "status", "state", "jobId", "jobStatus", "background_job_status", "events", "type"]
KEYS += ["payload", "media", "uuid", "progress", "attempt", "error", "result", "blob", "object"]
KEYS += ["hashed_id", "summary", "total", "failed", "occurred_at", "generated_at", "code"]
WORDS = ["", "running", "media.ready", "JOB_STATE_FAILED", "queued", ".", "\x00", "é" * 300]
ODD: list[Any] = [None, True, -1, 1.5, 10**40, 1e308, [], {}, [[]], {"": 0}, "x" * 3_000, *WORDS]
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(ODD)
LEAVES |= st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=12,
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A capture cut short, or with one value in it replaced."""
    body = draw(st.sampled_from(BODIES))
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if document is None or draw(st.booleans()):
        return body[: draw(st.integers(0, len(body)))]
    spots = list(inside(document))
    if spots:
        holder, key = draw(st.sampled_from(spots))
        holder[key] = draw(VALUES)
    return json.dumps(document).encode()


def inside(value: Any) -> Any:
    """Every (holder, key) of a JSON value."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from inside(value[key])


def survives(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
    """Read a body in every way that there is: only the promised errors come out."""
    lower = dict(headers or {"webhook-id": "msg_1"})
    for profile in PROFILES.values():
        if profile.push:
            try:
                updates = provider.read_push(profile, "acme", Push(lower, body), NOW).updates
            except Unreadable:
                updates = ()
            for update in updates:
                is_sound(update)
        for kind in profile.kinds:
            job = provider.full_id(kind, "job-1")
            result = poll_result(profile, job, HttpResponse(status, lower, body, SECONDS))
            if isinstance(result, StatusUpdate):
                is_sound(result)
            else:
                assert result.reason.isprintable()
            response = HttpResponse(status, lower, body, SECONDS)
            listed = provider.read_list_response(profile, "acme", kind, response, NOW)
            for listed_job in listed.jobs if isinstance(listed, ListedJobs) else ():
                is_sound(listed_job.update)
            try:
                is_sound(
                    provider.read_submit_response(profile, "acme", job, status, lower, body, NOW)
                )
            except InvalidValue as refusal:
                assert str(refusal)  # noqa: PT017 - either outcome is good


def is_sound(update: StatusUpdate) -> None:
    """What the store and the state machine rely on."""
    assert msgspec.json.decode(msgspec.json.encode(update), type=StatusUpdate) == update
    for name in (update.id, *update.aliases):
        check_id(name)
    assert update.id not in update.aliases
    assert update.status
    assert (update.state is None) == ("unknown_status" in update.flags)
    assert update.progress is None or 0 <= update.progress <= 1
    assert update.attempt is None or update.attempt >= 1
    assert 0 <= update.at < 253_402_300_800  # the year 10000
    assert len(update.result) <= 64 * 1024


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_unreadable(body: bytes) -> None:
    survives(body)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_any_json_is_read_or_unreadable(value: Any) -> None:
    survives(json.dumps(value).encode())


@settings(max_examples=300, deadline=None)
@given(damaged())
def test_a_damaged_capture_is_read_or_unreadable(body: bytes) -> None:
    survives(body)


@settings(max_examples=50, deadline=None)
@given(st.integers(100, 599), st.dictionaries(st.sampled_from(["retry-after"]), st.text()))
def test_any_code_and_header_is_read(status: int, headers: dict[str, str]) -> None:
    survives(b'{"error": "no"}', status, headers)


@pytest.mark.parametrize("depth", [200, 900, 1_100, 100_000])
def test_any_depth_is_read_or_unreadable(depth: int) -> None:
    for left, right in (("[", "]"), ('{"a":', "}"), ('{"id":', "}")):
        deep = left * depth + "1" + right * depth
        survives(deep.encode())
        survives(f'{{"id": "job-1", "status": "running", "result": {deep}}}'.encode())
        survives(f'{{"jobId": "1", "state": "x", "blob": {deep}, "progress": {deep}}}'.encode())


@pytest.mark.parametrize("body", [b'{"id":"\xff"}', b'"\\ud800"', b"1e999", b"NaN", b"1" * 6_000])
def test_pathological_json_is_read_or_unreadable(body: bytes) -> None:
    survives(body)
