"""Which of a profile's words a push can say, and which an answer to a poll."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from processor.errors import RequestError
from processor.model import Origin, State, StatusUpdate
from processor.provider import PollFailure, full_id, read_poll_response, read_push
from processor.provider.profile import Profile
from processor.simulation.poll_response import write_poll_response
from processor.simulation.push import write_push

UNLISTED = "simulated"  # a word that no profile lists, for those that say what any other means
VALUE = "simulated"  # of a param that means nothing to us

Words = dict[State, tuple[str, ...]]


class Vocabulary(NamedTuple):
    """The words for each state; those that only this way of telling can say come first."""

    pushed: Words
    polled: Words


def vocabulary(profile: Profile, kind: str | None) -> Vocabulary:
    """Find out by writing each word and reading it again.

    A profile has one table of words for pushes and for answers. Words that only one of
    them can say are surely its own; of the others it does not tell which says them.
    """
    known = list(_samples(profile, kind))
    pushed = [one for one in known if _same(_pushed, profile, kind, one)]
    polled = [one for one in known if _same(_polled, profile, kind, one)]
    return Vocabulary(_by_state(pushed, polled), _by_state(polled, pushed))


def params_from_provider(profile: Profile, kind: str | None) -> dict[str, str]:
    """Give a value to each param that the provider tells of such a job."""
    return {
        name: _param(profile, kind, name)
        for name in sorted(profile.kinds[kind].params_from_provider)
    }


def _param(profile: Profile, kind: str | None, name: str) -> str:
    """Where a param's place also decides whose update it is, it holds a word that does."""
    told = profile.kinds[kind].push
    place = told.params.get(name) if told else None
    if told is None or place is None:
        return VALUE
    words = (
        wanted[0]
        for location, wanted in told.matches.rules
        if isinstance(wanted, tuple) and location in place.locations
    )
    return next(words, VALUE)


def _samples(profile: Profile, kind: str | None) -> Iterator[StatusUpdate]:
    """An update for each word, in the order of the profile."""
    states = profile.kinds[kind].states
    words = dict(states.words)
    if states.otherwise:
        words.setdefault(UNLISTED, states.otherwise)
    params = params_from_provider(profile, kind)
    for word, state in words.items():
        yield StatusUpdate(
            source=profile.name,
            id=full_id(kind, "simulated"),
            status=word,
            state=state,
            at=0.0,
            origin=Origin.PUSH,
            params=params,
        )


_Again = Callable[[Profile, str | None, StatusUpdate], tuple[StatusUpdate, ...]]


def _same(again: _Again, profile: Profile, kind: str | None, update: StatusUpdate) -> bool:
    try:
        found = again(profile, kind, update)
    except (ValueError, RequestError):
        return False
    return [(one.id, one.status) for one in found] == [(update.id, update.status)]


def _pushed(profile: Profile, kind: str | None, update: StatusUpdate) -> tuple[StatusUpdate, ...]:
    push = write_push(profile, kind, update).push
    return read_push(profile, update.source, push, update.at).updates


def _polled(profile: Profile, kind: str | None, update: StatusUpdate) -> tuple[StatusUpdate, ...]:
    answer = write_poll_response(profile, kind, update)
    told = read_poll_response(profile, update.source, kind, update.id, answer, update.at)
    return () if isinstance(told, PollFailure) else (told,)


def _by_state(mine: list[StatusUpdate], theirs: list[StatusUpdate]) -> Words:
    ordered = sorted(mine, key=lambda one: one in theirs)
    return {
        state: tuple(one.status for one in ordered if one.state is state)
        for state in State
        if any(one.state is state for one in ordered)
    }
