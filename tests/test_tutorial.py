"""docs/tutorial.md works as it is written: its files, its commands in three terminals, its receiver.

Only ports are replaced. What it installs is tested by `make soak`, in an environment of its own.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from processor.cli.listen_address import free_port

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BINARIES = Path(sys.executable).parent
SOAK = os.environ.get("RINGBACK_TEST_PROFILE") == "soak"
NOT_COPIED = (".git", ".venv*", ".*_cache", "__pycache__", ".hypothesis", ".ringback")


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


INSTALL, SECRETS, UP, RECEIVE, SUBSCRIBE, ENCODER, RUN, LISTEN = blocks("tutorial.md", "sh")
(CONFIGURATION,) = blocks("tutorial.md", "toml")
(RECEIVER,) = blocks("tutorial.md", "python")
WRONG_SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
NEW_TERMINAL = "".join(SUBSCRIBE.splitlines(keepends=True)[:2])

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(
        not (shutil.which("curl") and shutil.which("openssl")), reason="needs curl and openssl"
    ),
]


def test_the_script_signs_as_the_page_of_providers_says():
    assert ENCODER.startswith(blocks("providers.md", "sh")[1])


@pytest.mark.timeout(90)
def test_the_tutorial_works_as_it_is_written(tmp_path: Path, shell: Any, terminal: Any):
    """Its `.venv` holds the programs of the environment that runs the tests."""
    activate = tmp_path / ".venv" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    activate.write_text(f"PATH={shlex.quote(str(BINARIES))}:$PATH\n", encoding="utf-8")
    follow(tmp_path, shell, terminal, variables("PATH", "PYTHONPATH"))


@pytest.mark.skipif(not SOAK, reason="installs everything: `make soak`")
@pytest.mark.timeout(1200)
def test_what_the_tutorial_installs_is_enough_for_it(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, shell: Any, terminal: Any
):
    """In a copy of the checkout. First all wheels are fetched or built; from them alone its
    commands install.
    """
    shutil.copytree(ROOT, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
    wheels, environ = tmp_path_factory.mktemp("wheels"), variables("PATH", "HOME", "PIP_*")
    *_, install = INSTALL.splitlines()
    assert install.startswith("pip install ")
    names = shlex.split(install.removeprefix("pip install "))
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(wheels)]
    if subprocess.run([*pip, "--retries", "0", "hatchling"], env=environ, check=False).returncode:
        pytest.skip("the build backend cannot be had: no package index answers")
    subprocess.run([*pip, *names], cwd=tmp_path, env=environ, check=True)
    offline = environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    subprocess.run(["/bin/sh", "-ec", INSTALL], cwd=tmp_path, env=offline, check=True)
    follow(tmp_path, shell, terminal, variables("PATH"))


def variables(*names: str) -> dict[str, str]:
    """The variables of this process with these names; `*` ends the beginning of several."""
    pattern = re.compile("|".join(name.replace("*", r"\w*") for name in names))
    return {name: value for name, value in os.environ.items() if pattern.fullmatch(name)}


def follow(folder: Path, shell: Any, terminal: Any, environ: Mapping[str, str]) -> None:
    """Do what the tutorial says after the installation."""
    port, callbacks = free_port("127.0.0.1", 0), free_port("127.0.0.1", 0)
    environ = {**environ, "PORT": str(port), "RINGBACK_URL": f"http://127.0.0.1:{port}"}

    def at_ports(block: str) -> str:
        block = block.replace('"127.0.0.1", 9000', f'"127.0.0.1", {callbacks}')
        block = block.replace("127.0.0.1:9000", f"127.0.0.1:{callbacks}")
        return block.replace("127.0.0.1:8080", f"127.0.0.1:{port}")

    def run(block: str) -> str:
        return str(shell(at_ports(block), environ))

    for name, text in [
        ("ringback.toml", CONFIGURATION),
        ("receiver.py", RECEIVER),
        ("encoder.sh", ENCODER),
    ]:
        (folder / name).write_text(at_ports(text), encoding="utf-8")
    run(SECRETS)
    done = "job.succeeded job-1 {'url': 'https://cdn.example/1.mp4'}\n"
    assert done.strip() in (DOCS / "tutorial.md").read_text(encoding="utf-8")
    first = ". .venv/bin/activate\n"  # that of the installation, in the same terminal
    with (
        terminal(first + UP, environ, "Ringback is ready"),
        terminal(RECEIVE, environ) as receiver,
    ):
        run("until curl --silent http://127.0.0.1:9000/; do :; done")
        (name,) = re.findall(r"\bsub_\w+", run(SUBSCRIBE))
        run(f"{NEW_TERMINAL}ringback subscriptions test {name}")  # 0 only if the receiver took it
        assert receiver.readline().startswith("subscription.test ")
        assert "succeeded" in run(NEW_TERMINAL + RUN)
        assert receiver.readline() == done
        forged = f"ENCODER_SECRET={WRONG_SECRET} sh encoder.sh job-1 || true"
        assert '"status":401' in run(NEW_TERMINAL + forged)  # the reason is shown
        with terminal(at_ports(NEW_TERMINAL + LISTEN), environ, "posting to"):
            pass
    assert "variable_ignored" not in (folder / "errors").read_text(encoding="utf-8")
