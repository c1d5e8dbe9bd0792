"""The demo's scenarios: which jobs are simulated and how, and which callbacks must come."""

import base64
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from random import Random
from typing import Any, NamedTuple

from processor.cli.demo.subscriber_server import Callback
from processor.cli.simulate.make_jobs import make_jobs
from processor.cli.simulate.output import source_table, toml_lines
from processor.cli.simulate.progress import Run
from processor.cli.simulate.provider_server import ProviderServer
from processor.cli.simulate.push_sender import Hook, PushSender
from processor.cli.simulate.run import Pushing, started
from processor.config.profiles import ProfileRegistry
from processor.model import FINAL, Push, State
from processor.provider import Profile, full_id
from processor.simulation import Faults, SimulatedJob, plan_pushes

UNAUTHORIZED = 401
EVENTS = ["job.started", "job.progressed", "job.completed"]
DUPLICATES, RNG = Faults(duplicates=1.0), Random(0)  # noqa: S311 - every push is sent twice
SECONDS = 3.0  # that each job takes
FINAL_EVENTS = frozenset(f"job.{state}" for state in FINAL)


class Scenario(NamedTuple):
    """Simulated jobs of one source: how each ends, and whether they are pushed or polled."""

    source: str
    provider: str
    ends: Mapping[str, State]  # by the provider's id
    kind: str | None = None
    pushed: bool = False

    @property
    def profile(self) -> Profile:
        """The provider's profile."""
        return ProfileRegistry()[self.provider]

    @property
    def jobs(self) -> list[SimulatedJob]:
        """The jobs; none of them has begun."""
        ends, profile = self.ends.items(), self.profile
        made = (
            make_jobs(profile, self.kind, [job_id], end=end, seconds=SECONDS, url="")
            for job_id, end in ends
        )
        return [job for jobs in made for job in jobs]


SCENARIOS = (
    Scenario("wistia", "wistia", {"197424": State.SUCCEEDED}),
    Scenario(
        "bluesky",
        "bluesky",
        {"d9it0jc5ep2c73frhd4g": State.SUCCEEDED, "d004n3qbh3us72spkh2g": State.FAILED},
    ),
    Scenario("wistia", "wistia", {"l9dqljgtfy": State.SUCCEEDED}, kind="media", pushed=True),
    Scenario("encoder", "standard", {"job-1": State.SUCCEEDED}, pushed=True),
)

EXPECTED = {
    (scenario.source, full_id(scenario.kind, job_id)): f"job.{end}"
    for scenario in SCENARIOS
    for job_id, end in scenario.ends.items()
}
"""The final event of each job; a job is its source and id."""


class Simulation:
    """A scenario and its run: polled at a server, or pushed and signed with a secret."""

    def __init__(self, scenario: Scenario, stack: ExitStack) -> None:
        """If the jobs are polled, a server listens until the stack is closed."""
        self.scenario, self.run = scenario, Run(scenario.jobs)
        self._server: ProviderServer | None = None
        self._pushing: Pushing | None = None
        self._sender: PushSender | None = None
        self._secret = make_secret()
        if not scenario.pushed:
            server = ProviderServer(0, scenario.profile, scenario.kind)
            self._server = stack.enter_context(server)

    @property
    def settings(self) -> dict[str, Any]:
        """What the source needs in ringback.toml."""
        profile, server = self.scenario.profile, self._server
        if server:
            return source_table(profile, self.scenario.kind, server.base, server.url)
        return {"provider": profile.name, "webhook_secret": self._secret}

    @contextmanager
    def started(self, url: str) -> Iterator[None]:
        """Answer polls, or push to Ringback at this URL, while the block runs."""
        if self.scenario.pushed:
            pushes = plan_pushes(list(self.run.jobs.values()), DUPLICATES, RNG)
            hook = Hook(f"{url}/hooks/{self.scenario.source}")
            self._pushing = Pushing(hook, self._secret, pushes)
        with started(self.run, self._server, self._pushing) as self._sender:
            yield

    @property
    def sending(self) -> bool:
        """Whether any push is still to be sent."""
        return self._sender is not None and self._sender.running

    def problems(self) -> Iterator[str]:
        """Pushes that were not accepted, or a forged push that was not refused."""
        source = self.scenario.source
        for reason in self.run.refusals:
            yield f"{source}: a push was refused with {reason}"
        if self.run.given_up:
            yield f"{source}: {self.run.given_up} pushes were not accepted"
        if self._pushing and (status := self._send_forged(self._pushing)) != UNAUTHORIZED:
            yield f"{source}: a forged push was answered {status}"

    def _send_forged(self, pushing: Pushing) -> int | None:
        """Send the last push with a body that was changed after it was signed."""
        due, now = pushing.plan.pushes[-1], time.time()
        push = list(self.run.jobs.values())[due.job].push(due.number, now)
        signed = push.signed(pushing.secret, now)
        return pushing.hook.send(Push(signed.headers, signed.body + b" ", signed.query)).status


def configuration(simulations: Sequence[Simulation], subscriber: str, secret: str) -> str:
    """The demo's ringback.toml."""
    tables: dict[str, dict[str, Any]] = {}
    for simulation in simulations:
        source = f"sources.{simulation.scenario.source}"
        tables[source] = tables.get(source, {}) | simulation.settings
    tables["subscriptions.demo"] = {"url": subscriber, "events": EVENTS, "secret": secret}
    return "\n".join(line for name, table in tables.items() for line in toml_lines(name, table))


def final_events(callbacks: Sequence[Callback], job: tuple[str, str]) -> list[Callback]:
    """The callbacks with a final event of this job."""
    return [call for call in callbacks if call.job == job and call.type in FINAL_EVENTS]


def judge(callbacks: Sequence[Callback], refused: Sequence[str]) -> list[str]:
    """What is wrong: each job must have one final event, of the expected type, all verified."""
    problems = [f"a callback was not verified: {reason}" for reason in refused]
    for job, event_type in EXPECTED.items():
        name, ends = "/".join(job), final_events(callbacks, job)
        if {call.type for call in ends} != {event_type}:
            got = ", ".join(sorted({call.type for call in ends})) or "nothing"
            problems.append(f"{name}: expected {event_type}, got {got}")
        elif len({call.id for call in ends}) > 1:
            problems.append(f"{name}: {event_type} came as several events")
    return problems


def make_secret() -> str:
    """A new secret of the Standard Webhooks form."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
