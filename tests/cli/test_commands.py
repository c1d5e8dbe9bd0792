"""The commands that call a server, with a stub server: calls, output and exit codes."""

import io
import json
import re
import signal
import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from processor.cli import client, events, follow, key_file, options, progress, subscriptions
from processor.cli.lazy_group import move_shared_options
from processor.cli.setting_options import SettingOptions
from processor.cli.sse import Message
from processor.subscription_settings import SubscriptionSettings

from .stub_server import JSON, PROBLEM, Run, Stub


def job(job_id: str, state: str, **more: object) -> dict[str, object]:
    return {
        "source": "wistia",
        "id": job_id,
        "state": state,
        "status": state,
        "progress": None,
        **more,
    }


WAIT = "POST /v1/wait"


def waited(*jobs: Any, groups: Any = ()) -> dict[str, Any]:
    return {"done": False, "jobs": jobs} | ({"groups": groups} if groups else {})


def group(state: str) -> dict[str, Any]:
    counts = {"total": 2, "pending": 1, "succeeded": 1, "failed": 0, "canceled": 0, "expired": 0}
    return {"id": "g", "state": state, "policy": "all", "open": False, "counts": counts}


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["succeeded"], 0),
        (["failed"], 1),
        (["canceled"], 1),
        (["expired"], 3),
        (["running"], 4),
        (["queued"], 4),
        (["succeeded", "expired"], 3),
        (["succeeded", "running"], 4),
        (["running", "expired"], 3),
        (["expired", "failed", "running", "succeeded"], 1),
        (["canceled", "expired"], 1),
    ],
)
def test_wait_ends_with_the_exit_code_of_the_worst_job(
    stub: Stub, ringback: Run, states: list[str], code: int
):
    stub.responds(WAIT, waited(*(job(str(n), state) for n, state in enumerate(states))))
    ids = [str(number) for number in range(len(states))]
    assert ringback("wait", "wistia", *ids, "--timeout", "0s").code == code


@pytest.mark.parametrize(
    ("state", "code"),
    [("succeeded", 0), ("failed", 1), ("partial", 1), ("expired", 3), ("running", 4)],
)
def test_the_state_of_a_group_decides_the_exit_code(
    stub: Stub, ringback: Run, state: str, code: int
):
    stub.responds(WAIT, waited(groups=[group(state)]))
    ended = ringback("group", "wait", "g", "--timeout", "0s")
    assert ended.code == code
    assert ended.out.splitlines() == [f"group g  {state} 50%"]


def test_wait_returns_when_the_last_job_is_finished(stub: Stub, ringback: Run):
    stub.responds(
        WAIT,
        waited(job("1", "running"), job("2", "succeeded")),
        waited(job("1", "running")),
        waited(job("1", "succeeded")),
    )
    ended = ringback("wait", "wistia", "1", "2", "--json")
    assert ended.code == 0
    assert ended.json["done"] is True
    assert [found["id"] for found in ended.json["jobs"]] == ["1", "2"]
    assert [found["state"] for found in ended.json["jobs"]] == ["succeeded", "succeeded"]
    bodies = [body for _, body in stub.calls]
    assert bodies[0] == {
        "jobs": ["wistia/1", "wistia/2"],
        "groups": [],
        "mode": "all",
        "timeout": 0,
    }
    assert [body["jobs"] for body in bodies[1:]] == [["wistia/1"], ["wistia/1"]]
    assert [body["timeout"] for body in bodies[1:]] == [1, 1]


@pytest.mark.parametrize(("state", "code"), [("succeeded", 0), ("failed", 1)])
def test_wait_for_any_returns_with_the_first(stub: Stub, ringback: Run, state: str, code: int):
    stub.responds(
        WAIT,
        waited(job("1", "running"), groups=[group("running")]),
        waited(job("1", state), groups=[group("running")]),
    )
    ended = ringback("wait", "wistia/1", "--group", "g", "--any", "--json")
    assert (ended.code, ended.json["done"]) == (code, True)
    assert [found["state"] for found in ended.json["groups"]] == ["running"]
    assert stub.calls[-1][1]["mode"] == "any"


@pytest.mark.parametrize("words", [(), ("wistia",), ("wistia/1", "2"), ("wistia/",)])
def test_wait_needs_names_of_jobs(stub: Stub, ringback: Run, words: tuple[str, ...]):
    assert ringback("wait", *words).code == 2
    assert stub.calls == []


def test_wait_ends_with_4_after_the_timeout(stub: Stub, ringback: Run):
    stub.responds(WAIT, waited(job("1", "running")))
    ended = ringback("wait", "wistia", "1", "--timeout", "50ms", "--json")
    assert (ended.code, ended.json["done"]) == (4, False)
    assert "time is up" in ended.err


def test_wait_prints_a_line_for_each_change(stub: Stub, ringback: Run):
    error = {"code": "x", "message": "no codec"}
    stub.responds(
        WAIT,
        waited(job("1", "running", status="JOB_STATE_ENCODING", progress=0.9)),
        waited(job("1", "running", status="JOB_STATE_SCANNING", progress=0.1)),
        waited(job("1", "failed", status="JOB_STATE_FAILED", error=error)),
    )
    assert ringback("wait", "wistia", "1").out.splitlines() == [
        "wistia/1  running (JOB_STATE_ENCODING) 90%",
        "wistia/1  running (JOB_STATE_SCANNING) 10%",
        "wistia/1  failed (JOB_STATE_FAILED) · no codec",
    ]


def test_a_quiet_wait_prints_each_job_once(stub: Stub, ringback: Run):
    stub.responds(
        WAIT,
        waited(job("1", "running"), job("2", "running"), groups=[group("running")]),
        waited(job("1", "succeeded"), job("2", "failed"), groups=[group("partial")]),
    )
    ended = ringback("wait", "wistia/1", "wistia/2", "--group", "g", "-q")
    lines = ["wistia/1  succeeded", "wistia/2  failed", "group g   partial"]
    assert (ended.code, ended.out.splitlines()) == (1, lines)


def test_an_id_is_one_segment_of_the_path(stub: Stub, ringback: Run):
    stub.responds("GET /v1/jobs/wistia/a%2Fb%20c%3F/history", {"items": [], "next": None})
    assert ringback("history", "wistia", "a/b c?").code == 0


def test_an_id_that_is_not_utf8_is_sent_to_the_server(stub: Stub, ringback: Run):
    assert ringback("history", "wistia", "\udcff", "--json").code == 2
    assert stub.calls == [("GET /v1/jobs/wistia/%FF/history?limit=200", None)]


