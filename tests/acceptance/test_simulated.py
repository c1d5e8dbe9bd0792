"""`ringback simulate` simulates many providers for a real Ringback: every job ends exactly once.

Pushes and answers hold the fields that the provider's profile reads, where its documentation
says they are (see `tests/simulation/`); whole payloads are in `tests/providers/`.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import pytest

from processor.config.profiles import ProfileRegistry

from .feed import Caller
from .processes import Child, free_port
from .sink import Call, Sink
from .system import System
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(90)]

JOBS = 5
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Simulated(NamedTuple):
    """One simulated provider, how its source is configured, and its faults."""

    provider: str
    kind: str = ""
    faults: str = ""
    more: str = ""  # settings of its source
    params: dict[str, str] = {}  # noqa: RUF012 -- of its jobs, as pushes would have set them
    pushes: bool = True
    end: str = "succeeded"


PROVIDERS = [
    Simulated("mux", faults="--duplicates 0.5 --reorder"),  # signed, whole
    Simulated("openai", kind="batch"),  # pushes are not believed: each end waits for a poll
    Simulated("github", faults="--lose 0.6 --throttle 0.2", params={"repo": "o/r"}),  # 304s too
    Simulated("runpod", more='params = { endpoint = "e1" }', end="failed"),  # a token in the URL
    Simulated("transloadit", faults="--duplicates 0.3"),  # forms
    Simulated("cloudevents", more='status_url = "URL/{id}"'),
    Simulated("replicate", faults="--lose 1", end="canceled"),  # no push ever comes
    Simulated("anthropic", pushes=False),
    Simulated("wistia", kind="media", faults="--reorder --duplicates 0.5"),
]


def source(simulated: Simulated, port: int) -> str:
    """The source's table in ringback.toml."""
    url = f"http://127.0.0.1:{port}"
    base = url + urlsplit(ProfileRegistry()[simulated.provider].base_url or "").path
    secret = f'webhook_secret = "{SECRET}"\n' if simulated.pushes else ""
    more = simulated.more.replace("URL", url)
    return (
        f'[sources.{simulated.provider}]\nprovider = "{simulated.provider}"\nbase_url = "{base}"\n'
        f'token = "any"\n{secret}{more}\n'
    )


def simulate(simulated: Simulated, port: int, system: System, folder: Path) -> Child:
    """Start the simulation."""
    args = ["simulate", simulated.provider, "--jobs", str(JOBS), "--id", "job", "--seconds", "2"]
    args += ["--port", str(port), "--linger", "20", "--end", simulated.end, "--seed", "1"]
    args += ["--kind", simulated.kind] if simulated.kind else []
    if simulated.pushes:
        args += ["--to", f"{system.url}/hooks/{simulated.provider}", "--secret", SECRET]
    args += simulated.faults.split()
    return Child(("-m", "processor.cli", *args), folder / f"{simulated.provider}.log", {})


async def test_every_job_ends_once_despite_faults(
    plan: Callable[..., System], tmp_path: Path
) -> None:
    ports = {simulated.provider: free_port() for simulated in PROVIDERS}
    system = plan(
        "".join(source(simulated, ports[simulated.provider]) for simulated in PROVIDERS)
    ).start_all()
    simulations: list[Child] = []
    try:
        async with Sink() as sink, Caller(system.url) as caller:
            for simulated in PROVIDERS:
                await caller.subscribe(sink, simulated.provider)
                await watch(caller, simulated)
            simulations += [
                simulate(simulated, ports[simulated.provider], system, tmp_path)
                for simulated in PROVIDERS
            ]
            expected = {(simulated.provider, simulated.end): JOBS for simulated in PROVIDERS}
            await until(lambda: ends(sink) == expected, 60, "all ends", lambda: ends(sink))
            assert {*Counter((c.event["data"]["source"], c.job) for c in once(sink)).values()} == {
                1
            }
            assert sink.forged == []
    finally:
        for simulation in simulations:
            simulation.end()


def once(sink: Sink) -> list[Call]:
    """The callbacks, without second deliveries of an event."""
    return [*{call.id: call for call in sink.calls}.values()]


def ends(sink: Sink) -> Counter[tuple[str, str]]:
    """How many jobs of each provider ended in which state."""
    return Counter((c.event["data"]["source"], c.event["data"]["state"]) for c in once(sink))


async def watch(caller: Caller, simulated: Simulated) -> None:
    """Watch the jobs, so that those whose pushes are all lost are polled."""
    for number in range(1, JOBS + 1):
        job = f"{simulated.kind}:job-{number}" if simulated.kind else f"job-{number}"
        body = {"poll": {"every": "500ms"}, "params": simulated.params}
        path = f"/v1/jobs/{simulated.provider}/{quote(job, safe='')}"
        assert (await caller.call("PUT", path, body))[0] == 201
