"""Runs a scenario: simulates its provider, and configures Ringback for it."""

import base64
import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from random import Random
from typing import Any

from processor.cli.demo.scenarios import Scenario
from processor.cli.simulate.hook import Hook
from processor.cli.simulate.output import source_table, toml_lines
from processor.cli.simulate.progress import Run
from processor.cli.simulate.provider_server import ProviderServer
from processor.cli.simulate.push_sender import PushSender
from processor.cli.simulate.run import started
from processor.model import Push
from processor.simulation import Faults, plan_pushes

UNAUTHORIZED = 401
EVENTS = ["job.started", "job.progressed", "job.completed"]
DUPLICATES, RNG = Faults(duplicates=1.0), Random(0)  # noqa: S311 - every push is sent twice


class Simulation:
    """A scenario and its run: polled at a server, or pushed and signed with a secret."""

    def __init__(self, scenario: Scenario, stack: ExitStack) -> None:
        """If the jobs are polled, a server listens until the stack is closed."""
        self.scenario, self.run = scenario, Run(scenario.jobs)
        self._secret = make_secret()
        self._sender: PushSender | None = None
        self._server: ProviderServer | None = None
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

    def started(self, url: str) -> AbstractContextManager[None]:
        """Answer polls, or push to Ringback at this URL, while the block runs."""
        if self.scenario.pushed:
            hook = Hook(f"{url}/hooks/{self.scenario.source}")
            plan = plan_pushes(list(self.run.jobs.values()), DUPLICATES, RNG)
            self._sender = PushSender(hook, self._secret, self.run, plan.pushes)
        return started(self.run, self._server, self._sender)

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
        if self._sender and (status := _send_forged(self._sender)) != UNAUTHORIZED:
            yield f"{source}: a forged push was answered {status}"


def _send_forged(sender: PushSender) -> int | None:
    """Send the last push with a body that was changed after it was signed."""
    push = sender.signed(sender.pushes[-1])
    return sender.hook.send(Push(push.headers, push.body + b" ", push.query)).status


def configuration(simulations: Sequence[Simulation], subscriber: str, secret: str) -> str:
    """The demo's ringback.toml."""
    tables: dict[str, dict[str, Any]] = {}
    for simulation in simulations:
        source = f"sources.{simulation.scenario.source}"
        tables[source] = tables.get(source, {}) | simulation.settings
    tables["subscriptions.demo"] = {"url": subscriber, "events": EVENTS, "secret": secret}
    return "\n".join(line for name, table in tables.items() for line in toml_lines(name, table))


def make_secret() -> str:
    """A new secret of the Standard Webhooks form."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
