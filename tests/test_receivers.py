"""docs/howto.md: its receivers in Node and Go take what Ringback signs, and nothing else."""

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from processor.cli.listen_address import free_port
from processor.formats import FORMATS, Event
from processor.model import Subscription

HOWTO = (Path(__file__).parents[1] / "docs" / "howto.md").read_text(encoding="utf-8")
MODULES = Path(sys.prefix, "npm", "node_modules")  # where `make setup` puts the library
GO_LIBRARY = "github.com/standard-webhooks/standard-webhooks/libraries"
SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
SOAK = os.environ.get("RINGBACK_TEST_PROFILE") == "soak"
BODY = b'{"type":"job.succeeded","timestamp":"2026-11-22T03:23:48Z","data":{"id":"1"}}'


def receiver(language: str, port: int) -> str:
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", HOWTO, re.MULTILINE | re.DOTALL)
    return re.sub(r"\b9000\b", str(port), code)


@contextmanager
def running(command: list[str], folder: Path) -> Iterator["subprocess.Popen[str]"]:
    environ = {**os.environ, "CALLBACK_SECRET": SECRET}
    process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        assert process.stdout
        process.stdout.close()


def post(port: int, headers: Mapping[str, str], body: bytes) -> int:
    """Post until somebody listens."""
    while True:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            try:
                connection.request("POST", "/callbacks", body, dict(headers))
                return connection.getresponse().status
            except ConnectionRefusedError:
                time.sleep(0.02)


def check(command: list[str], folder: Path, port: int) -> None:
    target = Subscription(id="sub_1", url="https://x.example", secrets=(SECRET,))
    headers, body = FORMATS["standard"]([Event("evt_1", BODY)], target, time.time())
    with running(command, folder) as process:
        assert post(port, headers, body) == 204
        assert process.stdout
        assert process.stdout.readline() == "job.succeeded 1\n"
        assert post(port, headers, body.replace(b"succeeded", b"failed")) == 401


@pytest.mark.skipif(
    not (shutil.which("node") and (MODULES / "standardwebhooks").exists()),
    reason=f"needs node, and its library in {MODULES}: `make setup`",
)
def test_the_receiver_in_node_takes_what_is_signed_and_nothing_else(tmp_path: Path):
    port = free_port("127.0.0.1", 0)
    (tmp_path / "receiver.mjs").write_text(receiver("js", port), encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(MODULES)
    check(["node", "receiver.mjs"], tmp_path, port)


@pytest.mark.skipif(not (SOAK and shutil.which("go")), reason="compiles with Go: `make soak`")
@pytest.mark.timeout(600)
def test_the_receiver_in_go_takes_what_is_signed_and_nothing_else(tmp_path: Path):
    port = free_port("127.0.0.1", 0)
    (tmp_path / "receiver.go").write_text(receiver("go", port), encoding="utf-8")
    for words in (["mod", "init", "receiver"], ["get", GO_LIBRARY]):
        done = subprocess.run(["go", *words], cwd=tmp_path, check=False)  # noqa: S607 -- on PATH
        if done.returncode:
            pytest.skip("the library cannot be had: no Go module proxy answers")
    subprocess.run(["go", "build", "-o", "receiver"], cwd=tmp_path, check=True)  # noqa: S607
    check([str(tmp_path / "receiver")], tmp_path, port)
