"""What is printed of a play: how to set Ringback up for it, and how it went."""

import json as codec
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from processor.cli import output
from processor.cli.simulate.poll_routes import STATUS, SUBMIT
from processor.cli.simulate.progress import Stage
from processor.cli.simulate.target import Role
from processor.provider import Profile
from processor.simulation import Job
from processor.simulation.vocabulary import VALUE

TOKEN = "any"  # noqa: S105 - the simulated provider looks at none
HOLES = re.compile(r"\{\+?(\w+)\}")
SHOWN = 5  # ids; a thousand would fill the screen


def source(profile: Profile, kind: str | None, base: str, url: str) -> dict[str, Any]:
    """What `[sources.NAME]` must say for Ringback to poll the simulated provider."""
    table: dict[str, Any] = {"provider": profile.name}
    poll = profile.polls(kind)
    if poll is None:
        return table
    setting = poll.request.setting
    if poll.request.path or setting in profile.kinds[kind].gives:
        table["base_url"] = url
    if poll.auth and not poll.auth.optional:
        table["token"] = TOKEN
    if setting == "status_url":
        table["status_url"] = base + STATUS
    params = {setting: base + STATUS} if setting and setting != "status_url" else {}
    path = poll.request.path
    params |= dict.fromkeys(sorted((path.holes if path else frozenset()) - {"id"}), VALUE)
    return {**table, "params": params} if params else table


def document(jobs: Sequence[Job], seed: int, table: Mapping[str, Any], base: str | None) -> None:
    """Say for programs what will be played, and what Ringback needs to poll it at `base`."""
    ids = [job.full_id for job in jobs]
    output.document({"jobs": ids, "seed": seed, "url": base, "source": table})


def opening(
    jobs: Sequence[Job],
    seed: int,
    table: Mapping[str, Any],
    role: Role,
    base: str | None,
    *,
    pushed: bool,
) -> None:
    """Say for people what will be played, and what Ringback still needs to poll it at `base`."""
    ids = [job.full_id for job in jobs]
    shown = ", ".join(ids) if len(ids) <= SHOWN else f"{ids[0]} to {ids[-1]}"
    output.line(f"{table['provider']}: {shown} (--seed {seed} plays the same again)")
    if base is None:
        return
    name = role.source or re.sub(r"[^a-z0-9_-]", "-", str(table["provider"]))
    _setting(name, base, role.lacks(table) if role.source else table, known=bool(role.source))
    if not pushed:
        output.line(
            f"then `ringback watch {name} {shlex.quote(ids[0])}`; POST {base}{SUBMIT} begins one too"
        )


def _setting(name: str, base: str, lines: Mapping[str, Any], *, known: bool) -> None:
    """Show what is to be written into ringback.toml, or that nothing is."""
    if not lines:
        output.line(f"polls are answered at {base}, where [sources.{name}] asks")
        return
    what = "lacks or says otherwise" if known else "needs"
    output.line(f"polls are answered at {base}; what ringback.toml {what}:")
    for line in (f"[sources.{name}]", *(f"{key} = {_toml(v)}" for key, v in lines.items())):
        output.line(f"  {line}")


def confirmation(seconds: float) -> None:
    """Say that pushes alone will not do."""
    answered = f"answering them, for {seconds:g} s at most" if seconds else "--linger 60 answers it"
    output.say(f"an end that is pushed counts once a poll agrees: {answered}")


def unasked() -> None:
    """Say that nobody came."""
    output.say("not every end was asked for: check that the source's base_url leads here")


def summary(stage: Stage, lost: int, *, json: bool) -> None:
    """Say how it went: what was sent and lost, and how pushes and polls were answered."""
    sent = {"sent": stage.sent, "duplicates": stage.repeated, "lost": lost}
    if json:
        pushes = {**sent, "given_up": stage.given_up, "answers": dict(stage.pushes)}
        output.document({"pushes": pushes, "polls": dict(stage.polls)})
    else:
        told = ", ".join(f"{number} {what}" for what, number in sent.items())
        output.line(f"pushes: {told}; answers: {_counts(stage.pushes)}")
        output.line(f"polls: {_counts(stage.polls)}")
    for why, count in sorted(stage.refusals.items()):
        output.say(f"{count} of the pushes refused with {why}")
    if stage.given_up:
        output.say(f"nobody took {stage.given_up} of the pushes: is Ringback running there?")


def _counts(counter: Mapping[str, int]) -> str:
    return ", ".join(f"{status} x{count}" for status, count in sorted(counter.items())) or "none"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    return codec.dumps(value, ensure_ascii=False)  # TOML knows no pairs of surrogates
