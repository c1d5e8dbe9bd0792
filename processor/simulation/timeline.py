"""A job's life as data: what is said of it, and when."""

from typing import NamedTuple

from processor.model import FINAL, State
from processor.provider.profile import Profile
from processor.simulation.vocabulary import Words, vocabulary

# How far through its life a job is at each stage, and what its progress is then.
STAGES = ((State.QUEUED, 0.0, None), (State.RUNNING, 1 / 3, 0.25), (State.RUNNING, 2 / 3, 0.75))


class Moment(NamedTuple):
    """From `at` seconds on a job is so: the word that is pushed then, and that a poll answers.

    None: a push, or an answer, has no word for it, or nothing new to say.
    """

    at: float
    state: State
    progress: float | None
    pushed: str | None
    polled: str | None


def timeline(profile: Profile, kind: str | None, end: State, seconds: float) -> tuple[Moment, ...]:
    """Give the moments of a life that lasts so long; ValueError if it cannot end so."""
    pushed, polled = vocabulary(profile, kind)
    if end not in pushed and end not in polled:
        ends = ", ".join(state for state in State if state in FINAL and state in pushed | polled)
        raise ValueError(f"{profile.name} has no word for {end}; its jobs end {ends}")
    last = (end, 1.0, 1.0 if end is State.SUCCEEDED else None)
    moments: list[Moment] = []
    for state, part, progress in (*STAGES, last):
        words = _first(pushed, state), _first(polled, state)
        if any(words):
            moments.append(Moment(part * seconds, state, progress, *words))
    return _only_news(profile, kind, moments)


def _first(words: Words, state: State) -> str | None:
    """One word a state: in which order several come, a profile does not tell."""
    return next(iter(words.get(state, ())), None)


def _only_news(profile: Profile, kind: str | None, moments: list[Moment]) -> tuple[Moment, ...]:
    """Nobody pushes the same word twice, but to tell of progress."""
    told = profile.kinds[kind].push
    if told and told.progress:
        return tuple(moments)
    before = [None, *(one.pushed for one in moments)]
    return tuple(
        one._replace(pushed=None) if one.pushed == old else one
        for old, one in zip(before, moments, strict=False)
    )