def test_watch_registers_then_follows(stub: Stub, ringback: Run):
    stub.responds("PUT /v1/jobs/wistia/1", job("1", "queued"), status=201)
    stub.responds(WAIT, waited(job("1", "queued")), waited(job("1", "expired")))
    ended = ringback(
        "watch", "wistia", "1", "--metadata", "order=7", "--param", "a=b=c", "--deadline", "5m"
    )
    assert ended.code == 3
    body = {"metadata": {"order": 7}, "params": {"a": "b=c"}, "deadline": "5m"}
    assert stub.calls[0] == ("PUT /v1/jobs/wistia/1", body)


def test_several_jobs_are_watched_without_waiting(stub: Stub, ringback: Run):
    for name in ("1", "2"):
        stub.responds(f"PUT /v1/jobs/wistia/{name}", job(name, "queued"), status=201)
    words = ("--callback-url", "https://a.example/", "--callback-secret", "whsec_x", "--no-wait")
    ended = ringback("watch", "wistia", "1", "2", *words)
    assert (ended.code, [line.split()[:3] for line in ended.out.splitlines()[1:]]) == (
        0,
        [["wistia", "1", "queued"], ["wistia", "2", "queued"]],
    )
    body = {"callback_url": "https://a.example/", "callback_secret": "whsec_x"}
    assert stub.calls == [(f"PUT /v1/jobs/wistia/{name}", body) for name in ("1", "2")]
    ended = ringback("watch", "wistia/1", "wistia/2", "--no-wait", "--json")
    assert (ended.json["done"], len(ended.json["jobs"])) == (False, 2)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ('"42"', "42"),
        ("true", True),
        ("null", None),
        ('{"a": [1]}', {"a": [1]}),
        ("007", "007"),
        ("2026-11-22", "2026-11-22"),
        ("NaN", "NaN"),
        ("1e999", "1e999"),
        ("[" * 100_000, "[" * 100_000),
        ("", ""),
    ],
)
def test_metadata_that_is_json_is_sent_as_json(text: str, value: object):
    assert options.typed_pairs("--metadata", [f"a={text}"]) == {"a": value}


def test_a_job_is_shown_with_its_callbacks(stub: Stub, ringback: Run):
    callback = {"id": "cb_1", "url": "https://a.example/"}
    stub.responds("GET /v1/jobs/wistia/a%2Fb", job("a/b", "running", metadata={"order": 1}))
    stub.responds("GET /v1/jobs/wistia/a%2Fb/callbacks", {"items": [callback], "next": None})
    lines = [
        line.split(maxsplit=1)
        for line in ringback("jobs", "show", "wistia", "a/b").out.splitlines()
    ]
    assert ["metadata", '{"order": 1}'] in lines
    assert ["callbacks", "https://a.example/ (cb_1)"] in lines
    assert "progress" not in dict(lines)
    assert ringback("jobs", "show", "wistia", "a/b", "--json").json["callbacks"] == [callback]


def test_jobs_and_callbacks_are_removed(stub: Stub, ringback: Run):
    stub.responds("DELETE /v1/jobs/wistia/1", None, status=204)
    stub.responds("DELETE /v1/jobs/wistia/2", None, status=204)
    stub.responds("DELETE /v1/jobs/wistia/1/callbacks/cb_1", None, status=204)
    assert ringback("jobs", "rm", "wistia", "1", "2").out.splitlines() == [
        "removed job wistia/1",
        "removed job wistia/2",
    ]
    ended = ringback("jobs", "rm", "wistia/1", "--callback", "cb_1", "--json")
    assert ended.json == {"jobs": ["wistia/1"], "removed": "cb_1"}
    assert ringback("jobs", "rm").code == 2


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_jobs_that_are_not_there_do_not_keep_others_from_being_removed(
    stub: Stub, ringback: Run, form: tuple[str, ...]
):
    stub.responds("DELETE /v1/jobs/wistia/1", None, status=204)
    stub.responds("DELETE /v1/jobs/wistia/3", None, status=204)
    problem = PROBLEM | {"detail": "no job wistia/8"}
    stub.responds("DELETE /v1/jobs/wistia/8", problem, status=404)
    ended = ringback("jobs", "rm", "wistia", "8", "1", "9", "3", *form)
    assert ended.code == 2
    if form:
        assert ended.json == {"jobs": ["wistia/1", "wistia/3"], "removed": True}
    else:
        assert ended.out.splitlines() == ["removed job wistia/1", "removed job wistia/3"]
    assert ended.err.splitlines() == [
        "ringback: Not found: no job wistia/8; Not found: no job wistia/9"
    ]


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_an_error_does_not_hide_which_jobs_were_removed(
    stub: Stub, ringback: Run, form: tuple[str, ...]
):
    stub.responds("DELETE /v1/jobs/wistia/1", None, status=204)
    problem = {"title": "Unavailable", "detail": "Redis is down"}
    stub.responds("DELETE /v1/jobs/wistia/2", problem, status=503)
    ended = ringback("jobs", "rm", "wistia", "1", "2", "3", *form)
    assert ended.code == 5
    assert ended.out.count("wistia/1") == 1
    assert "wistia/2" not in ended.out
    assert "Redis is down" in ended.err


def test_wait_goes_on_after_a_restart_of_the_server(stub: Stub, ringback: Run):
    stub.responds(WAIT, waited(job("1", "running")), PROBLEM, waited(job("1", "succeeded")))
    stub.answers[WAIT][1] = (503, JSON, b"{}")
    assert ringback("wait", "wistia", "1").code == 0


def test_wait_outlives_an_outage_that_ends_before_its_timeout(
    stub: Stub, ringback: Run, monkeypatch
):
    monkeypatch.setattr(follow, "RECONNECT_TIMEOUT", 0.0)
    monkeypatch.setattr(follow, "RECONNECT_PAUSE", 0.01)
    stub.responds(WAIT, waited(job("1", "running")), *[PROBLEM] * 9, waited(job("1", "succeeded")))
    stub.answers[WAIT][1:-1] = [(503, JSON, b"{}")] * 9
    assert ringback("wait", "wistia", "1", "--timeout", "60s").code == 0


def test_wait_ends_with_5_if_the_server_is_away_when_the_time_is_up(
    stub: Stub, ringback: Run, monkeypatch
):
    monkeypatch.setattr(follow, "RECONNECT_PAUSE", 0.01)
    stub.responds(WAIT, waited(job("1", "running")), PROBLEM)
    stub.answers[WAIT][1] = (503, JSON, b"{}")
    assert ringback("wait", "wistia", "1", "--timeout", "100ms").code == 5


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("command", "hanging"),
    [
        ("wait", [WAIT]),
        ("wait", [WAIT, waited(job("1", "running"))]),
        ("wait", ["GET /v1/sources"]),
        ("watch", ["PUT /v1/jobs/wistia/1"]),
    ],
    ids=["first answer", "later answer", "sources", "watch"],
)
def test_a_timeout_holds_at_a_server_that_hangs(
    stub: Stub, ringback: Run, monkeypatch, command: str, hanging: list[Any]
):
    monkeypatch.setattr(follow, "LATE_BY", 0.2, raising=False)
    monkeypatch.setattr(follow, "CHECK_SOURCES_AFTER", 0.0)
    stub.responds(WAIT, waited(job("1", "running")))
    stub.responds("GET /v1/sources", {"items": []})
    stub.hangs(*hanging)
    ended = ringback(command, "wistia", "1", "--timeout", "100ms")
    assert (ended.code, "timed out" in ended.err) == (5, True)


