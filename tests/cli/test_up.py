"""`ringback up` with dummy processes and the real embedded Redis; then as real processes."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

from processor.cli import embedded_redis, listen_address, readiness, up
from processor.cli.child import StopOrder
from processor.errors import ConfigError

from .waiting import until

ROOT = Path(__file__).parents[2]

# A stand-in for each of our modules: the web answers /readyz, the others wait; all notes their end.
DUMMY = """
import http.server, os, signal, socket, sys
from processor.service.runtime.replaced_process import end_replaced_process
if os.environ.get("REFUSES") == NAME:
    sys.exit(2)
end_replaced_process()
story = os.environ["STORY"]
def note(word):
    with open(story, "a") as file:
        file.write(f"{word} {NAME} {os.getpid()}\\n")
def end(*_):
    note("ended")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
note("began")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *args):
        pass
if NAME == "web":
    assert os.environ["REDIS_URL"].startswith("unix://")
    where = (os.environ["RINGBACK_HOST"], int(os.environ["PORT"]))
    server = http.server.HTTPServer(where, Handler, bind_and_activate=False)
    server.socket = socket.socket(fileno=int(os.environ["LISTENING_SOCKETS"]))
    server.serve_forever()
signal.pause()
"""
UP = """
import sys
from processor.cli import main, up
from processor.cli.child import Command
def dummies(*arguments):
    real = processes(*arguments)
    return [
        Command(c.name, (sys.executable, "-c", f"NAME = {c.name!r}" + open(DUMMY).read()), c.environ, c.stop_order)
        for c in real
    ]
