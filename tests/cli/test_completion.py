"""Completion of commands and options, as each shell asks for it, and in a real bash."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ASKED = [
    ("bash", {"COMP_WORDS": "ringback wa", "COMP_CWORD": "1"}, {"watch", "wait"}),
    ("bash", {"COMP_WORDS": "ringback jobs ", "COMP_CWORD": "2"}, {"show", "poll", "rm"}),
    ("bash", {"COMP_WORDS": "ringback jobs rm --ca", "COMP_CWORD": "3"}, {"--callback"}),
    ("zsh", {"_TYPER_COMPLETE_ARGS": "ringback wa"}, {"watch", "wait"}),
    (
        "fish",
        {"_TYPER_COMPLETE_FISH_ACTION": "get-args", "_TYPER_COMPLETE_ARGS": "ringback wa"},
        {"watch", "wait"},
    ),
]


def run(*words: str, **environment: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "processor.cli", *words],
        env=os.environ | environment,
        capture_output=True,
        check=True,
        text=True,
    )
    return ended.stdout


@pytest.mark.parametrize(("shell", "environment", "names"), ASKED)
def test_a_shell_gets_the_names_that_fit(shell: str, environment: dict[str, str], names: set[str]):
    found = run(**environment, _RINGBACK_COMPLETE=f"complete_{shell}")
    assert all(name in found for name in names)
    assert "subscriptions" not in found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script(shell: str):
    assert f"_RINGBACK_COMPLETE=complete_{shell}" in run("completion", shell)


def test_bash_completes(tmp_path: Path):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    program = tmp_path / "ringback"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m processor.cli "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(ringback completion bash)"; COMP_WORDS=(ringback subscriptions ro); '
        "COMP_CWORD=2; _ringback_completion ringback; echo ${COMPREPLY[@]}"
    )
    path = f"{tmp_path}:{os.environ['PATH']}"
    ended = subprocess.run(
        [bash, "-c", script], env=os.environ | {"PATH": path}, capture_output=True, check=True
    )
    assert ended.stdout == b"rotate\n"