@pytest.mark.timeout(30)
def test_a_wait_without_a_timeout_ends_at_a_server_that_hangs(
    stub: Stub, ringback: Run, monkeypatch
):
    monkeypatch.setattr(follow, "ROUND", 0.1)
    monkeypatch.setattr(follow, "ANSWER_TIMEOUT", 0.1, raising=False)
    monkeypatch.setattr(follow, "RECONNECT_TIMEOUT", 0.0)
    stub.hangs(WAIT, waited(job("1", "running")))
    assert ringback("wait", "wistia", "1").code == 5


def test_wait_ends_if_the_server_stays_unreachable(stub: Stub, ringback: Run, monkeypatch):
    monkeypatch.setattr(follow, "RECONNECT_TIMEOUT", 0.0)
    stub.responds(WAIT, waited(job("1", "running")), PROBLEM)
    stub.answers[WAIT][1] = (503, JSON, b"{}")
    assert ringback("wait", "wistia", "1").code == 5


def test_a_group_is_created_from_words_and_a_file(stub: Stub, ringback: Run, tmp_path: Path):
    stub.responds("POST /v1/groups", group("running"), status=201)
    (tmp_path / "jobs.txt").write_text("wistia/2\n\n  mux/a/b \n")
    words = ["--from", str(tmp_path / "jobs.txt"), "--policy", "fail_fast", "--open", "--id", "g"]
    words += ["--metadata", "batch=7", "--deadline", "2h", "--callback-url", "https://a.example/"]
    ended = ringback("group", "create", "wistia/1", *words, "--callback-secret", "whsec_x")
    assert ended.code == 0
    assert ended.out.splitlines()[1].split() == ["g", "running", "all", "no", *"211000"]
    assert stub.calls[0][1] == {
        "id": "g",
        "jobs": ["wistia/1", "wistia/2", "mux/a/b"],
        "policy": "fail_fast",
        "open": True,
        "metadata": {"batch": 7},
        "deadline": "2h",
        "callback_url": "https://a.example/",
        "callback_secret": "whsec_x",
    }


def test_the_jobs_of_a_group_may_come_from_standard_input(
    stub: Stub, ringback: Run, monkeypatch: Any
):
    monkeypatch.setattr("sys.stdin", io.StringIO("wistia/1\nwistia/2"))
    stub.responds("POST /v1/groups", group("running"), status=201)
    stub.responds(WAIT, waited(groups=[group("running")]), waited(groups=[group("partial")]))
    ended = ringback("group", "create", "--from", "-", "--wait", "--json")
    assert (ended.code, ended.json["done"]) == (1, True)
    assert stub.calls[0][1] == {"jobs": ["wistia/1", "wistia/2"]}
    assert stub.calls[1][1]["groups"] == ["g"]


def test_a_line_that_names_no_job_is_named_by_its_file_and_number(
    stub: Stub, ringback: Run, tmp_path: Path
):
    (tmp_path / "jobs.txt").write_text("wistia/1\n\n# done\n")
    ended = ringback("group", "create", "--from", str(tmp_path / "jobs.txt"))
    assert (ended.code, stub.calls) == (2, [])
    assert "jobs.txt, line 3: # done: write the job as SOURCE/ID" in ended.err


def test_a_file_of_jobs_that_cannot_be_read_is_named_without_a_number(
    stub: Stub, ringback: Run, tmp_path: Path
):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for file, reason in (("/nowhere", "No such file or directory"), (tmp_path, "Is a directory")):
        ended = ringback("group", "create", "--from", str(file))
        assert ended.err == f"ringback: --from {file}: cannot be read: {reason}\n"
    assert (
        "is not UTF-8; save it as UTF-8"
        in ringback("group", "create", "--from", str(tmp_path / "binary")).err
    )
    assert stub.calls == []


@pytest.mark.parametrize("words", [("wistia",), ("--from", "/nowhere")])
def test_a_group_needs_names_of_jobs(stub: Stub, ringback: Run, words: tuple[str, ...]):
    assert ringback("group", "create", *words).code == 2
    assert ringback("group", "add", "g", *words).code == 2
    assert stub.calls == []


def test_a_group_is_changed_by_its_id(stub: Stub, ringback: Run):
    stub.responds("PUT /v1/groups/a%2Fb/jobs/wistia/c%2Fd", group("running"))
    stub.responds("POST /v1/groups/a%2Fb/close", group("running"))
    stub.responds("DELETE /v1/groups/a%2Fb", None, status=204)
    assert ringback("group", "add", "a/b", "wistia/c/d", "--json").json == group("running")
    assert ringback("group", "close", "a/b").code == 0
    assert ringback("group", "rm", "a/b").out == "removed a/b\n"


def test_jobs_are_listed_by_metadata_and_group(stub: Stub, ringback: Run):
    stub.responds("GET /v1/jobs", {"items": [], "next": None})
    ringback("jobs", "--metadata", "batch=7", "--metadata", "a=b:c", "--group", "g")
    ((call, _),) = stub.calls
    assert call == "GET /v1/jobs?metadata=batch%3A7&metadata=a%3Ab%3Ac&group=g&limit=50"


def test_history_prints_a_line_for_each_entry(stub: Stub, ringback: Run):
    entry = {"at": "2026-11-22T10:00:00Z", "count": 1, "origin": "push", "status": "started"}
    moved = entry | {"state": "running", "was": "queued", "attempt": 1, "event": "evt_1"}
    again = entry | {"state": "running", "was": "running", "attempt": 1, "count": 3}
    page = {"items": [moved, again | {"ignored": "older", "flags": ["unconfirmed"]}], "next": None}
    stub.responds("GET /v1/jobs/wistia/a%2Fb/history", page)
    rows = [
        line.split(maxsplit=3) for line in ringback("history", "wistia", "a/b").out.splitlines()
    ]
    assert rows[0][3].split() == ["state", "event", "times", "flags"]
    assert rows[1][:3] == ["2026-11-22T10:00:00Z", "push", "started"]
    assert rows[1][3].split() == ["queued", ">", "running", "evt_1", "-", "-"]
    assert rows[2][3].split() == ["running", "ignored:", "older", "3", "unconfirmed"]
    assert stub.calls == [("GET /v1/jobs/wistia/a%2Fb/history?limit=200", None)]
    assert ringback("history", "wistia", "a/b", "--json").json == page