processes, up.processes = up.processes, dummies
main(["up", *sys.argv[1:]])
"""


class Up:
    """A `ringback up` in its own process."""

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        """Start `ringback up` in this folder; its standard error goes to the file `errors` there."""
        self.story = folder / "story"
        (folder / "dummy.py").write_text(DUMMY)
        clean = {
            n: v for n, v in os.environ.items() if not n.startswith(("RINGBACK_", "REDIS_", "PORT"))
        }
        self.errors = folder / "errors"
        code = f"DUMMY = {str(folder / 'dummy.py')!r}" + UP
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, "--port", "0", *arguments],
                cwd=folder,
                env={**clean, "PYTHONPATH": str(ROOT), "STORY": str(self.story), **environ},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def ready(self) -> str:
        return self.process.stdout.readline()

    def pids(self, word: str) -> dict[str, int]:
        """Give the processes that began or ended: name → pid, newest last."""
        lines = [line.split() for line in self.story.read_text().splitlines()]
        return {name: int(pid) for event, name, pid in lines if event == word}

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.process.stdout.close()
        return code


@pytest.fixture
def start(tmp_path: Path):
    running: list[Up] = []

    def begin(*arguments: str, **environ: str) -> Up:
        running.append(Up(tmp_path, *arguments, **environ))
        return running[-1]

    yield begin
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
        one.process.stdout.close()


Start = Callable[..., Up]


def test_up_prints_its_url_and_stops_all_processes(start: Start):
    one = start("--workers", "2")
    assert one.ready().startswith("Ringback is ready at http://127.0.0.1:")
    until(lambda: one.pids("began").keys() == {"web", "worker-1", "worker-2", "clock"})
    assert one.end() == 0
    assert one.pids("ended").keys() == {"web", "worker-1", "worker-2", "clock"}
    none, made = one.errors.read_text().splitlines()
    assert none == "no ringback.toml in this folder: running without sources"
    assert made.startswith("made an API key, which is kept in ")


def test_a_slow_start_is_not_told_to_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(readiness, "SLOW", -1.0)
    port = listen_address.free_port("127.0.0.1", 0)
    assert not readiness.Readiness(f"http://127.0.0.1:{port}", "a key", json=False).check()
    told = "not ready yet: the receiver does not answer (Connection refused)\n"
    assert capsys.readouterr() == ("", told)


def test_the_second_start_uses_the_key_of_the_first(start: Start, tmp_path: Path):
    first = start()
    first.ready()
    key = (tmp_path / ".ringback" / "key").read_text().strip()
    assert first.errors.read_text().count(key) == 1
    assert first.end() == 0
    second = start()
    second.ready()
    assert second.errors.read_text().count(key) == 0
    until(lambda: "web" in second.pids("began"))
    web = second.pids("began")["web"]
    assert f"RINGBACK_API_KEYS={key}".encode() in Path(f"/proc/{web}/environ").read_bytes()


def test_a_key_file_that_others_may_read_is_refused(start: Start, tmp_path: Path):
    data = tmp_path / ".ringback"
    data.mkdir(0o700)
    (data / "key").write_text("k" * 43)
    (data / "key").chmod(0o644)
    one = start()
    assert one.process.wait(30) == 2
    line = one.errors.read_text().splitlines()[-1]
    assert f"{data / 'key'}: others may read or write it" in line
    assert "kkk" not in line
    other = start("--json", RINGBACK_API_KEYS="its-own")  # then no file is looked at
    assert "ready" in other.ready()
    assert (data / "key").read_text() == "k" * 43


def test_ready_as_json_is_the_only_thing_on_standard_output(start: Start):
    one = start("--json")
    url = json.loads(one.ready())["ready"]
    assert url.startswith("http://127.0.0.1:")
    one.process.send_signal(signal.SIGINT)
    assert one.process.wait(30) == 0
    assert one.process.stdout.read() == ""


def test_killed_processes_are_restarted_redis_too(start: Start, tmp_path: Path):
    one = start()
    one.ready()
    until(lambda: len(one.pids("began")) == 4)
    first = one.pids("began")["worker-2"]
    os.kill(first, signal.SIGKILL)
    until(lambda: one.pids("began")["worker-2"] != first)
    where = tmp_path / ".ringback" / "run" / "redis.sock"
    assert embedded_redis.ping(where) == "+PONG"
    [pid] = [int(line.split()[1]) for line in children(one.process.pid) if "redis" in line]
    os.kill(pid, signal.SIGKILL)
    until(lambda: "redis ended (SIGKILL)" in one.errors.read_text())
    until(lambda: embedded_redis.ping(where) == "+PONG")
    assert "worker-2 ended (SIGKILL); restarts in 0.2 s\n" in one.errors.read_text()
    assert one.end() == 0


def test_up_goes_on_when_nobody_reads_its_log_any_more(start: Start, tmp_path: Path):
    """As `ringback up 2>&1 | tee log`, whose `tee` was killed."""
    os.mkfifo(tmp_path / "errors")
    reader = os.open(tmp_path / "errors", os.O_RDWR)
    one = start()
    one.ready()
    until(lambda: len(one.pids("began")) == 4)
    os.close(reader)
    first = one.pids("began")["clock"]
    os.kill(first, signal.SIGKILL)  # there is something to say
    until(lambda: one.pids("began")["clock"] != first)
    assert one.end() == 0


def test_redis_goes_first_and_also_before_a_process_that_was_started_again(start: Start):
    one = start("--workers", "1")
    one.ready()
    until(lambda: len(one.pids("began")) == 3)
    ours = os.getpriority(os.PRIO_PROCESS, 0)

    def given_way() -> dict[str, int]:
        return {n: os.getpriority(os.PRIO_PROCESS, p) - ours for n, p in one.pids("began").items()}

    assert given_way() == dict.fromkeys(("web", "worker-1", "clock"), up.BELOW_REDIS)
    [redis] = [int(line.split()[1]) for line in children(one.process.pid) if "redis" in line]
    assert os.getpriority(os.PRIO_PROCESS, redis) == ours
    first = one.pids("began")["web"]
    os.kill(first, signal.SIGKILL)
    until(lambda: one.pids("began")["web"] != first)
    assert given_way()["web"] == up.BELOW_REDIS
    assert one.end() == 0


def test_processes_with_a_redis_of_their_own_keep_their_priority(start: Start, redis_url: str):
    one = start("--workers", "1", REDIS_URL=redis_url)
    one.ready()
    until(lambda: len(one.pids("began")) == 3)
    assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in one.pids("began").values()} == {
        os.getpriority(os.PRIO_PROCESS, 0)
    }
    assert one.end() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can bind a child to its parent")
def test_no_process_outlives_a_killed_up_and_the_next_up_starts(start: Start, tmp_path: Path):
    one = start()
    one.ready()
    until(lambda: len(one.pids("began")) == 4)
    one.process.kill()
    until(lambda: embedded_redis.ping(tmp_path / ".ringback" / "run" / "redis.sock") == "")
    other = start()
    assert other.ready().startswith("Ringback is ready")
    assert other.end() == 0


def test_a_data_folder_has_only_one_instance(start: Start):
    start().ready()
    second = start()
    assert second.process.wait(30) == 2
    assert second.errors.read_text().splitlines()[-1].endswith("or give --data another folder")


def test_a_port_in_use_is_an_error_of_one_line(start: Start, tmp_path: Path):
    config = tmp_path / "ringback.toml"
    config.touch()
    with socket.create_server(("127.0.0.1", 0)) as busy:
        one = start("--port", str(busy.getsockname()[1]))
        assert one.process.wait(30) == 2
    [line] = one.errors.read_text().splitlines()
    assert "give another --port" in line


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (["--host", "0.0.0.0"], {}),  # noqa: S104 - refused, never bound for long
        ([], {"RINGBACK_PUBLIC_URL": "https://ringback.example.com"}),
        (["--host", "0.0.0.0"], {"RINGBACK_API_KEYS": " , "}),  # noqa: S104 - see above
    ],
    ids=str,
)
def test_a_public_server_needs_api_keys(start: Start, arguments: list[str], environ):
    one = start(*arguments, **environ)
    assert one.process.wait(30) == 2
    assert "RINGBACK_API_KEYS" in one.errors.read_text()


def test_a_missing_config_file_is_an_error(start: Start):
    one = start("--config", "not-there.toml")
    assert one.process.wait(30) == 2
    [line] = one.errors.read_text().splitlines()
    assert "not-there.toml" in line


def test_a_process_that_refuses_its_configuration_stops_up(start: Start):
    one = start(REFUSES="clock")
    assert one.process.wait(30) == 2
    assert "clock refuses its configuration: see its message above" in one.errors.read_text()


def test_a_signal_replaces_each_process_and_no_connection_is_refused(start: Start, tmp_path: Path):
    config = tmp_path / "ringback.toml"
    config.write_text("")
    one = start()
    url = one.ready().split()[-1].removeprefix("http://")
    until(lambda: len(one.pids("began")) == 4)
    before = one.pids("began")
    one.process.send_signal(signal.SIGUSR1)
    answered = 0
    while set(one.pids("ended").items()) < set(before.items()):
        connection = HTTPConnection(url, timeout=20)
        with suppress(ConnectionResetError):  # the dummy drops what it has begun
            connection.request("GET", "/healthz")
            answered += connection.getresponse().status == 200
        connection.close()
    assert answered
    until(lambda: not set(one.pids("began").items()) & set(before.items()))
    after = one.pids("began")
    assert set(after) == set(before)
    assert one.process.poll() is None
    config.write_text("[sources.x]\nprovider = 'nobody'\n")
    one.process.send_signal(signal.SIGUSR1)
    until(lambda: "not reloaded" in one.errors.read_text())
    assert "nobody" in one.errors.read_text()
    assert one.pids("began") == after
    assert one.end() == 0


def test_the_processes_are_started_by_module():
    commands = up.processes({}, "127.0.0.1", 8080, 3)
    assert [(c.name, c.argv[3]) for c in commands] == [
        ("web", "processor.web"),
        ("worker-1", "workers"),
        ("worker-2", "workers"),
        ("worker-3", "workers"),
        ("clock", "workers.clock"),
    ]
    assert {c.stop_order for c in commands} == {StopOrder.WORK}
    assert commands[0].argv[4:] == ("--host", "127.0.0.1", "--port", "8080")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),  # noqa: S104 - read, not bound
        ("::", "http://[::1]:1"),
    ],
)
def test_the_url_can_be_reached_from_this_machine(host: str, url: str):
    assert listen_address.url(host, 1) == url


def test_an_address_of_another_machine_cannot_be_listened_on():
    with pytest.raises(
        ConfigError, match=r"cannot listen on .*: correct --host \(RINGBACK_HOST\)$"
    ):
        listen_address.free_port("192.0.2.1", 8080)


def test_a_port_that_is_taken_needs_another_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=r"cannot listen on .*: give another --port"):
            listen_address.free_port("127.0.0.1", port)


def children(pid: int) -> list[str]:
    """`ppid pid command` of every child."""
    ps = ["/bin/ps", "-eo", "ppid,pid,comm"]
    rows = subprocess.run(ps, capture_output=True, text=True, check=True)
    return [row for row in rows.stdout.splitlines() if row.split()[0] == str(pid)]


@pytest.mark.acceptance
def test_the_real_processes_get_ready_and_answer(tmp_path: Path):
    environ = {
        n: v for n, v in os.environ.items() if not n.startswith(("RINGBACK_", "REDIS_", "PORT"))
    }
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "processor.cli", "up", "--json", "--port", "0"],
            cwd=tmp_path,
            env={**environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    with process:
        url = json.loads(process.stdout.readline())["ready"]
        key = (tmp_path / ".ringback" / "key").read_text().strip()
        for path, headers, status in (
            ("/healthz", {}, 200),
            ("/v1/jobs", {}, 401),
            ("/v1/jobs", {"Authorization": f"Bearer {key}"}, 200),
        ):
            connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
            connection.request("GET", path, headers=headers)
            assert connection.getresponse().status == status
            connection.close()
        process.terminate()
        assert process.wait(30) == 0
    assert "redis_misconfigured" not in (tmp_path / "errors").read_text()


ODD = "c#/x y%41?&=ü;'"
"""A folder whose name has special characters of URLs, TOML and shells."""

PROFILE = '[push]\nid = "/id"\nstatus = "/s"\n[states]\ndone = "succeeded"\n'


@pytest.mark.acceptance
def test_a_data_folder_may_have_any_name(tmp_path: Path):
    folder = tmp_path / ODD
    (folder / "p#?").mkdir(parents=True)
    (folder / "p#?" / "own.toml").write_text(PROFILE)
    config = folder / "ring#back?.toml"
    config.write_text('providers = "p#?"\n[sources.a]\nprovider = "own"\ntrack = "all"\n')
    clean = {
        n: v for n, v in os.environ.items() if not n.startswith(("RINGBACK_", "REDIS_", "PORT"))
    }
    environ = {**clean, "PYTHONPATH": str(ROOT), "RINGBACK_CONFIG": str(config)}
    command = [sys.executable, "-m", "processor.cli"]
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(
            [*command, "up", "--json", "--port", "0", "--data", ODD],
            cwd=tmp_path,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    with process:
        try:
            url = json.loads(process.stdout.readline())["ready"]
            connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/hooks/a", b'{"id": "j", "s": "done"}', headers)
            assert connection.getresponse().status == 202
            connection.close()
            for words in (["wait", "a", "j", "--timeout", "20"], ["doctor"]):
                ended = subprocess.run(
                    [*command, *words, "--url", url, "--data", ODD],
                    cwd=tmp_path,
                    env=environ,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert ended.returncode == 0, ended
        finally:
            process.terminate()
            assert process.wait(30) == 0
