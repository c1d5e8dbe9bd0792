"""The commands that need no server: help, version, config, inspect, doctor."""

import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor import durations
from processor.cli import main, output, sse
from processor.cli.processes import argv, environment

SECRET = "the-secret-typed-in-at-wistia"
EVENT = {
    "uuid": "09e6729eecb3a000",
    "type": "media.ready",
    "generated_at": "2024-03-30T15:10:13Z",
    "metadata": {"account_id": "8lq25o0p9c"},
    "payload": {"media": {"id": "l9dqljgtfy", "name": "Lenny Eating Peanuts"}},
}
PUSH = json.dumps({"hook": {"uuid": "bb812395"}, "events": [EVENT]}).encode()
TYPE = {"Content-Type": "application/json"}
COMMANDS = [
    "up",
    "web",
    "worker",
    "clock",
    "demo",
    "watch",
    "wait",
    "jobs",
    "history",
    "events",
    "subscriptions",
    "sources",
    "sources register",
    "providers",
    "providers check",
    "providers new",
    "config",
    "doctor",
    "inspect",
]


@pytest.fixture
def ringback(capsys, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    for name in ("RINGBACK_CONFIG", "RINGBACK_URL", "REDIS_URL", "PORT", "RINGBACK_HOST"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return ended.value.code or 0, *capsys.readouterr()

    return run


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    file = tmp_path / "ringback.toml"
    file.write_text(
        f'[sources.clips]\nprovider = "wistia"\ntoken = "t0ken"\nwebhook_secret = "{SECRET}"\n'
        '[sources.skies]\nprovider = "bluesky"\n'
    )
    return file


@pytest.fixture
def captured(tmp_path: Path) -> tuple[str, ...]:
    signature = hmac.new(SECRET.encode(), PUSH, "sha256").hexdigest()
    (tmp_path / "headers.json").write_text(json.dumps({**TYPE, "X-Wistia-Signature": signature}))
    (tmp_path / "body").write_bytes(PUSH)
    return ("--headers", "headers.json", "--body", "body")


def test_the_help_lists_every_command(ringback: Run):
    code, out, _ = ringback("--help")
    assert code == 0
    assert [name for name in COMMANDS if f" {name.split()[0]} " not in out] == []


@pytest.mark.parametrize("command", [*COMMANDS, "subscriptions add"])
def test_every_command_has_help(ringback: Run, command: str):
    assert ringback(*command.split(), "--help")[0] == 0


@pytest.mark.parametrize(
    "command", sorted({*COMMANDS} - {"web", "worker", "clock", "subscriptions"})
)
def test_every_command_has_json(ringback: Run, command: str):
    assert "--json" in ringback(*command.split(), "--help")[1]


def test_the_version_is_printed(ringback: Run):
    code, out, _ = ringback("--version")
    assert (code, out.split()[0]) == (0, "ringback")


def test_config_redacts_every_secret(ringback: Run, configured: Path):
    for arguments in (("config",), ("config", "--json")):
        code, out, _ = ringback(*arguments)
        assert code == 0
        assert "clips" in out
        assert SECRET not in out
        assert "t0ken" not in out


@pytest.mark.parametrize("command", ["config", "up"])
def test_a_configuration_error_is_one_line(ringback: Run, tmp_path: Path, command: str):
    (tmp_path / "ringback.toml").write_text("[sources.x]\nprovider = 'nobody'\n")
    code, out, err = ringback(command)
    assert (code, out) == (2, "")
    [line] = err.splitlines()
    assert "sources.x.provider" in line


def test_a_genuine_push_is_verified_and_read(ringback: Run, configured: Path, captured):
    code, out, _ = ringback("inspect", "clips", *captured)
    found = json.loads(out)
    assert (code, found["verified"], found["reason"]) == (0, True, None)
    [update] = found["updates"]
    assert (update["id"], update["state"], update["status"]) == (
        "media:l9dqljgtfy",
        "succeeded",
        "media.ready",
    )
    assert update["error"] is None


def test_a_changed_push_is_not_verified(ringback: Run, configured: Path, captured, tmp_path: Path):
    (tmp_path / "body").write_bytes(PUSH + b" ")
    code, out, _ = ringback("inspect", "clips", *captured)
    found = json.loads(out)
    assert (code, found["verified"], found["updates"]) == (1, False, [])
    assert "X-Wistia-Signature" in found["reason"]


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("body", "more", "reason"),
    [
        (b"{", {}, "not JSON"),
        (b'{"events": [{"type": "media.ready", "payload": {"media": {}}}]}', {}, "/payload/media/"),
        (PUSH, {"content-type": "text/plain"}, "wistia pushes application/json, not text/plain"),
        (PUSH, {"content-type": ""}, "but this has no Content-Type"),
        (PUSH, {"content-encoding": "gzip"}, "Send the body uncompressed, as it was signed"),
        (PUSH + b" " * 1024 * 1024, {}, "A body has at most 1048576 bytes; send less"),
    ],
)
def test_a_verified_push_that_the_receiver_would_refuse_is_not_good(
    ringback: Run, tmp_path: Path, body: bytes, more: dict[str, str], reason: str
):
    code, found = inspected(ringback, tmp_path, body, more)
    assert (code, found["verified"]) == (1, True)
    assert reason in found["reason"]


def test_every_reason_for_a_refusal_is_named(ringback: Run, configured: Path, tmp_path: Path):
    more = {"content-encoding": "gzip", "content-type": "text/plain", "x-wistia-signature": "0"}
    code, found = inspected(ringback, tmp_path, PUSH, more)
    assert (code, found["verified"], found["reason"].count("; ")) == (1, False, 2)


def test_an_unreadable_push_is_good_if_its_provider_tolerates_no_refusal(
    ringback: Run, tmp_path: Path
):
    secret = "a-secret-of-at-least-some-length"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "acme.toml").write_text(
        '[push]\nid = "/id"\nstatus = "/s"\nlenient = true\n'
        '[push.verify]\nscheme = "hmac-sha256"\nheader = "x-wistia-signature"\n'
        '[states]\ndone = "succeeded"\n'
    )
    (tmp_path / "ringback.toml").write_text(
        f'providers = "mine"\n[sources.clips]\nprovider = "acme"\nwebhook_secret = "{secret}"\n'
    )
    code, found = inspected(ringback, tmp_path, b"{}", {}, secret)
    assert (code, found["verified"], found["reason"]) == (0, True, None)
    assert found["unreadable"]


