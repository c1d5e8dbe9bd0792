"""Follow jobs until they are finished or the time is up."""

import time
from collections.abc import Sequence
from typing import Any

from processor.cli import output
from processor.cli.client import Client, path
from processor.cli.exit_codes import OF_STATE, CommandError, Exit
from processor.cli.progress import Board

Name = tuple[str, str]  # source, id

PATIENCE = 15.0  # seconds that a server which did answer may be away: long enough to restart
PAUSE = 0.5
STALLS_AFTER, STALLS_EVERY = 2.0, 10.0


def follow(client: Client, names: Sequence[Name], board: Board, timeout: float | None) -> list[Any]:
    """Give the jobs as they are at the end, in the order asked for.

    The server's own waiting does the waiting: each round holds on the first unfinished job for
    up to a second and looks at the others, so the end of a single job is seen at once.
    """
    ends = None if timeout is None else time.monotonic() + timeout
    jobs = {name: client.get(_path(name)) for name in names}
    answered = time.monotonic()
    stalls = Stalls(client)
    while True:
        for name in names:
            board.show("/".join(name), jobs[name])
        open_ones = [name for name in names if jobs[name]["state"] not in OF_STATE]
        left = 1.0 if ends is None else ends - time.monotonic()
        if not open_ones or left <= 0:
            return [jobs[name] for name in names]
        try:
            stalls.tell({source for source, _ in open_ones})
            jobs |= _round(client, open_ones, left)
            answered = time.monotonic()
        except CommandError as error:
            if error.code is not Exit.UNREACHABLE or time.monotonic() - answered > PATIENCE:
                raise
            time.sleep(min(PAUSE, left))


class Stalls:
    """Says, once for each source, that its provider refuses to be asked: its jobs will not move."""

    def __init__(self, client: Client) -> None:
        """Nothing was said yet."""
        self._client = client
        self._told: set[str] = set()
        self._next = time.monotonic() + STALLS_AFTER

    def tell(self, sources: set[str]) -> None:
        """Look, now and then, whether one of these sources is stalled."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + STALLS_EVERY
        for source in self._client.get(path("v1", "sources"))["items"]:
            name, why = source["name"], source["stalled"]
            if why and name in sources - self._told:
                self._told.add(name)
                output.say(f"{name} refuses to be asked: check its `token` ({why})")


def _round(client: Client, names: Sequence[Name], left: float) -> dict[Name, Any]:
    first, *others = names
    if left < 1:  # the API waits whole seconds
        time.sleep(left)
    found = {first: client.get(_path(first), wait=int(left >= 1))}
    return found | {name: client.get(_path(name)) for name in others}


def _path(name: Name) -> str:
    return path("v1", "jobs", *name)
