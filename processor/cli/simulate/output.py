"""What `simulate` prints: how to configure Ringback for the simulated provider, and a summary."""

import json as codec
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from processor.cli import output
from processor.cli.simulate.poll_routes import STATUS_PATH, SUBMIT_PATH
from processor.cli.simulate.progress import Run
from processor.cli.simulate.simulated_source import SimulatedSource
from processor.provider import Profile
from processor.simulation import SimulatedJob
from processor.simulation.vocabulary import VALUE

TOKEN = "any"  # noqa: S105 - the simulated provider does not check tokens
MAX_IDS_SHOWN = 5  # a thousand would fill the screen


def source_table(profile: Profile, kind: str | None, base: str, url: str) -> dict[str, Any]:
    """The `[sources.NAME]` with which Ringback can poll the simulated provider."""
    table: dict[str, Any] = {"provider": profile.name}
    poll = profile.polls(kind)
    if poll is None:
        return table
    setting = poll.request.setting
    if poll.request.path or setting in profile.kinds[kind].params_from_provider:
        table["base_url"] = url
    if poll.auth and not poll.auth.optional:
        table["token"] = TOKEN
    if setting == "status_url":
        table["status_url"] = base + STATUS_PATH
    params = {setting: base + STATUS_PATH} if setting and setting != "status_url" else {}
    path = poll.request.path
    params |= dict.fromkeys(sorted((path.placeholders if path else frozenset()) - {"id"}), VALUE)
    return {**table, "params": params} if params else table


def toml_lines(name: str, table: Mapping[str, Any]) -> list[str]:
    """A table as lines of TOML."""
    return [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]


def setup_document(
    jobs: Sequence[SimulatedJob], seed: int, table: Mapping[str, Any], base: str | None
) -> None:
    """Print as JSON what will be simulated, and what Ringback needs to poll it at `base`."""
    ids = [job.full_id for job in jobs]
    output.document({"jobs": ids, "seed": seed, "url": base, "source": table})


def setup(
    jobs: Sequence[SimulatedJob],
    seed: int,
    table: Mapping[str, Any],
    source: SimulatedSource,
    base: str | None,
    *,
    pushed: bool,
) -> None:
    """Print what will be simulated, and what Ringback still needs to poll it at `base`."""
    ids = [job.full_id for job in jobs]
    shown = ", ".join(ids) if len(ids) <= MAX_IDS_SHOWN else f"{ids[0]} to {ids[-1]}"
    output.line(f"{table['provider']}: {shown} (--seed {seed} repeats this run)")
    if base is None:
        return
    name = source.name or re.sub(r"[^a-z0-9_-]", "-", str(table["provider"]))
    missing = source.missing_settings(table) if source.name else table
    _settings(name, base, missing, configured=bool(source.name))
    if not pushed:
        output.line(
            f"then run `ringback watch {name} {shlex.quote(ids[0])}`; "
            f"POST {base}{SUBMIT_PATH} begins a job too"
        )


def _settings(name: str, base: str, missing: Mapping[str, Any], *, configured: bool) -> None:
    """Print what must be added to ringback.toml, or that nothing must."""
    if not missing:
        output.line(f"polls are answered at {base}, where [sources.{name}] polls")
        return
    what = "must change" if configured else "needs"
    output.line(f"polls are answered at {base}; what ringback.toml {what}:")
    for line in toml_lines(f"sources.{name}", missing):
        output.line(f"  {line}")


def awaiting_confirmation(seconds: float) -> None:
    """Say that pushes alone do not end a job."""
    answered = f"polls are answered for {seconds:g} s at most" if seconds else "give --linger 60"
    output.notice(f"a pushed end counts only after a poll confirms it: {answered}")


def awaiting_polls(seconds: float) -> None:
    """Say that no push says the end of some jobs."""
    output.notice(
        f"ends whose pushes were lost must be polled: polls are answered for {seconds:g} s at most"
    )


def awaiting_registration() -> None:
    """Say that pushes alone make no job."""
    output.notice('pushes are held until each job is registered: PUT it, or set track = "all"')


def not_confirmed() -> None:
    """Say that the end of some job was not polled."""
    output.notice(
        "not every end was polled: check that Ringback has the job, and that the source's base_url "
        "leads here"
    )


def summary(run: Run, lost: int, *, json: bool) -> None:
    """Print what was sent and lost, and how pushes and polls were answered."""
    sent = {"sent": run.sent, "duplicates": run.repeated, "lost": lost}
    if json:
        pushes = {**sent, "given_up": run.given_up, "answers": dict(run.pushes)}
        output.document({"pushes": pushes, "polls": dict(run.polls)})
    else:
        counts = ", ".join(f"{number} {what}" for what, number in sent.items())
        output.line(f"pushes: {counts}; answers: {_counts(run.pushes)}")
        output.line(f"polls: {_counts(run.polls)}")
    for reason, count in sorted(run.refusals.items()):
        output.notice(f"refused pushes: {count} with {reason}")
    if run.given_up:
        output.notice(f"pushes that were not accepted: {run.given_up}; is Ringback running there?")


def _counts(counter: Mapping[str, int]) -> str:
    return ", ".join(f"{status} x{count}" for status, count in sorted(counter.items())) or "none"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    return codec.dumps(value, ensure_ascii=False)  # TOML has no surrogate pairs
