"""Waits for what another process does."""

import time
from collections.abc import Callable

SECONDS = 20.0  # at most


def until(condition: Callable[[], object], step: Callable[[], object] = lambda: None) -> None:
    """Step until a condition holds."""
    ends = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < ends, "waited in vain"
        step()
        time.sleep(0.01)  # another process does it, and tells nobody
