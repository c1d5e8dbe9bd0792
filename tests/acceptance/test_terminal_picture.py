"""The picture of a terminal in the README shows what the commands print."""

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = re.compile(r'<text [^>]*\by="(\d+)"[^>]*>(.*?)</text>')


@pytest.mark.acceptance
def test_the_picture_of_a_terminal_is_what_the_commands_print() -> None:
    shown: dict[str, str] = {}
    for y, words in TEXT.findall((ROOT / "docs" / "terminal.svg").read_text()):
        shown[y] = shown.get(y, "") + unescape(words).replace("\u00a0", " ")
    tool = [sys.executable, str(ROOT / "tools" / "terminal_picture.py"), "--text"]
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    printed = [line for line in done.stdout.splitlines() if line]
    assert [line.rstrip() for line in shown.values()] == printed, "run `make docs`"
