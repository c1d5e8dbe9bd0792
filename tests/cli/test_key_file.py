"""The key file of `ringback up`: who may read it, and which key a command sends."""

import os
import re
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from processor.cli import key_file, up
from processor.cli.credentials import is_loopback, key_for
from processor.cli.exit_codes import CommandError
from processor.config import Settings, load
from processor.errors import ConfigError

GOOD = "k" * 43
HERE = "http://127.0.0.1:8080"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "key"


def write_key(path: Path, text: str = f"{GOOD}\n", mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


# --- making ---------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_only_the_owner_can_read_the_key_file(path: Path, umask: int):
    before = os.umask(umask)
    try:
        key = key_file.make(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", key or "")  # 32 bytes
    assert key_file.read(path) == key


def test_the_key_file_is_made_once(path: Path):
    first = key_file.make(path)
    assert key_file.make(path) is None
    assert key_file.read(path) == first


def test_of_two_concurrent_starts_only_one_makes_the_key_file(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        for round_ in range(50):
            path = tmp_path / f"key{round_}"
            made = [key for key in pool.map(key_file.make, [path] * 8) if key]
            assert made == [key_file.read(path)]


def test_every_key_is_different(tmp_path: Path):
    assert len({key_file.make(tmp_path / str(number)) for number in range(100)}) == 100


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match="--data"):
        key_file.make(tmp_path / "missing" / "key")


# --- reading --------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [GOOD, f"{GOOD}\n", "0123456789abcdef" * 4 + "\n"])
def test_a_key_of_the_user_is_accepted(path: Path, text: str):
    assert key_file.read(write_key(path, text)) == text.strip()


def test_without_a_file_there_is_no_key(tmp_path: Path):
    assert key_file.read(tmp_path / "missing" / "key") is None
    (tmp_path / "file").touch()
    assert key_file.read(tmp_path / "file" / "key") is None


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o620, 0o602, 0o660, 0o666, 0o610, 0o777])
def test_a_file_that_others_may_read_or_write_is_refused(path: Path, mode: int):
    with pytest.raises(ConfigError, match=rf"{path}: .*mode {mode:o}.*delete it"):
        key_file.read(write_key(path, mode=mode))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        " \n",
        "short\n",
        "k" * 31,
        "k" * 129,
        f"{GOOD}\n\n",
        f"{GOOD}\r\n",
        f" {GOOD}",
        f"{GOOD},{GOOD}\n",
        f"env:{GOOD}\n",
        f"{GOOD[:-1]}ü\n",
        f"{GOOD}\x00",
        f"Bearer {GOOD}\n",
        GOOD * 100,
    ],
)
def test_an_invalid_key_is_refused_and_not_shown(path: Path, text: str):
    with pytest.raises(ConfigError, match="delete it") as refused:
        key_file.read(write_key(path, text))
    assert GOOD not in str(refused.value)
    assert str(path) in str(refused.value)


def test_bytes_that_are_not_text_are_refused(path: Path):
    path.write_bytes(b"\xff" * 43)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="does not hold an API key"):
        key_file.read(path)


def test_a_symbolic_link_is_refused(path: Path, tmp_path: Path):
    write_key(tmp_path / "other")
    for target in ("other", "nowhere", "key"):
        path.symlink_to(tmp_path / target)
        with pytest.raises(ConfigError, match="symbolic link"):
            key_file.read(path)
        assert key_file.make(path) is None
        path.unlink()
    assert not (tmp_path / "nowhere").exists()


