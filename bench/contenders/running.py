"""A contender that runs: where it takes pushes, and its processes."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

from bench import processes

WORKERS = 2  # worker processes of Ringback and of arq; processes of the relay: one a core


class Running(NamedTuple):
    """A contender that takes pushes now."""

    ports: tuple[int, ...]
    leaders: tuple[int, ...]  # the processes that the bench started
    socket: Path = Path()  # of its Redis
    config: Path = Path()  # its ringback.toml

    def pids(self) -> list[int]:
        """Return all of its processes."""
        return [pid for leader in self.leaders for pid in processes.family(leader)]


Start = Callable[[str, Path], AbstractAsyncContextManager[Running]]
"""Takes the sink's URL and an empty folder; the contender runs until the block ends."""
