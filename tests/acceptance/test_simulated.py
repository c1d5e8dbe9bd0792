"""Whole lives of jobs at many providers, played by `ringback simulate` to a real Ringback.

What a play pushes and answers is what the provider's profile reads, at the places that its
documentation names (see `tests/simulation/`); whole payloads are in `tests/providers/`.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import pytest

from processor.config.profiles import Shelf

from .feed import Caller
from .processes import Child, free_port
from .sink import Call, Sink
from .system import System
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(90)]

JOBS = 5
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Role(NamedTuple):
    """One provider, how it is configured, and what goes wrong with it."""

    provider: str
    kind: str = ""
    mishaps: str = ""
    more: str = ""  # of its source
    params: dict[str, str] = {}  # noqa: RUF012 -- of its jobs, which pushes would have told
    pushes: bool = True
    end: str = "succeeded"


CAST = [
    Role("mux", mishaps="--duplicates 0.5 --reorder"),  # signed, whole
    Role("openai", kind="batch"),  # names alone: each final waits for a poll
    Role("github", mishaps="--lose 0.6 --throttle 0.2", params={"repo": "o/r"}),  # 304s too
    Role("runpod", more='params = { endpoint = "e1" }', end="failed"),  # a token in the URL
    Role("transloadit", mishaps="--duplicates 0.3"),  # forms
    Role("cloudevents", more='status_url = "URL/{id}"'),
    Role("replicate", mishaps="--lose 1", end="canceled"),  # no push ever comes
    Role("anthropic", pushes=False),
    Role("wistia", kind="media", mishaps="--reorder --duplicates 0.5"),
]


def source(role: Role, port: int) -> str:
    """The table that configures a role."""
    url = f"http://127.0.0.1:{port}"
    base = url + urlsplit(Shelf()[role.provider].base_url or "").path
    secret = f'webhook_secret = "{SECRET}"\n' if role.pushes else ""
    more = role.more.replace("URL", url)
    return (
        f'[sources.{role.provider}]\nprovider = "{role.provider}"\nbase_url = "{base}"\n'
        f'token = "any"\n{secret}{more}\n'
    )


def play(role: Role, port: int, system: System, folder: Path) -> Child:
    """Start a role's process."""
    words = ["simulate", role.provider, "--jobs", str(JOBS), "--id", "job", "--seconds", "2"]
    words += ["--port", str(port), "--linger", "20", "--end", role.end, "--seed", "1"]
    words += ["--kind", role.kind] if role.kind else []
    if role.pushes:
        words += ["--to", f"{system.url}/hooks/{role.provider}", "--secret", SECRET]
    words += role.mishaps.split()
    return Child(("-m", "processor.cli", *words), folder / f"{role.provider}.log", {})


async def test_every_life_ends_once_whatever_goes_wrong(
    plan: Callable[..., System], tmp_path: Path
) -> None:
    ports = {role.provider: free_port() for role in CAST}
    system = plan("".join(source(role, ports[role.provider]) for role in CAST)).start_all()
    players: list[Child] = []
    try:
        async with Sink() as sink, Caller(system.url) as caller:
            for role in CAST:
                await caller.subscribe(sink, role.provider)
                await watch(caller, role)
            players += [play(role, ports[role.provider], system, tmp_path) for role in CAST]
            expected = {(role.provider, role.end): JOBS for role in CAST}
            await until(lambda: ends(sink) == expected, 60, "all ends", lambda: ends(sink))
            assert {*Counter((c.event["data"]["source"], c.job) for c in once(sink)).values()} == {
                1
            }
            assert sink.forged == []
    finally:
        for player in players:
            player.end()


def once(sink: Sink) -> list[Call]:
    """Callbacks, whatever was delivered twice."""
    return [*{call.id: call for call in sink.calls}.values()]


def ends(sink: Sink) -> Counter[tuple[str, str]]:
    """How many jobs of each provider were told to have ended how."""
    return Counter((c.event["data"]["source"], c.event["data"]["state"]) for c in once(sink))


async def watch(caller: Caller, role: Role) -> None:
    """Register a role's jobs, so that those are found of which every push is lost."""
    for number in range(1, JOBS + 1):
        job = f"{role.kind}:job-{number}" if role.kind else f"job-{number}"
        wish = {"poll": {"every": "500ms"}, "params": role.params}
        path = f"/v1/jobs/{role.provider}/{quote(job, safe='')}"
        assert (await caller.call("PUT", path, wish))[0] == 201