def test_a_pipe_or_folder_is_refused_without_blocking(path: Path):
    path.mkdir(0o700)
    with pytest.raises(ConfigError, match="not a regular file"):
        key_file.read(path)
    path.rmdir()
    os.mkfifo(path, 0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        key_file.read(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(path: Path):
    os.chown(write_key(path), 12345, -1)
    with pytest.raises(ConfigError, match="belongs to another user"):
        key_file.read(path)


# --- in `up` ------------------------------------------------------------------------------------


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Settings]:
    monkeypatch.chdir(tmp_path)
    return lambda **environ: load(None, environ)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_up_makes_and_prints_the_key_once(settings_of, tmp_path: Path, capsys, host: str):
    settings = settings_of(RINGBACK_HOST=host)
    key = up.local_key(settings, tmp_path)
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count(key)) == ("", 1)
    assert str(tmp_path / "key") in printed.err
    assert up.local_key(settings, tmp_path) == key
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "environ",
    [
        {"RINGBACK_HOST": "0.0.0.0"},  # noqa: S104 - this must be refused
        {"RINGBACK_HOST": "::"},
        {"RINGBACK_HOST": "ringback.internal"},
        {"RINGBACK_HOST": "10.0.0.1"},
        {"RINGBACK_PUBLIC_URL": "https://ringback.example.com"},
    ],
    ids=str,
)
def test_a_public_server_needs_api_keys(settings_of, tmp_path: Path, environ):
    with pytest.raises(ConfigError, match="RINGBACK_API_KEYS"):
        up.local_key(settings_of(**environ), tmp_path)
    assert not (tmp_path / "key").exists()


def test_only_the_web_gets_the_key():
    commands = up.processes({"A": "b"}, "127.0.0.1", 1, 2, GOOD)
    given = {c.name: c.environ.get("RINGBACK_API_KEYS") for c in commands}
    assert given == {"web": GOOD, "worker-1": None, "worker-2": None, "clock": None}
    assert not any(GOOD in word for c in commands for word in c.argv)  # everybody sees those


@pytest.mark.parametrize(
    ("text", "keys"),
    [("", ()), (" ", ()), (" , ,", ()), ("a, b", ("a", "b")), (" a ,", ("a",))],
)
def test_blanks_around_a_key_are_ignored(settings_of, text: str, keys: tuple[str, ...]):
    assert settings_of(RINGBACK_API_KEYS=text).api_keys == keys


def test_an_empty_setting_of_keys_is_an_error(settings_of):
    """Otherwise `up` would make a key although the operator meant to set one."""
    with pytest.raises(ConfigError, match=r"RINGBACK_API_KEYS.*env:MISSING"):
        settings_of(RINGBACK_API_KEYS="env:MISSING")
    assert settings_of(RINGBACK_API_KEYS="env:MISSING,env:A", A="a").api_keys == ("a",)


# --- which key a command sends ----------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        HERE,
        "127.0.0.1:8080",
        "http://localhost:8080/prefix",
        "http://LOCALHOST",
        "https://[::1]:443",
        "http://127.9.9.9",
    ],
)
def test_the_key_file_is_read_for_a_server_on_this_machine(tmp_path: Path, url: str):
    write_key(tmp_path / "key")
    assert key_for(url, None, tmp_path) == GOOD


@pytest.mark.parametrize(
    "url",
    [
        "https://ringback.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@example.com",
        "http://localhost:80@example.com/",
        "http://example.com/127.0.0.1",
        "http://example.com#@127.0.0.1",
        "http://example.com?@127.0.0.1",
        "http://app.localhost",
        "http://localhost.",
        "http://0.0.0.0",
        "http://10.0.0.1",
        "http://[::2]",
        "http://[::1",
        "http://2130706433",
        "http://127.1",
        "",
    ],
)
def test_the_key_file_is_not_read_for_another_server(tmp_path: Path, url: str):
    write_key(tmp_path / "key")
    assert not is_loopback(url)
    assert key_for(url, None, tmp_path) is None
    assert key_for(url, "given", tmp_path) == "given"


def test_with_a_given_key_no_file_is_read(tmp_path: Path):
    write_key(tmp_path / "key", "garbage", 0o644)
    assert key_for(HERE, " given\n", tmp_path) == "given"
    for blank in (None, "", "  "):
        with pytest.raises(ConfigError, match="others may read"):
            key_for(HERE, blank, tmp_path)
    with pytest.raises(CommandError, match="--key") as refused:
        key_for(HERE, "käse", tmp_path)
    assert "käse" not in str(refused.value)
