"""Follow jobs until they are finished or the time is up."""

import time
from collections.abc import Sequence
from typing import Any

from processor.cli import output
from processor.cli.client import Client, job_path, path
from processor.cli.exit_codes import CODE_OF_STATE, CommandError, Exit
from processor.cli.progress import Show

JobName = tuple[str, str]  # source, id

RECONNECT_TIMEOUT = 15.0  # seconds that the server may be unreachable: long enough to restart
RECONNECT_PAUSE = 0.5  # seconds
CHECK_SOURCES_AFTER, CHECK_SOURCES_EVERY = 2.0, 10.0  # seconds


def follow(
    client: Client, names: Sequence[JobName], show: Show, timeout: float | None
) -> list[Any]:
    """Wait for the jobs; returns them in the given order.

    Each round lets the server wait up to a second for the first unfinished job, then reads the
    others: the end of a single job is seen at once.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    jobs = {name: client.get(job_path(*name)) for name in names}
    answered = time.monotonic()
    stalled = StalledSources(client)
    while True:
        for name in names:
            show("/".join(name), jobs[name])
        unfinished = [name for name in names if jobs[name]["state"] not in CODE_OF_STATE]
        left = 1.0 if deadline is None else deadline - time.monotonic()
        if not unfinished or left <= 0:
            return [jobs[name] for name in names]
        try:
            stalled.warn({source for source, _ in unfinished})
            jobs |= _round(client, unfinished, left)
            answered = time.monotonic()
        except CommandError as error:
            if (
                error.code is not Exit.UNREACHABLE
                or time.monotonic() - answered > RECONNECT_TIMEOUT
            ):
                raise
            time.sleep(min(RECONNECT_PAUSE, left))


class StalledSources:
    """Warns once for each source whose provider refuses polls: its jobs make no progress."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._warned: set[str] = set()
        self._next = time.monotonic() + CHECK_SOURCES_AFTER

    def warn(self, sources: set[str]) -> None:
        """Check every 10 seconds whether one of these sources is stalled."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + CHECK_SOURCES_EVERY
        for source in self._client.get(path("v1", "sources"))["items"]:
            name, reason = source["name"], source["stalled"]
            if reason and name in sources - self._warned:
                self._warned.add(name)
                output.notice(f"{name} refuses polls: check its `token` ({reason})")


def _round(client: Client, names: Sequence[JobName], left: float) -> dict[JobName, Any]:
    first, *others = names
    if left < 1:  # the API waits whole seconds
        time.sleep(left)
    found = {first: client.get(job_path(*first), wait=int(left >= 1))}
    return found | {name: client.get(job_path(*name)) for name in others}
