"""Every process raises its limit of open files as far as the system allows."""

import subprocess
import sys

PROGRAM = """
import resource
from processor.service.runtime.open_files import raise_open_files
print(raise_open_files(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def after(limits: str) -> list[int]:
    """The returned limit, and the limits in force, of a process that starts with these limits."""
    words = ["prlimit", f"--nofile={limits}", sys.executable, "-c", PROGRAM]
    return [int(line) for line in subprocess.check_output(words).split()]


def test_the_soft_limit_becomes_the_hard_one() -> None:
    assert after("256:4096") == [4096, 4096, 4096]


def test_a_limit_that_cannot_be_raised_stays() -> None:
    assert after("1024:1024") == [1024, 1024, 1024]