def test_events_are_selected_by_the_server(stub: Stub, ringback: Run):
    data = {"id": "g", "state": "partial", "jobs": [{"source": "mux", "id": "1"}]}
    items = [
        {"type": "job.started", "timestamp": "t", "data": {"source": "mux", "id": "1"}},
        {"type": "group.completed", "timestamp": "t", "data": data},
    ]
    stub.responds("GET /v1/events", {"items": items, "next": None})
    words = ("--source", "mux", "--type", "job.started", "--type", "group.completed")
    ended = ringback("events", *words, "--limit", "3")
    assert ended.out.splitlines() == [
        "t  job.started  mux/1",
        "t  group.completed  group g  partial",
    ]
    query = "newest=true&limit=3&source=mux&type=job.started&type=group.completed"
    assert stub.calls == [(f"GET /v1/events?{query}", None)]


def test_the_oldest_events_are_printed_on_request(stub: Stub, ringback: Run):
    stub.responds("GET /v1/events", {"items": [], "next": "c"})
    assert ringback("events", "--oldest", "--job", "mux/a/b").err == "more: --after c\n"
    assert stub.calls == [("GET /v1/events?limit=50&job=mux%2Fa%2Fb", None)]


def test_events_as_json_are_lines_whether_they_are_followed_or_not(
    stub: Stub, ringback: Run, monkeypatch
):
    monkeypatch.setattr(events, "RECONNECT_PAUSE", 0.0)
    monkeypatch.setattr(events, "RECONNECT_TIMEOUT", 0.0)
    found = [{"id": name, "type": "job.started", "data": {}} for name in ("e1", "e2")]
    stub.responds("GET /v1/events", {"items": found, "next": None})
    lines = ringback("events", "--json").out.splitlines()
    chunks = [f"id: c\nevent: job.started\ndata: {json.dumps(one)}\n\n" for one in found]
    stub.streams("".join(chunks))
    stub.answers["GET /v1/events"].append((503, JSON, b"{}"))
    followed = ringback("events", "--follow", "--json").out.splitlines()
    assert [json.loads(line) for line in lines] == found
    assert [json.loads(line) for line in followed] == [one | {"cursor": "c"} for one in found]


