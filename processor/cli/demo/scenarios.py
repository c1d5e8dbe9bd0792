"""The demo's scenarios: which jobs are simulated and how, and which callbacks must come."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from processor.cli.demo.subscriber_server import Callback
from processor.cli.simulate.make_jobs import make_jobs
from processor.config.profiles import ProfileRegistry
from processor.model import FINAL, State
from processor.provider import Profile, full_id
from processor.simulation import SimulatedJob

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
        profile = self.profile
        return [
            job
            for job_id, end in self.ends.items()
            for job in make_jobs(profile, self.kind, [job_id], end=end, seconds=SECONDS, url="")
        ]


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
