"""Runs a process whose own nudges go astray: only the clock's reach anybody.

The store of this process writes its nudges into lists that nobody reads; the broker of a
worker still waits at the true ones.
"""

import runpy
import sys

from processor.store import store
from processor.store.keys import BACKLOGS, Keys


class Astray(Keys):
    """The names of one shard's keys, with lists that nobody reads for the nudges."""

    def __init__(self, shard: int) -> None:
        super().__init__(shard)
        self.nudge = {backlog: f"{self.tag}nudge:astray-{backlog}" for backlog in BACKLOGS}


if __name__ == "__main__":
    store.Keys = Astray  # type: ignore[attr-defined] # that is the point
    runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)
