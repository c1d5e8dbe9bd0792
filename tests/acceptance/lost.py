"""Runs a process whose own nudges go astray: only the clock's reach anybody.

The store of this process writes its nudges into lists that nobody reads; the broker of a
worker still waits at the true ones.
"""

import runpy
import sys

from processor.store import store
from processor.store.keys import Keys


class Astray(Keys):
    """The names of one shard's keys, but for the nudges'."""

    def nudge(self, backlog: str) -> str:
        """A list that nobody reads."""
        return f"{self.tag}nudge:astray-{backlog}"


if __name__ == "__main__":
    store.Keys = Astray  # type: ignore[attr-defined] # that is the point
    runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)