COMMANDS = [
    ("jobs",),
    ("watch", "wistia", "9"),
    ("jobs", "show", "wistia", "9"),
    ("jobs", "rm", "wistia", "9"),
    ("jobs", "poll", "wistia", "9"),
    ("wait", "wistia", "9"),
    ("events",),
    ("events", "--follow"),
    ("history", "wistia", "9"),
    ("group", "create", "wistia/9"),
    ("group", "show", "g"),
    ("group", "add", "g", "wistia/9"),
    ("group", "close", "g"),
    ("group", "wait", "g"),
    ("group", "rm", "g"),
    ("sources",),
    ("subscriptions", "list"),
    ("subscriptions", "add", "https://example.com"),
    ("subscriptions", "rm", "sub_1"),
    ("subscriptions", "rotate", "sub_1"),
    ("subscriptions", "test", "sub_1"),
    ("subscriptions", "set", "sub_1", "--event", "job.failed"),
    ("subscriptions", "enable", "sub_1"),
    ("subscriptions", "replay", "sub_1", "--since", "24h"),
    ("deliveries", "list", "sub_1"),
    ("deliveries", "retry", "evt_1.sub_1"),
    ("deliveries", "retry", "--all", "--subscription", "sub_1"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unreachable_server_is_one_line_with_url_and_remedy(
    ringback: Run, command: tuple[str, ...]
):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    ended = ringback(*command, "--url", url, "--json")
    assert (ended.code, ended.out) == (5, "")
    [line] = ended.err.splitlines()
    assert url in line
    assert "ringback up" in line


@pytest.mark.parametrize("command", COMMANDS)
def test_an_error_response_is_printed_as_one_line(ringback: Run, command: tuple[str, ...]):
    ended = ringback(*command, "--json")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "ringback: Not found: no job wistia/9\n"


@pytest.mark.parametrize(
    ("status", "code"), [(400, 2), (401, 2), (403, 2), (409, 2), (422, 2), (500, 5), (503, 5)]
)
def test_the_status_of_an_error_response_decides_the_exit_code(
    stub: Stub, ringback: Run, status: int, code: int
):
    stub.responds("GET /v1/jobs", {**PROBLEM, "status": status}, status=status)
    assert ringback("jobs").code == code


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff", b'{"title": "x"}'])
def test_an_error_page_of_another_server_is_recognized(stub: Stub, ringback: Run, body: bytes):
    stub.answers["GET /v1/jobs"] = [(404, {}, body)]
    ended = ringback("jobs")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "is it Ringback?" in ended.err


def test_a_page_of_another_server_is_an_error(stub: Stub, ringback: Run):
    stub.answers["GET /v1/jobs"] = [(200, {}, b"<html>")]
    assert ringback("jobs").code == 5


@pytest.mark.parametrize(
    "url", ["ftp://x", "http://", "http://x:99999", "http://[::1", "", "nonsense:x"]
)
def test_an_invalid_server_url_is_a_usage_error(ringback: Run, url: str):
    ended = ringback("jobs", f"--url={url}")
    assert ended.code == 2
    assert "not a server's URL" in ended.err


def test_the_key_is_sent_as_bearer(stub: Stub, ringback: Run, monkeypatch):
    stub.responds("GET /v1/jobs", {"items": [], "next": None})
    ringback("jobs", "--key", "one")
    monkeypatch.setenv("RINGBACK_API_KEY", "two")
    ringback("jobs")
    assert [headers["authorization"] for headers in stub.headers] == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("place", ["--data", "RINGBACK_DATA", ".ringback"])
def test_without_a_key_the_key_of_up_is_sent(
    stub: Stub, ringback: Run, monkeypatch, tmp_path: Path, place: str
):
    """Also as `ringback --data folder jobs`."""
    monkeypatch.chdir(tmp_path)
    stub.responds("GET /v1/jobs", {"items": [], "next": None})
    folder = tmp_path / (place if place == ".ringback" else "elsewhere")
    folder.mkdir()
    key = key_file.make(folder / "key")
    option = ["--data", "elsewhere"] if place == "--data" else []
    if place == "RINGBACK_DATA":
        monkeypatch.setenv(place, str(folder))
    assert ringback(*option, "jobs").code == 0
    monkeypatch.setenv("RINGBACK_API_KEY", "another")
    assert ringback("jobs", *option).code == 0
    assert [h["authorization"] for h in stub.headers] == [f"Bearer {key}", "Bearer another"]


def test_the_servers_variable_for_keys_is_not_sent(stub: Stub, ringback: Run, monkeypatch):
    monkeypatch.setenv("RINGBACK_API_KEYS", "k1,k2")
    stub.responds("GET /v1/jobs", {"items": [], "next": None})
    ringback("jobs")
    assert "authorization" not in stub.headers[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_call_without_a_valid_key_names_the_ways_to_give_it(
    stub: Stub, ringback: Run, command: tuple[str, ...]
):
    stub.otherwise = 401
    ended = ringback(*command, "--key", "wrong-key")
    assert ended.code == 2
    assert all(
        name in ended.err for name in ("--key", "RINGBACK_API_KEY", "--data", "RINGBACK_DATA")
    )
    assert "wrong-key" not in ended.err + ended.out


def test_the_key_is_not_sent_to_a_redirect(stub: Stub, ringback: Run):
    stub.otherwise = 307
    assert ringback("jobs", "--key", "secret-one").code == 2
    assert len(stub.headers) == 1


@pytest.mark.parametrize("key", ["a\nb", "käse\u20ac", "b\u00e4", "a\x00b", "a\x7fb"])
def test_a_key_that_cannot_be_sent_is_a_usage_error(ringback: Run, key: str):
    assert ringback("jobs", "--key", key).code == 2


def test_a_path_in_the_server_url_is_kept(stub: Stub, ringback: Run):
    stub.responds("GET /ringback/v1/jobs", {"items": [], "next": None})
    assert ringback("jobs", "--url", f"{stub.url}/ringback/").code == 0


def test_jobs_can_be_filtered_by_source_and_state(stub: Stub, ringback: Run):
    page = {"items": [job("1", "running", progress=0.5)], "next": "c2"}
    stub.responds("GET /v1/jobs", page)
    assert ringback("jobs", "--json", "--source", "wistia", "--state", "running").json == page
    assert stub.calls[0][0] == "GET /v1/jobs?source=wistia&state=running&limit=50"
    ended = ringback("jobs")
    assert ended.out.splitlines()[1].split() == ["wistia", "1", "running", "running", "50%"]
    assert ended.err == "more: --cursor c2\n"


def test_control_characters_are_not_printed_to_the_terminal(stub: Stub, ringback: Run):
    stub.responds("GET /v1/jobs", {"items": [job("\x1b[2J\x9b[bold]", "running")], "next": None})
    out = ringback("jobs").out + ringback("jobs", "--json").out
    assert "\x1b" not in out
    assert "\x9b" not in out


def test_events_are_printed_by_pages(stub: Stub, ringback: Run):
    item = {"id": "msg_1", "type": "job.failed", "timestamp": "T", "data": job("1", "failed")}
    stub.responds("GET /v1/events", {"items": [item], "next": "c1"})
    ended = ringback("events", "--after", "c0")
    assert ended.out == "T  job.failed  wistia/1  failed\n"
    assert ended.err == "more: --after c1\n"
    assert stub.calls[0][0] == "GET /v1/events?after=c0&limit=50"


def test_followed_events_are_selected_by_the_server(stub: Stub, ringback: Run, monkeypatch):
    monkeypatch.setattr(events, "RECONNECT_PAUSE", 0.0)
    monkeypatch.setattr(events, "RECONNECT_TIMEOUT", 0.0)
    stub.streams(": ping\n\n")
    stub.answers["GET /v1/events"].append((503, JSON, b"{}"))
    ringback("events", "--follow", "--source", "b")
    assert {call for call, _ in stub.calls} == {"GET /v1/events?source=b"}


def test_following_goes_on_after_a_lost_connection(stub: Stub, ringback: Run, monkeypatch):
    monkeypatch.setattr(events, "RECONNECT_PAUSE", 0.0)
    first = 'retry: 3000\n\n: ping\n\nid: c1\nevent: job.started\ndata: {"id": "msg_1"}\n\nid: c2\nevent: half'
    stub.streams(first, ": ping\n\n")
    stub.answers["GET /v1/events"].append((410, JSON, json.dumps(PROBLEM).encode()))
    ended = ringback("events", "--follow", "--after", "c0", "--json")
    assert [json.loads(line) for line in ended.out.splitlines()] == [
        {"type": "job.started", "id": "msg_1", "cursor": "c1"},
    ]
    assert [headers.get("last-event-id") for headers in stub.headers] == ["c0", "c1", "c1"]
    assert ended.code == 2


def test_following_resumes_where_the_stream_began(stub: Stub, ringback: Run, monkeypatch):
    """Events during a restart of the server are shown, even if no event came before."""
    monkeypatch.setattr(events, "RECONNECT_PAUSE", 0.0)
    opening = "retry: 3000\nid: c5\n\n: ping\n\n"
    stub.streams(opening, opening + "id: c6")
    stub.answers["GET /v1/events"].append((410, JSON, json.dumps(PROBLEM).encode()))
    ringback("events", "--follow")
    assert [headers.get("last-event-id") for headers in stub.headers] == [None, "c5", "c5"]


def test_a_gap_is_printed_as_text_and_as_json(stub: Stub, ringback: Run, monkeypatch):
    monkeypatch.setattr(events, "RECONNECT_PAUSE", 0.0)
    stub.streams("event: gap\ndata: {}\n\n")
    stub.answers["GET /v1/events"].append((410, JSON, json.dumps(PROBLEM).encode()))
    ended = ringback("events", "--follow", "--json")
    assert json.loads(ended.out) == {"type": "gap", "cursor": None}
    assert ended.err.startswith("gap: ")


def test_adding_a_subscription_shows_its_secret(stub: Stub, ringback: Run):
    stub.responds("POST /v1/subscriptions", {"id": "sub_1", "secret": "whsec_x"}, status=201)
    ended = ringback(
        "subscriptions", "add", "https://e.com", "--event", "job.failed", "--source", "wistia"
    )
    assert "whsec_x" in ended.out
    body = {"url": "https://e.com", "events": ["job.failed"], "sources": ["wistia"]}
    assert stub.calls[0] == ("POST /v1/subscriptions", body)


def test_a_secret_that_was_given_is_not_printed_again(stub: Stub, ringback: Run):
    made = {"id": "sub_1", "secret": "whsec_x"}
    stub.responds("POST /v1/subscriptions", made, status=201)
    ended = ringback("subscriptions", "add", "https://e.com", "--secret", "whsec_x")
    assert (ended.code, ended.out.split(), ended.err) == (0, ["id", "sub_1"], "")


def test_every_setting_of_a_subscription_has_an_option():
    by_itself = {"url", "signature"}  # the argument of `add`, `--to` of `set`; only `add` sets it
    options = {option.name for option in fields(SettingOptions)}
    assert options | by_itself >= set(SubscriptionSettings.__struct_fields__)


def test_adding_a_subscription_takes_every_setting_that_can_be_changed(stub: Stub, ringback: Run):
    stub.responds("POST /v1/subscriptions", {"id": "sub_1", "secret": "whsec_x"}, status=201)
    given = ("--provider", "wistia", "--source", "", "--rate", "", "--no-ordered")
    ringback("subscriptions", "add", "https://e.com", *given)
    body = {"url": "https://e.com", "providers": ["wistia"], "sources": [], "rate": None}
    assert stub.calls[0] == ("POST /v1/subscriptions", body | {"ordered": False})


def test_a_subscription_with_a_public_key_shows_the_key_and_no_secret(stub: Stub, ringback: Run):
    made = {"id": "sub_1", "secret": None, "public_key": "whpk_x"}
    stub.responds("POST /v1/subscriptions", made, status=201)
    body = {
        "url": "https://e.com",
        "format": "cloudevents",
        "signature": "v1a",
        "headers": {"X-Team": "a=b"},
        "concurrency": 2,
        "rate": "100/1m",
        "ordered": True,
        "auto_disable": False,
        "handshake": True,
    }
    given = ("--format", "cloudevents", "--signature", "v1a", "--header", "X-Team=a=b")
    given += ("--concurrency", "2", "--rate", "100/1m", "--ordered", "--no-auto-disable")
    ended = ringback("subscriptions", "add", "https://e.com", *given, "--handshake")
    assert "whpk_x" in ended.out
    assert "None" not in ended.out + ended.err
    assert stub.calls[0] == ("POST /v1/subscriptions", body)


def test_a_subscription_can_be_removed_rotated_and_tested(stub: Stub, ringback: Run):
    stub.answers["DELETE /v1/subscriptions/sub_1"] = [(204, {}, b"")]
    stub.responds("POST /v1/subscriptions/sub_1/rotate", {"id": "sub_1", "secret": "whsec_y"})
    assert ringback("subscriptions", "rm", "sub_1", "--json").json == {
        "id": "sub_1",
        "removed": True,
    }
    assert ringback("subscriptions", "rotate", "sub_1", "--json").json["secret"] == "whsec_y"


def delivery(state: str, *attempts: dict[str, Any], **more: object) -> dict[str, Any]:
    return {
        "id": "evt_1.sub_1",
        "event_id": "evt_1",
        "job": "wistia/1",
        "type": "job.failed",
        "state": state,
        "reason": None,
        "created_at": "2026-11-22T10:00:00Z",
        "next_attempt_at": None,
        "attempts": attempts,
        **more,
    }


@pytest.mark.parametrize(
    ("after", "code", "text"),
    [
        (delivery("delivered", {"status": 204, "error": None, "seconds": 0.01}), 0, "HTTP 204"),
        (delivery("pending", {"status": 500, "error": None, "seconds": 0.01}), 1, "HTTP 500"),
        (delivery("pending", {"status": None, "error": "refused", "seconds": 1}), 1, "refused\n"),
        (
            delivery("pending", {"status": None, "error": "timed out after 15 s", "seconds": 15}),
            1,
            "not delivered: timed out after 15 s\n",
        ),
        (delivery("canceled", reason="it is disabled"), 1, "it is disabled"),
        (delivery("pending"), 4, "doctor"),
    ],
)
def test_a_test_event_ends_as_its_first_attempt(
    stub: Stub, ringback: Run, monkeypatch, after: Any, *, code: int, text: str
):
    monkeypatch.setattr(subscriptions, "CHECK_EVERY", 0.01)
    stub.responds("POST /v1/subscriptions/sub_1/test", {"event_id": "evt_1"}, status=202)
    pages = [{"items": items, "next": None} for items in ([], [delivery("pending")], [after])]
    stub.responds("GET /v1/deliveries", *pages)
    ended = ringback("subscriptions", "test", "sub_1", "--timeout", "300ms")
    assert (ended.code, text in ended.out) == (code, True)
    ended = ringback("subscriptions", "test", "sub_1", "--json", "--timeout", "300ms")
    assert ended.json == {"event_id": "evt_1", "delivery": json.loads(json.dumps(after))}


def test_a_test_event_is_found_behind_newer_deliveries(stub: Stub, ringback: Run):
    stub.responds("POST /v1/subscriptions/sub_1/test", {"event_id": "evt_1"}, status=202)
    other = delivery("delivered") | {"event_id": "evt_2"}
    tested = delivery("delivered", {"status": 204, "error": None, "seconds": 0.01})
    pages = [([other], "a"), ([other], "b"), ([other], "c"), ([tested], None)]
    listed = [{"items": items, "next": following} for items, following in pages]
    stub.responds("GET /v1/deliveries", *listed)
    assert ringback("subscriptions", "test", "sub_1", "--timeout", "300ms").code == 0
    calls = [call for call, _ in stub.calls if call.startswith("GET")]
    assert [call.partition("cursor=")[2] for call in calls] == ["", "", "b", "c"]
    assert "limit=200" in calls[1]


def test_a_test_event_is_not_looked_for_behind_older_deliveries(
    stub: Stub, ringback: Run, monkeypatch
):
    monkeypatch.setattr(subscriptions, "CHECK_EVERY", 0.01)
    stub.responds("POST /v1/subscriptions/sub_1/test", {"event_id": "evt_1"}, status=202)
    newest = delivery("delivered") | {"event_id": "evt_2"}
    older = newest | {"created_at": "2026-11-22T09:59:59.9Z"}
    page = {"items": [newest, older], "next": "a"}
    stub.responds("GET /v1/deliveries", page)
    assert ringback("subscriptions", "test", "sub_1", "--timeout", "50ms").code == 4
    assert not [call for call, _ in stub.calls if "cursor" in call]


def test_a_test_event_of_a_paused_subscriber_says_until_when_and_does_not_wait(
    stub: Stub, ringback: Run
):
    stub.responds("POST /v1/subscriptions/sub_1/test", {"event_id": "evt_1"}, status=202)
    paused = delivery("pending", next_attempt_at="2026-11-22T10:10:00Z")
    stub.responds("GET /v1/deliveries", {"items": [paused], "next": None})
    ended = ringback("subscriptions", "test", "sub_1", "--timeout", "9m")
    assert ended.code == 4
    assert "paused until 2026-11-22T10:10:00Z" in ended.out
    assert "doctor" not in ended.out


SUBSCRIPTION = {"id": "sub_1", "url": "https://e.com", "events": [], "sources": []}


@pytest.mark.parametrize(("given", "body"), [("5/1s", "5/1s"), ("", None)])
def test_the_rate_of_a_subscription_can_be_set_and_cleared(
    stub: Stub, ringback: Run, given: str, body: str | None
):
    stub.responds("PATCH /v1/subscriptions/sub_1", SUBSCRIPTION)
    ringback("subscriptions", "set", "sub_1", "--concurrency", "1", "--rate", given)
    assert stub.calls == [("PATCH /v1/subscriptions/sub_1", {"concurrency": 1, "rate": body})]


@pytest.mark.parametrize(
    ("given", "body"),
    [
        (("--ordered",), {"ordered": True}),
        (("--no-ordered",), {"ordered": False}),
        (("--auto-disable",), {"auto_disable": True}),
        (("--no-auto-disable",), {"auto_disable": False}),
        (("--handshake",), {"handshake": True}),
        (("--no-handshake",), {"handshake": False}),
        (("--format", "cloudevents"), {"format": "cloudevents"}),
        (("--header", "X-A=1=2", "--header", "X-B=3"), {"headers": {"X-A": "1=2", "X-B": "3"}}),
        (("--header", ""), {"headers": {}}),
        (("--metadata", ""), {"metadata": {}}),
        (("--provider", "wistia"), {"providers": ["wistia"]}),
    ],
)
def test_only_the_given_settings_of_a_subscription_are_changed(
    stub: Stub, ringback: Run, given: tuple[str, ...], body: dict[str, object]
):
    stub.responds("PATCH /v1/subscriptions/sub_1", SUBSCRIPTION)
    ringback("subscriptions", "set", "sub_1", *given)
    assert stub.calls == [("PATCH /v1/subscriptions/sub_1", body)]


def test_a_header_without_a_value_is_refused_before_any_call(stub: Stub, ringback: Run):
    ended = ringback("subscriptions", "set", "sub_1", "--header", "X-A")
    assert (ended.code, stub.calls) == (2, [])
    assert "--header X-A: write it as NAME=VALUE" in ended.err


def test_a_subscription_can_be_changed_and_enabled(stub: Stub, ringback: Run):
    stub.responds("PATCH /v1/subscriptions/sub_1", SUBSCRIPTION)
    stub.responds("POST /v1/subscriptions/sub_1/enable", SUBSCRIPTION)
    given = "--to", "https://e.com", "--event", "job.failed", "--source", "", "--metadata", "a=1"
    assert "https://e.com" in ringback("subscriptions", "set", "sub_1", *given).out
    body = {"url": "https://e.com", "events": ["job.failed"], "sources": [], "metadata": {"a": 1}}
    assert stub.calls[0] == ("PATCH /v1/subscriptions/sub_1", body)
    assert ringback("subscriptions", "enable", "sub_1", "--json").json == SUBSCRIPTION


def test_a_replay_continues_to_its_end(stub: Stub, ringback: Run):
    done = {"queued": 2, "pending": 1, "delivered_before": 0, "gone": 3, "oldest": "2026"}
    where = "POST /v1/subscriptions/sub_1/replay"
    stub.responds(where, done | {"next": "c1"}, done | {"oldest": None, "next": None})
    ended = ringback("subscriptions", "replay", "sub_1", "--since", "24h", "--failed")
    assert ended.out == "4 queued, 2 pending already, 0 delivered before, 6 gone\n"
    assert "2026" in ended.err
    body = {"since": "24h", "state": "failed"}
    assert stub.calls == [(where, body), (where, {"state": "failed", "after": "c1"})]


def test_deliveries_are_listed_and_retried(stub: Stub, ringback: Run):
    tried = {"status": 503, "error": None}, {"status": None, "error": "refused"}
    item = delivery("pending", *tried, next_attempt_at="2027")
    stub.responds("GET /v1/deliveries", {"items": [item], "next": None})
    row = ringback("deliveries", "list", "sub_1", "--state", "failed").out.splitlines()[1]
    assert row.split() == [
        *(
            "evt_1.sub_1",
            "wistia/1",
            "job.failed",
            "pending",
            "2",
            "refused",
            "2027",
            "2026-11-22T10:00:00Z",
        )
    ]
    stub.responds("POST /v1/deliveries/evt_1.sub_1/retry", {"id": "evt_1.sub_1"}, status=202)
    assert "due" in ringback("deliveries", "retry", "evt_1.sub_1").out


def test_subscriptions_are_listed(stub: Stub, ringback: Run):
    item = {
        "id": "sub_1",
        "url": "https://e.com",
        "events": ["job.completed"],
        "sources": [],
        "read_only": True,
    }
    stub.responds("GET /v1/subscriptions", {"items": [item], "next": None})
    row = ringback("subscriptions", "list").out.splitlines()[1]
    assert row.split() == ["sub_1", "https://e.com", "job.completed", "all", "file", "-"]


def test_sources_are_listed_with_their_hooks(stub: Stub, ringback: Run):
    source = {"name": "clips", "provider": "wistia", "push": "/hooks/clips", "poll": True}
    source |= {"scheme": "hmac-sha256", "trust": "event"}
    last = {"at": "2026-11-22T10:00:00Z", "job": "1", "error": "HTTP 502: bad gateway"}
    source |= {"push_loss": {"jobs": 96, "share": 0.31, "poll_first": True}}
    learnt = {"kind": "media", "jobs": 134, "median": 61.23, "shortest": 40.0, "first_poll": 38.0}
    rest = {"mirror": [], "stalled": "401", "poll_error": last, "learnt": [learnt]}
    rest |= {"failing_polls": 3}
    page = {"items": [{**source, **rest}], "next": None}
    stub.responds("GET /v1/sources", page)
    row = re.split(r"\s{2,}", ringback("sources").out.splitlines()[1])
    assert row[:6] == ["clips", "wistia", "/hooks/clips", "hmac-sha256", "event", "yes"]
    error = f"{last['at']} 1: HTTP 502: bad gateway"
    assert row[6:] == ["31% of 96, poll-first", "401", "3", error]
    last_row = ringback("sources").out.splitlines()[-1].split()
    assert last_row == ["clips", "media", "134", "61.2s", "40.0s", "38.0s"]
    assert ringback("sources", "--json").json == page


def test_doctor_prints_why_the_server_is_not_ready(stub: Stub, ringback: Run):
    stub.responds("GET /healthz", {"alive": True})
    stub.responds("GET /readyz", {"ready": False, "lacks": ["no worker beats"]}, status=503)
    stub.responds("GET /v1/sources", {"items": [], "next": None})
    ended = ringback("doctor", "--json")
    found = {check["name"]: check for check in ended.json["checks"]}
    assert (ended.code, ended.json["ok"]) == (5, False)
    assert found["ready"]["detail"] == "Not ready: no worker beats"
    assert found["sources"]["ok"]


def test_doctor_succeeds_with_a_healthy_server(stub: Stub, ringback: Run):
    for path in ("/healthz", "/readyz", "/v1/sources"):
        stub.responds(f"GET {path}", {"items": [{"name": "clips", "stalled": None}]})
    assert ringback("doctor").code == 0


def test_doctor_names_a_stalled_source(stub: Stub, ringback: Run):
    for path in ("/healthz", "/readyz", "/v1/sources"):
        stub.responds(f"GET {path}", {"items": [{"name": "clips", "stalled": "401 Unauthorized"}]})
    ended = ringback("doctor")
    assert ended.code == 2
    assert "clips refuses polls: check its `token` (401 Unauthorized)" in ended.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("watch", "wistia", "1", "--metadata", "order"),
        ("watch", "wistia", "1", "--param", "a"),
        ("wait", "wistia", "1", "--timeout", "soon"),
        ("wait", "wistia", "1", "--timeout", ""),
        ("wait", "wistia"),
        ("nonsense",),
        ("jobs", "--limit", "0"),
    ],
)
def test_wrong_usage_ends_with_2_without_any_call(
    stub: Stub, ringback: Run, arguments: tuple[str, ...]
):
    assert ringback(*arguments).code == 2
    assert stub.calls == []


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["--json", "jobs", "--state", "x"], ["jobs", "--json", "--state", "x"]),
        (["--url", "u", "--key=k", "wait", "s", "1"], ["wait", "--url", "u", "--key=k", "s", "1"]),
        (["--help"], ["--help"]),
        (["--json", "--source", "s"], ["--json", "--source", "s"]),
        (["jobs"], ["jobs"]),
        ([], []),
    ],
)
def test_shared_options_may_come_before_the_command(given: list[str], meant: list[str]):
    assert move_shared_options(given) == meant


