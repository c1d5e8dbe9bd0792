"""The README's 60-second example works as written: its file, its commands, its subscriber.

Only ports and the provider's address are replaced.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from processor.cli.listen_address import free_port
from processor.cli.loopback_server import Handler, LoopbackServer
from processor.cli.simulate.make_jobs import make_jobs
from processor.cli.simulate.progress import Run
from processor.cli.simulate.provider_server import PollAnswer, ProviderServer
from processor.config.profiles import ProfileRegistry
from processor.model import State

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
NOT_RUN = {
    "make demo": "sets up an environment; `ringback demo` is run by cli/test_demo.py",
    "make test": "is what runs this",
    ". .venv/bin/activate": "the tests run in that environment already",
}
BINARIES = Path(sys.executable).parent
SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[str]:
    return [line.partition("  #")[0].strip() for line in block.splitlines()]


MAKE, START, USE = map(commands, blocks("sh"))


def test_every_command_is_run_or_has_its_reason():
    left_out = [command for command in (*MAKE, *START, *USE) if command in NOT_RUN]
    assert sorted(left_out) == sorted(NOT_RUN)
    assert set(MAKE) <= set(NOT_RUN)


@pytest.mark.parametrize("target", ["demo", "test"])
def test_make_has_what_it_is_asked_for(target: str):
    make = ["make", "--dry-run", target]
    planned = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {"demo": ".venv/bin/ringback demo", "test": "-m pytest"}[target] in planned


def test_it_is_short():
    assert len(README.split()) < 1200


def test_the_configuration_has_ten_lines():
    (text,) = blocks("toml")
    assert len(text.splitlines()) <= 11


def subscriber() -> Callable[[Mapping[str, str], bytes], int]:
    """The README's function."""
    (code,) = blocks("python")
    assert len(code.splitlines()) <= 6
    shown: dict[str, Any] = {}
    exec(code, shown)  # noqa: S102 -- our own page
    callback: Callable[[Mapping[str, str], bytes], int] = shown["callback"]
    return callback


def test_the_subscriber_takes_what_is_signed_and_nothing_else(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CALLBACK_SECRET", SECRET)
    body, now = b'{"type":"job.succeeded","data":{"id":"1"}}', datetime.now(UTC)
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(SECRET).sign("evt_1", now, body.decode()),
    }
    assert subscriber()(headers, body) == 204
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        subscriber()(headers, body.replace(b"succeeded", b"failed"))


class Wistia(ProviderServer):
    """A simulated Wistia: its job 197424 takes 3 seconds, and polls must have the README's token."""

    def __init__(self) -> None:
        profile = ProfileRegistry()["wistia"]
        super().__init__(0, profile, None)
        self.run = Run(
            make_jobs(profile, None, ["197424"], end=State.SUCCEEDED, seconds=3.0, url=self.base)
        )

    def poll(self, target: str, headers: Mapping[str, str]) -> PollAnswer:
        assert headers["authorization"] == "Bearer your-token"
        return super().poll(target, headers)


class Subscriber(LoopbackServer):
    """Calls the README's function with each callback."""

    def __init__(self) -> None:
        super().__init__(0, CallbackHandler)
        self.callback = subscriber()
        self.answers: list[int] = []
        self.answered = threading.Event()


class CallbackHandler(Handler):
    """Answers one callback."""

    server: Subscriber

    def do_POST(self) -> None:  # noqa: N802 -- the base's name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answers.append(self.server.callback(self.headers, body))
        self.send_response(self.server.answers[-1])
        self.end_headers()
        self.server.answered.set()


@pytest.mark.acceptance
@pytest.mark.timeout(90)
def test_the_60_second_example_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: Any, terminal: Any
):
    port = free_port("127.0.0.1", 0)
    ours = {n: v for n, v in os.environ.items() if not n.startswith(("RINGBACK_", "REDIS_"))}
    ours.pop("PORT", None)  # no variable is set but those of the README
    environ = ours | {"PATH": f"{BINARIES}:{os.environ['PATH']}"}
    wistia, callbacks = Wistia(), Subscriber()
    with wistia.serving(), callbacks.serving():
        (text,) = blocks("toml")
        simulated = f'provider = "wistia"\nbase_url = "{wistia.url}"'
        (tmp_path / "ringback.toml").write_text(text.replace('provider = "wistia"', simulated))
        with terminal(first_terminal(port), environ, "Ringback is ready"):
            subscribe, watch, get = (at_port(command, port) for command in USE)
            subscribe = subscribe.replace(":9000", f":{callbacks.server_port}")
            printed = shell(subscribe, environ)
            (secret,) = re.findall(r"^secret +(whsec_\S+)$", printed, re.MULTILINE)
            monkeypatch.setenv("CALLBACK_SECRET", secret)
            assert "succeeded (finished)" in shell(watch, environ)
            if shutil.which("curl"):
                assert '"state":"succeeded"' in shell(get, environ)
            assert callbacks.answered.wait(10)
    assert callbacks.answers == [204]


def first_terminal(port: int) -> str:
    """Its commands, with another port."""
    script = "\n".join(command for command in START if command not in NOT_RUN)
    assert script.endswith("\nringback up")
    return f"{script} --port {port}"


def at_port(command: str, port: int) -> str:
    """The same command for a server on another port."""
    command = command.replace("ringback ", f"ringback --url http://127.0.0.1:{port} ", 1)
    return command.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