def inspected(
    ringback: Run, folder: Path, body: bytes, more: dict[str, str], secret: str = SECRET
) -> tuple[int, dict[str, Any]]:
    """The exit code and verdict of `inspect` on a push with a genuine signature, unless in `more`."""
    signature = hmac.new(secret.encode(), body, "sha256").hexdigest()
    headers = {"content-type": "application/json", "x-wistia-signature": signature, **more}
    (folder / "h").write_text(json.dumps(headers))
    (folder / "b").write_bytes(body)
    code, out, err = ringback("inspect", "clips", "--headers", "h", "--body", "b", "--json")
    assert out, err
    return code, json.loads(out)


def test_the_text_output_is_indented_and_escapes_control_characters(
    ringback: Run, configured: Path, tmp_path: Path
):
    body = json.dumps({"events": [EVENT | {"uuid": "é\u202e\x9b"}]}).encode()
    signature = hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    (tmp_path / "h").write_text(json.dumps({**TYPE, "x-wistia-signature": signature}))
    (tmp_path / "b").write_bytes(body)
    code, out, _ = ringback("inspect", "clips", "--headers", "h", "--body", "b")
    assert (code, out.splitlines()[1]) == (0, '  "verified": true,')
    assert "é\\u202e\\u009b" in out
    assert json.loads(out)["updates"][0]["event_id"] == "é\u202e\x9b"
    _, line, _ = ringback("inspect", "clips", "--headers", "h", "--body", "b", "--json")
    assert (line.count("\n"), json.loads(line)) == (1, json.loads(out))


def test_inspect_counts_ignored_parts_and_leaves_out_fields_of_polls(
    ringback: Run, configured: Path, tmp_path: Path
):
    body = json.dumps({"events": [EVENT, EVENT | {"type": "project.created"}]}).encode()
    signature = hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    (tmp_path / "h").write_text(json.dumps({**TYPE, "x-wistia-signature": signature}))
    (tmp_path / "b").write_bytes(body)
    found = json.loads(ringback("inspect", "clips", "--headers", "h", "--body", "b")[1])
    assert (len(found["updates"]), found["ignored"]) == (1, 1)
    assert found["ignored_because"] == [
        "`/type` is `project.created`, which the profile's `about` does not list"
    ]
    assert not {"again", "reopens", "begun"} & {*found["updates"][0]}
    assert not {"echo", "confirm"} & {*found}


