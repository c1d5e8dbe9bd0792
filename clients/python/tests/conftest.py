"""Fixtures: a whole Ringback, started as anybody would, and a provider that pushes to it."""

import base64
import hashlib
import hmac
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ringback import AsyncRingback, Ringback

from .scripted_server import Script

KEY = "the-key-of-the-client-tests"
SECRET = "whsec_" + base64.b64encode(b"the secret of the provider, made up").decode()
CONFIG = f"""
[sources.encoder]
provider = "standard"
webhook_secret = "{SECRET}"

[egress]
allow = ["127.0.0.1"]
"""
_numbers = itertools.count()


class Server:
    """`ringback up` on a port of its own; it can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "ringback.toml").write_text(CONFIG)

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        words = ["-m", "processor.cli", "up", "--port", str(self.port), "--workers", "1"]
        words += ["--config", "ringback.toml", "--data", "data"]
        ours = ("RINGBACK_", "REDIS_", "PORT")
        env = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        root = str(Path(__file__).parents[3])
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *words],
                cwd=self._folder,
                env=env | {"RINGBACK_API_KEYS": KEY, "PYTHONPATH": root},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        ends = time.monotonic() + 30
        while not self._ready():
            assert time.monotonic() < ends, (self._folder / "log").read_text()
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """End it in good order."""
        if self._process:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def push(self, job: str, status: str, **more: Any) -> None:
        """Push as the provider does."""
        body = json.dumps({"id": job, "status": status, **more})
        name, now = f"msg_{os.getpid()}_{next(_numbers)}", int(time.time())
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        signed = hmac.digest(key, f"{name}.{now}.{body}".encode(), hashlib.sha256)
        headers = {
            "content-type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": str(now),
            "webhook-signature": "v1," + base64.b64encode(signed).decode(),
        }
        answer = httpx.post(
            f"{self.url}/hooks/encoder", content=body, headers=headers, trust_env=False
        )
        assert answer.status_code == 202, answer.text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("ringback"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that a test may stop."""
    made = Server(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def job() -> str:
    """The id of a job that no other test uses."""
    return f"job/{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def script() -> Iterator[Any]:
    made: list[Script] = []

    def make(*answers: bytes) -> Script:
        made.append(Script(*answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(params=[Ringback, AsyncRingback])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param