def test_shared_options_reach_a_command_of_a_group(stub: Stub, ringback: Run):
    stub.responds("GET /v1/subscriptions", {"items": [], "next": None})
    assert ringback("--json", "subscriptions", "list").json == {"items": [], "next": None}


def test_progress_bars_are_drawn_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    with progress.progress_display(silent=False) as show:
        show("s/[bold]1", job("1", "queued"))
        show("s/[bold]1", job("1", "running", progress=0.4))
        show("s/[bold]1", job("1", "succeeded", partial=True))
    last = next(line for line in reversed(capsys.readouterr().out.splitlines()) if "100%" in line)
    assert "s/[bold]1" in last
    assert "succeeded · some parts failed" in last


def test_following_from_the_oldest_event_continues_after_it(stub: Stub, ringback: Run, monkeypatch):
    event = {"id": "evt_1", "type": "job.started", "timestamp": "t", "data": {}}
    stub.responds("GET /v1/events", {"items": [event], "next": "c1"})
    monkeypatch.setattr(events, "stream", lambda *called: iter([Message(called[1], "gap", "")]))
    ended = ringback("events", "--follow", "--oldest", "--json")
    assert [json.loads(line)["type"] for line in ended.out.splitlines()] == ["job.started", "gap"]
    assert json.loads(ended.out.splitlines()[1])["cursor"] == "c1"
    assert stub.calls == [("GET /v1/events?limit=1", None)]


