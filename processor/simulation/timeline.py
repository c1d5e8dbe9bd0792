"""A simulated job's timeline: its states, statuses and progress over time."""

from typing import NamedTuple

from processor.model import FINAL, State
from processor.provider.profile import Profile
from processor.simulation.vocabulary import Words, vocabulary

# Each stage: the state, the fraction of the job's duration, and the progress.
STAGES = ((State.QUEUED, 0.0, None), (State.RUNNING, 1 / 3, 0.25), (State.RUNNING, 2 / 3, 0.75))


class Moment(NamedTuple):
    """The job's state from `at` seconds on, with the words that are pushed and polled then.

    A word is None if the push or response has no word for the state, or nothing new to report.
    """

    at: float
    state: State
    progress: float | None
    pushed: str | None
    polled: str | None


def timeline(profile: Profile, kind: str | None, end: State, seconds: float) -> tuple[Moment, ...]:
    """The moments of a job of this duration; ValueError if it cannot end in this state."""
    pushed, polled = vocabulary(profile, kind)
    if end not in pushed and end not in polled:
        ends = ", ".join(state for state in State if state in FINAL and state in pushed | polled)
        raise ValueError(f"{profile.name} has no word for {end}; its jobs end {ends}")
    last = (end, 1.0, 1.0 if end is State.SUCCEEDED else None)
    moments: list[Moment] = []
    for state, part, progress in (*STAGES, last):
        words = _first_word(pushed, state), _first_word(polled, state)
        if any(words):
            moments.append(Moment(part * seconds, state, progress, *words))
    return _without_repeats(profile, kind, moments)


def cut_short(
    profile: Profile, kind: str | None, moments: tuple[Moment, ...], at: float
) -> tuple[Moment, ...]:
    """The moments of a job that is canceled `at` seconds after its start; ValueError if it has ended
    by then, or if no poll can say so.
    """
    pushed, polled = vocabulary(profile, kind)
    word = _first_word(polled, State.CANCELED)
    if word is None:
        raise ValueError(f"{profile.name} has no word for {State.CANCELED}")
    if moments[-1].at <= at:
        raise ValueError("the job has ended")
    canceled = Moment(at, State.CANCELED, None, _first_word(pushed, State.CANCELED), word)
    return (*(moment for moment in moments if moment.at <= at), canceled)


def _first_word(words: Words, state: State) -> str | None:
    """One word per state: a profile does not say in which order several words come."""
    return next(iter(words.get(state, ())), None)


def _without_repeats(
    profile: Profile, kind: str | None, moments: list[Moment]
) -> tuple[Moment, ...]:
    """Drop pushes that repeat a word, unless they report progress."""
    push_fields = profile.kinds[kind].push
    if push_fields and push_fields.progress:
        return tuple(moments)
    before = [None, *(moment.pushed for moment in moments)]
    return tuple(
        moment._replace(pushed=None) if moment.pushed == old else moment
        for old, moment in zip(before, moments, strict=False)
    )