def test_a_challenge_is_shown(ringback: Run, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "acme.toml").write_text(
        '[push]\nid = "/id"\nstatus = "/s"\necho = { at = "/challenge", as = "challenge" }\n'
        '[states]\ndone = "succeeded"\n'
    )
    (tmp_path / "ringback.toml").write_text('providers = "mine"\n[sources.a]\nprovider = "acme"\n')
    (tmp_path / "h").write_text("{}")
    (tmp_path / "b").write_text('{"challenge": "c"}')
    found = json.loads(ringback("inspect", "a", "--headers", "h", "--body", "b")[1])
    assert (found["echo"], found["ignored"], found["updates"]) == ({"challenge": "c"}, 1, [])


@pytest.mark.parametrize(("more", "ok"), [(b"", True), (b"\n", False)])
def test_a_body_of_another_length_than_content_length_is_shown(
    ringback: Run, configured: Path, captured, tmp_path: Path, more: bytes, *, ok: bool
):
    headers = json.loads((tmp_path / "headers.json").read_text())
    headers["Content-Length"] = str(len(PUSH))
    (tmp_path / "headers.json").write_text(json.dumps(headers))
    (tmp_path / "body").write_bytes(PUSH + more)
    found = json.loads(ringback("inspect", "clips", *captured)[1])
    step = found["steps"][0]
    assert (step["name"], step["ok"], found["verified"]) == ("length", ok, ok)
    assert ok or f"the body has {len(PUSH) + 1} bytes, so the body was changed" in step["value"]
    assert ok or "or its body or time is not as it was sent" in found["reason"]


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://hooks.example.com", True),
        ("https://hooks.example.com", False),
        ("http://127.0.0.1:8080", False),
        ("http://[::1]:8080", False),
        ("http://localhost:8080", False),
    ],
)
def test_a_plain_http_hook_is_a_warning(ringback: Run, configured: Path, url: str, *, warned: bool):
    code, out, err = ringback("sources", "register", "clips", "--url", url)
    assert (code, bool(out)) == (0, True)
    assert ("give an https:// URL" in err) is warned


