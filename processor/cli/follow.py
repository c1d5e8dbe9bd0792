"""Follow jobs and groups until they have ended or the time is up."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from processor.cli import output
from processor.cli.client import Client, path
from processor.cli.exit_codes import CODE_OF_STATE, CommandError, Exit
from processor.cli.progress import Show

RECONNECT_TIMEOUT = 15.0  # seconds that the server may be unreachable if there is no time limit
RECONNECT_PAUSE = 0.5  # seconds
ROUND = 1.0  # seconds that the server waits in one call: then the progress is shown
ANSWER_TIMEOUT = 15.0  # seconds beyond that for the answer
LATE_BY = 5.0  # seconds by which the last answer may be late once the time is up
CHECK_SOURCES_AFTER, CHECK_SOURCES_EVERY = 2.0, 10.0  # seconds

Name = tuple[str, str]
"""What is followed: a `job` by `source/id`, or a `group` by its id."""


def follow(
    client: Client, names: Sequence[Name], show: Show, timeout: float | None, *, first: bool = False
) -> dict[Name, Any]:
    """Wait for all of them, or for the first one; returns them in the given order.

    In each round the server waits up to a second for those that have not ended, in one call. Once
    it has answered, it may be unreachable, or hang, until the time is up.
    """
    left = math.inf if timeout is None else timeout
    deadline = time.monotonic() + left
    found = _round(answer_within(client, left), names, 0, first=first)
    answered, away = time.monotonic(), None
    stalled = StalledSources()
    while True:
        for kind, name in names:
            show(name if kind == "job" else f"group {name}", _shown(found[kind, name]))
        unfinished = [name for name in names if not has_ended(found[name])]
        left = deadline - time.monotonic()
        give_up = answered + RECONNECT_TIMEOUT if timeout is None else deadline
        if away and time.monotonic() >= give_up:
            raise away
        if not unfinished or left <= 0 or (first and len(unfinished) < len(names)):
            return {name: found[name] for name in names}
        try:
            server = answer_within(client, left)
            sources = {name.partition("/")[0] for kind, name in unfinished if kind == "job"}
            stalled.warn(server, sources)
            found |= _round(server, unfinished, min(left, ROUND), first=first)
            answered, away = time.monotonic(), None
        except CommandError as error:
            if error.code is not Exit.UNREACHABLE:
                raise
            away = error
            time.sleep(max(0.0, min(RECONNECT_PAUSE, deadline - time.monotonic())))


def answer_within(client: Client, left: float) -> Client:
    """The client whose calls take little longer than the seconds that are left, at any server."""
    return client.within(min(ROUND + ANSWER_TIMEOUT, left + LATE_BY))


def has_ended(found: Mapping[str, Any]) -> bool:
    """Whether a job or group has ended."""
    return found["state"] in CODE_OF_STATE


def _round(client: Client, names: Sequence[Name], wait: float, *, first: bool) -> dict[Name, Any]:
    """What the server says of these after waiting for so many seconds at most."""
    jobs = [name for name in names if name[0] == "job"]
    groups = [name for name in names if name[0] == "group"]
    body = {
        "jobs": [name for _, name in jobs],
        "groups": [name for _, name in groups],
        "mode": "any" if first else "all",
        "timeout": wait,
    }
    answer = client.call("POST", path("v1", "wait"), body)
    found = [*answer["jobs"], *answer.get("groups", ())]
    return dict(zip([*jobs, *groups], found, strict=True))


def _shown(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """A job, or a group with the part of it that has ended as its progress."""
    counts = found.get("policy") and found["counts"]
    if not counts or not counts["total"]:
        return found
    return {**found, "progress": 1 - counts["pending"] / counts["total"]}


class StalledSources:
    """Warns once for each source whose provider refuses polls: its jobs make no progress."""

    def __init__(self) -> None:
        self._warned: set[str] = set()
        self._next = time.monotonic() + CHECK_SOURCES_AFTER

    def warn(self, client: Client, sources: set[str]) -> None:
        """Check every 10 seconds whether one of these sources is stalled."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + CHECK_SOURCES_EVERY
        for source in client.get(path("v1", "sources"))["items"]:
            name, reason = source["name"], source["stalled"]
            if reason and name in sources - self._warned:
                self._warned.add(name)
                output.notice(f"{name} refuses polls: check its `token` ({reason})")