def test_following_ends_quietly_once_nobody_reads(stub: Stub):
    stub.streams(": ping\n\n")
    argv = [sys.executable, "-m", "processor.cli", "events", "--follow", "--url", stub.url]
    running = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    running.stdout.close()
    errors = running.stderr.read()
    running.stderr.close()
    assert (running.wait(60), errors) == (128 + signal.SIGPIPE, "")


def test_failed_polls_are_shown_while_a_job_is_watched():
    poll = {"failures": 3, "last_error": "HTTP 502: bad gateway", "next_at": None, "interval": 5}
    text = progress.describe(job("1", "running", poll=poll))
    assert text == "running · 3 failed polls: HTTP 502: bad gateway"


def test_one_job_is_polled_now(stub: Stub, ringback: Run):
    stub.responds("POST /v1/jobs/clips/1/poll", {"asked": True}, status=202)
    assert ringback("jobs", "poll", "clips", "1").out == "clips 1 is polled now\n"


def test_all_jobs_of_a_source_are_polled(stub: Stub, ringback: Run):
    stub.responds("POST /v1/jobs/poll", {"asked": 7}, status=202)
    assert ringback("jobs", "poll", "--source", "clips", "--all").out == "7 jobs are polled\n"
    assert stub.calls[-1][1] == {"source": "clips"}