def test_the_age_is_checked_against_now(ringback: Run, tmp_path: Path):
    # The example of the Standard Webhooks libraries.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    (tmp_path / "ringback.toml").write_text(
        f'[sources.mine]\nprovider = "standard"\nwebhook_secret = "{secret}"\n'
    )
    stamp, body = "1614265330", b'{"id": "1", "status": "running"}'
    key = __import__("base64").b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, b"msg_1." + stamp.encode() + b"." + body, "sha256").digest()
    signature = "v1," + __import__("base64").b64encode(digest).decode()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": stamp,
        "webhook-signature": signature,
    } | TYPE
    (tmp_path / "h").write_text(json.dumps(headers))
    (tmp_path / "b").write_bytes(body)
    assert ringback("inspect", "mine", "--headers", "h", "--body", "b", "--now", stamp)[0] == 0
    code, out, _ = ringback("inspect", "mine", "--headers", "h", "--body", "b")
    assert code == 1
    assert "old" in json.loads(out)["reason"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("nobody", "--headers", "headers.json", "--body", "body"), "clips"),
        (("skies", "--headers", "headers.json", "--body", "body"), "does not push"),
        (("clips", "--headers", "body", "--body", "body"), "JSON object"),
        (("clips", "--headers", "missing", "--body", "body"), "missing"),
        (("clips", "--headers", "headers.json", "--body", "gone"), "gone"),
        (("clips", "--headers", "headers.json", "--body", "body", "--key", "k.pem"), "k.pem"),
    ],
)
def test_invalid_input_of_inspect_is_an_error_of_one_line(
    ringback: Run, configured: Path, captured, arguments: tuple[str, ...], named: str
):
    code, out, err = ringback("inspect", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert named in err


def test_doctor_names_missing_parts(ringback: Run, configured: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    code, out, _ = ringback("doctor", "--json", "--url", url)
    found = {check["name"]: check["ok"] for check in json.loads(out)["checks"]}
    assert code == 5
    assert found == {"configuration": True, "redis": True, "alive": False}


def test_doctor_does_not_call_ok_what_it_warns_of(
    ringback: Run, configured: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RINGBACK_SECRET", "whsec_x")
    _, out, _ = ringback("doctor", "--url", "http://127.0.0.1:1")
    (row,) = [line.split() for line in out.splitlines() if "RINGBACK_SECRET" in line]
    assert row[:2] == ["warning", "environment"]


def test_doctor_reports_the_configuration_first(ringback: Run, tmp_path: Path, monkeypatch):
    (tmp_path / "ringback.toml").write_text("sauces = 1")
    monkeypatch.setenv("REDIS_URL", "redis://user:pass@127.0.0.1:1/0")
    code, out, _ = ringback("doctor", "--url", "http://127.0.0.1:1")
    assert code == 2
    assert "pass" not in out
    assert "start that Redis" in out


def test_processes_find_the_checkout_from_any_folder(tmp_path: Path):
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "__main__.py").write_text("print('not ours')")
    (tmp_path / "workers" / "__init__.py").touch()
    environ = environment({}, RINGBACK_CONFIG=None, PORT="1")
    assert "RINGBACK_CONFIG" not in environ
    code = "import workers, processor; print(workers.__file__)"
    interpreter = argv("x")[:2]
    found = subprocess.run(
        [*interpreter, "-c", code],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert interpreter == (sys.executable, "-P")
    assert not found.stdout.startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("stream", "read"),
    [
        (b"data: a\ndata: b\n\n", [(None, "message", "a\nb")]),
        (b"id: 1\r\nevent: x\r\ndata:y\r\n\r\n", [("1", "x", "y")]),
        (b": ping\n\nretry: 3000\n\nevent: lost\n\n", []),
        (b"id: 1\ndata: a\n\ndata: b\n\n", [("1", "message", "a"), ("1", "message", "b")]),
        (b"data: unfinished\n", []),
        (b"data\n\n", [(None, "message", "")]),
        (b"id: 1\n\ndata: a\n\n", [("1", "message", "a")]),
        (b"id: 1\n\nid\ndata: a\n\n", [("", "message", "a")]),
        (b"id: 1\n\nid: 2\x00\ndata: a\n\n", [("1", "message", "a")]),
        (b"event: x\n\ndata: a\n\n", [(None, "message", "a")]),
        (b"event:\ndata: a\n\n", [(None, "message", "a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [(None, "message", "a")]),
        (b"id: 1\rdata: a\r\rdata: b\r\n\r\n", [("1", "message", "a"), ("1", "message", "b")]),
        (b"data: \xff\n\n", [(None, "message", "\ufffd")]),
    ],
)
def test_a_stream_is_parsed_as_the_standard_says(stream: bytes, read: list[tuple[object, ...]]):
    found = sse.Reader(stream.splitlines(keepends=True) if b"\r\r" not in stream else [stream])
    assert [(message.id, message.event, message.data) for message in found] == read


@pytest.mark.parametrize(
    ("stream", "last"),
    [
        (b"", "0"),
        (b"retry: 3000\nid: 1\n\n", "1"),
        (b"id: 1\n\nid: 2\n", "1"),
        (b"id: 1\ndata: a\n\nid: 2\n\n", "2"),
        (b"id: 1\n\nid:\n\n", ""),
        (b": ping\n\n", "0"),
    ],
)
def test_a_block_without_data_sets_the_id_to_resume_after(stream: bytes, last: str):
    reader = sse.Reader(stream.splitlines(keepends=True), "0")
    assert list(reader) is not None
    assert reader.last_id == last


def test_columns_are_as_wide_as_their_cells(capsys):
    output.table(("a", "long"), [("wider", None), (["x", "y"], [])])
    assert capsys.readouterr().out == "a      long\nwider  -\nx, y   -\n"


@pytest.mark.parametrize("words", ["", "jobs", "jobs show", "subscriptions", "inspect", "listen"])
def test_every_command_has_a_short_option_for_help(ringback, words: str):
    code, out, _ = ringback(*words.split(), "-h")
    assert code == 0
    assert out == ringback(*words.split(), "--help")[1]
    assert out.startswith(f"Usage: ringback {words}".rstrip())


def test_a_command_whose_reader_is_gone_ends_quietly(tmp_path: Path):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as nobody:
        ended = subprocess.run(
            [sys.executable, "-m", "processor.cli", "providers", "--json"],
            stdout=nobody,
            stderr=subprocess.PIPE,
            check=False,
            cwd=tmp_path,
        )
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, b"")


def test_config_prints_durations_and_what_is_not_set(ringback, configured: Path, monkeypatch):
    _, out, _ = ringback("config")
    lines = out.splitlines()
    assert 'lease = "30s"' in lines
    assert 'sources.clips.deadline = "3d"' in lines
    assert "# public_url is not set" in lines
    assert "# redis_url is not set: `ringback up` runs an embedded Redis" in lines
    assert "null" not in out
    settings = tomllib.loads(out)
    assert settings["keep"]["events_count"] == 1_000_000
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:6380/0")
    assert 'redis_url = "redis://127.0.0.1:6380/0"' in ringback("config")[1].splitlines()


@pytest.mark.parametrize("text", ["3d", "5h", "90s", "1.5s", "2m", "0s", "0.25s"])
def test_a_duration_is_written_as_it_is_read(text: str):
    assert durations.parse_duration(durations.write_duration(durations.parse_duration(text))) == (
        durations.parse_duration(text)
    )
