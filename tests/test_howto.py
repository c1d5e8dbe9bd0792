"""The commands of docs/howto.md work as they are written, against a server and a simulated Wistia.

Only ports and the provider's address are replaced. Of what is shown for proxies and Celery nothing
runs but the Python.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import ringback
from processor.cli.listen_address import free_port
from processor.cli.simulate.make_jobs import make_jobs
from processor.cli.simulate.progress import Run
from processor.cli.simulate.provider_server import ProviderServer
from processor.config.profiles import ProfileRegistry
from processor.model import State

DOCS = Path(__file__).parents[1] / "docs"
BINARIES = Path(sys.executable).parent
SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


CI, REGISTER, BULK_JOB, TWENTY, ENCODER = blocks("howto.md", "sh")
(MIGRATED,) = blocks("howto.md", "python")
_, WISTIA = blocks("howto.md", "toml")
CONFIGURATION = f"""
[sources.encoder]
provider = "standard"
webhook_secret = "env:ENCODER_SECRET"

{WISTIA}
base_url = "{{wistia}}"

[egress]
allow = ["127.0.0.1"]
"""


def test_the_webhook_is_registered_by_a_command_that_other_tests_run():
    """service/registration/test_register.py has a provider's API for it."""
    assert REGISTER == "ringback sources register mux --url https://ringback.example.com\n"


@contextmanager
def wistia() -> Iterator[str]:
    """Where its jobs 197424 and 197425 are polled."""
    server = ProviderServer(0, profile := ProfileRegistry()["wistia"], None)
    names = ["197424", "197425"]
    server.run = Run(
        make_jobs(profile, None, names, end=State.SUCCEEDED, seconds=0.5, url=server.base)
    )
    with server.serving():
        yield server.url


@pytest.mark.acceptance
@pytest.mark.timeout(90)
@pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("openssl")), reason="needs curl and openssl"
)
def test_the_commands_work_as_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: Any
):
    url = f"http://127.0.0.1:{(port := free_port('127.0.0.1', 0))}"
    environ = {n: v for n, v in os.environ.items() if not n.startswith(("RINGBACK_", "REDIS_"))}
    environ |= {"PATH": f"{BINARIES}:{os.environ['PATH']}", "PORT": str(port), "RINGBACK_URL": url}
    environ |= {"WISTIA_TOKEN": "a-token", "ENCODER_SECRET": SECRET, "CALLBACK_SECRET": SECRET}

    def run(block: str, *args: str, **more: str) -> tuple[int, str]:
        block = block.replace("https://app.example.com", "http://127.0.0.1:9000")
        command = ["/bin/sh", "-c", block, "sh", *args]
        done = subprocess.run(
            command, cwd=tmp_path, env=environ | more, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    (tmp_path / "send_update.sh").write_text(blocks("providers.md", "sh")[1])
    (tmp_path / "encode.sh").write_text("case $1 in bad*) exit 7;; esac")
    (tmp_path / "jobs.txt").write_text("encoder/good-1\nwistia/197424\n")
    with wistia() as provider:
        (tmp_path / "ringback.toml").write_text(CONFIGURATION.format(wistia=provider))
        with terminal("ringback up", environ, "Ringback is ready"):
            assert run(ENCODER, "good-1")[0] == 0
            assert run(ENCODER, "bad-1")[0] == 7  # as without Ringback
            for job, code, word in [("good-1", 0, "succeeded"), ("bad-1", 1, "failed or canceled")]:
                exit_code, printed = run(CI, JOB_ID=job)
                assert (exit_code, printed.splitlines()[-1]) == (code, word)
            assert (done := run(BULK_JOB))[0] == 0, done
            assert run("ringback wait wistia 197424")[0] == 0
            exit_code, printed = run(TWENTY)
            assert exit_code == 0, printed
            assert printed.splitlines()[-1].startswith("group batch-7  succeeded")
            monkeypatch.setenv("RINGBACK_URL", url)
            monkeypatch.setenv("RINGBACK_DATA", str(tmp_path / ".ringback"))
            shown: dict[str, Any] = {}
            calls = calls_of(shown)
            shown["watch_import"]("197425", 42)
            assert run("ringback wait wistia 197425")[0] == 0
            _, events = run("ringback events --json --job wistia/197425 --type job.succeeded")
            shown["imported"](ringback.Event.read(json.loads(events), "evt_1"))
            assert calls == [(42, True)]


def calls_of(shown: dict[str, Any]) -> list[tuple[object, ...]]:
    """What the task of the page's code will be called with."""
    calls: list[tuple[object, ...]] = []
    shown["finish_import"] = SimpleNamespace(delay=lambda *args: calls.append(args))
    exec(MIGRATED, shown)  # noqa: S102 -- our own page
    return calls