@pytest.mark.parametrize(
    "words", [(), ("clips",), ("clips", "1", "--all"), ("clips", "1", "--state", "running")]
)
def test_polling_needs_one_job_or_all(stub: Stub, ringback: Run, words: tuple[str, ...]):
    assert ringback("jobs", "poll", *words).code == 2
    assert stub.calls == []


def test_all_deliveries_of_a_subscription_are_retried(stub: Stub, ringback: Run):
    done = {"queued": 2, "pending": 0, "delivered_before": 0, "gone": 1}
    stub.responds("POST /v1/deliveries/retry", {"due": 10_000}, {"due": 5}, status=202)
    replay = done | {"oldest": None, "next": None}
    stub.responds("POST /v1/subscriptions/sub_1/replay", replay, status=202)
    ended = ringback("deliveries", "retry", "--all", "--subscription", "sub_1")
    assert ended.out.startswith("due now: 10005; failed before and enqueued again: 2; no longer")
    assert stub.calls[-1][1] == {"since": "7d", "state": "failed"}


@pytest.mark.parametrize("words", [(), ("--all",), ("--subscription", "s"), ("x", "--all")])
def test_a_retry_names_one_delivery_or_all_of_a_subscription(
    stub: Stub, ringback: Run, words: tuple[str, ...]
):
    assert (ringback("deliveries", "retry", *words).code, stub.calls) == (2, [])


def test_a_change_without_a_setting_is_refused_before_any_call(stub: Stub, ringback: Run):
    ended = ringback("subscriptions", "set", "sub_1")
    assert (ended.code, stub.calls, "--to" in ended.err) == (2, [], True)


def test_a_delivered_event_can_be_sent_again(stub: Stub, ringback: Run):
    stub.responds("POST /v1/deliveries/evt_1.sub_1/retry", {"id": "evt_1.sub_1"}, status=202)
    assert ringback("deliveries", "retry", "evt_1.sub_1", "--again").code == 0
    assert stub.calls[0][1] == {"again": True}


def test_a_server_that_does_not_answer_in_time_is_not_started_again(ringback: Run, monkeypatch):
    monkeypatch.setattr(client.Client.__init__, "__defaults__", (None, 0.01))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        ended = ringback("jobs", "--url", url)
    assert (ended.code, "ringback up" in ended.err, "ringback doctor" in ended.err) == (
        5,
        False,
        True,
    )
