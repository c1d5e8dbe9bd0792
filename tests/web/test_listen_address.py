"""A receiver that cannot listen ends as with any wrong setting: exit code 2, one line, the remedy."""

import socket
import subprocess
import sys

import pytest

from processor.errors import ConfigError
from processor.service.runtime.listening_sockets import open_sockets

NOT_OURS = "192.0.2.1"  # TEST-NET-1, RFC 5737: no machine has it


def started(host: str, port: int) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "processor.cli", "web", "--host", host, "--port", str(port)]
    environ = {
        "PYTHONPATH": ":".join(sys.path),
        "RINGBACK_API_KEYS": "a-key",
        "REDIS_URL": "redis://127.0.0.1:1/0",  # never answers, which a receiver outlives
    }
    return subprocess.run(
        words, env=environ, capture_output=True, text=True, timeout=30, check=False
    )


def test_a_receiver_whose_port_is_taken_exits_2_and_names_the_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = started("127.0.0.1", port)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1] == (
        f"ringback: cannot listen on 127.0.0.1:{port} (Address already in use): "
        "give another --port (PORT), or stop the process that uses this one"
    )


@pytest.mark.parametrize("host", [NOT_OURS, "no-such.invalid", "a" * 64])
def test_a_receiver_whose_host_is_not_here_exits_2_and_names_the_host(host: str):
    ended = started(host, 8080)
    assert (ended.returncode, ended.stdout) == (2, "")
    line = ended.stderr.splitlines()[-1]  # after a warning that secrets are unencrypted
    assert line.startswith(f"ringback: cannot listen on {host}:8080 (")
    assert line.endswith("correct --host (RINGBACK_HOST)")


def test_a_port_that_is_free_at_only_one_address_is_not_left_open(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        both = [("127.0.0.2", port), ("127.0.0.1", port)]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in both]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with pytest.raises(ConfigError, match="Address already in use"):
            open_sockets("both", port)
    socket.create_server(("127.0.0.2", port)).close()
