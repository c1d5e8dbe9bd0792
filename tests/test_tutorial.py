"""docs/tutorial.md works as it is written: its files, its commands in three terminals, its receiver.

Only ports are replaced.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from processor.cli.listen_address import free_port

DOCS = Path(__file__).parents[1] / "docs"
BINARIES = Path(sys.executable).parent


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


INSTALL, SECRETS, UP, RECEIVE, SUBSCRIBE, ENCODER, RUN, LISTEN = blocks("tutorial.md", "sh")
(CONFIGURATION,) = blocks("tutorial.md", "toml")
(RECEIVER,) = blocks("tutorial.md", "python")


def test_the_script_signs_as_the_page_of_providers_says():
    assert ENCODER.startswith(blocks("providers.md", "sh")[1])


def test_it_installs_from_the_checkout_alone():
    """test_install.py uses the wheel that this builds; no index is asked for our names."""
    *_, install = INSTALL.splitlines()
    assert install.startswith("pip install ")
    for path in install.removeprefix("pip install ").split():
        assert (DOCS.parent / path.strip("'").partition("[")[0] / "pyproject.toml").exists()


@pytest.mark.acceptance
@pytest.mark.timeout(90)
@pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("openssl")), reason="needs curl and openssl"
)
def test_the_tutorial_works_as_it_is_written(tmp_path: Path, terminal: Any):
    port, callbacks = free_port("127.0.0.1", 0), free_port("127.0.0.1", 0)
    environ = {n: v for n, v in os.environ.items() if not n.startswith(("RINGBACK_", "REDIS_"))}
    environ |= {"PATH": f"{BINARIES}:{os.environ['PATH']}", "PORT": str(port)}
    environ |= {"RINGBACK_URL": f"http://127.0.0.1:{port}"}

    def at_ports(block: str) -> str:
        block = block.replace('"127.0.0.1", 9000', f'"127.0.0.1", {callbacks}')
        block = block.replace("127.0.0.1:9000", f"127.0.0.1:{callbacks}")
        return block.replace("127.0.0.1:8080", f"127.0.0.1:{port}")

    def run(block: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-ec", at_ports(block)],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    for name, text in [
        ("ringback.toml", CONFIGURATION),
        ("receiver.py", RECEIVER),
        ("encoder.sh", ENCODER),
    ]:
        (tmp_path / name).write_text(at_ports(text), encoding="utf-8")
    run(SECRETS)
    done = "job.succeeded job-1 {'url': 'https://cdn.example/1.mp4'}\n"
    assert done.strip() in (DOCS / "tutorial.md").read_text(encoding="utf-8")
    with (
        terminal(UP, environ, "Ringback is ready"),
        terminal(RECEIVE, environ) as receiver,
    ):
        run("until curl --silent http://127.0.0.1:9000/; do :; done")
        (name,) = re.findall(r"\bsub_\w+", run(SUBSCRIBE))
        run(f"ringback subscriptions test {name}")  # exits with 0 only if the receiver took it
        assert receiver.readline().startswith("subscription.test ")
        assert "succeeded" in run(RUN)
        assert receiver.readline() == done
        with terminal(at_ports(LISTEN), environ, "posting to"):
            pass
