"""Sections of the benchmark run to their end on the present code; their figures mean nothing here."""

import subprocess
import sys

import pytest

from bench.environments import TREE

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize(
    ("section", "row", "scale", "contenders"),
    [
        ("throughput", "relay", 0.01, ["ringback", "relay"]),
        ("deliveries", "egress loop", 0.01, ["ringback", "batch", "egress loop"]),
        ("curve", "90%", 0.01, []),
        ("bytecodes", "workers", 0.05, []),
        ("growth", "full", 0.001, []),
        ("memory", "seen", 0.01, []),
        ("polls", "loop", 0.01, []),
        ("watching", "200", 0.01, []),
        ("dashboard", "overview", 0.01, []),
    ],
)
def test_a_section_runs(section: str, row: str, scale: float, contenders: list[str]) -> None:
    options = ["--before", "", "--rounds", "1", "--scale", f"{scale}"]
    only = ["--only", *contenders] if contenders else []
    argv = [sys.executable, "-m", "bench", section, *options, *only]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=TREE, timeout=100)
    assert done.returncode == 0, done.stderr
    assert f"| {row} " in done.stdout


def test_a_section_that_does_not_exist_is_refused_with_a_list() -> None:
    argv = [sys.executable, "-m", "bench", "throughputs"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=TREE)
    assert done.returncode == 2
    assert "no section throughputs; sections are throughput, curve, " in done.stderr
