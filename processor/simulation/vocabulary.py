"""Which of a profile's status words a push can contain, and which a poll response."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from processor.errors import RequestError
from processor.model import Origin, State, StatusUpdate
from processor.provider import PollFailure, full_id, read_poll_response, read_push
from processor.provider.profile import Profile
from processor.simulation.poll_response import write_poll_response
from processor.simulation.push import write_push

UNLISTED = "simulated"  # a word that no profile lists, for profiles with `otherwise`
VALUE = "simulated"  # the value of a param without a special meaning

Words = dict[State, tuple[str, ...]]


class Vocabulary(NamedTuple):
    """The words for each state; words that only this channel can contain come first."""

    pushed: Words
    polled: Words


def vocabulary(profile: Profile, kind: str | None) -> Vocabulary:
    """Find the words of each channel, by writing each word and reading it back.

    A profile has one table of words for pushes and poll responses. A word that only one of them
    can contain certainly belongs to it; for the others the profile does not say.
    """
    known = list(_samples(profile, kind))
    pushed = [update for update in known if _reads_back(_read_pushed, profile, kind, update)]
    polled = [update for update in known if _reads_back(_read_polled, profile, kind, update)]
    return Vocabulary(_by_state(pushed, polled), _by_state(polled, pushed))


def params_from_provider(profile: Profile, kind: str | None) -> dict[str, str]:
    """A value for each param that the provider sends with such a job."""
    return {
        name: _param(profile, kind, name)
        for name in sorted(profile.kinds[kind].params_from_provider)
    }


def _param(profile: Profile, kind: str | None, name: str) -> str:
    """If the pointer of a param also selects the kind (`about`), a word that selects this kind."""
    push_fields = profile.kinds[kind].push
    pointer = push_fields.params.get(name) if push_fields else None
    if push_fields is None or pointer is None:
        return VALUE
    words = (
        wanted[0]
        for location, wanted in push_fields.matches.rules
        if isinstance(wanted, tuple) and location in pointer.locations
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


_Roundtrip = Callable[[Profile, str | None, StatusUpdate], tuple[StatusUpdate, ...]]


def _reads_back(
    roundtrip: _Roundtrip, profile: Profile, kind: str | None, update: StatusUpdate
) -> bool:
    try:
        found = roundtrip(profile, kind, update)
    except (ValueError, RequestError):
        return False
    return [(one.id, one.status) for one in found] == [(update.id, update.status)]


def _read_pushed(
    profile: Profile, kind: str | None, update: StatusUpdate
) -> tuple[StatusUpdate, ...]:
    push = write_push(profile, kind, update).push
    return read_push(profile, update.source, push, update.at).updates


def _read_polled(
    profile: Profile, kind: str | None, update: StatusUpdate
) -> tuple[StatusUpdate, ...]:
    response = write_poll_response(profile, kind, update)
    outcome = read_poll_response(profile, update.source, kind, update.id, response, update.at)
    return () if isinstance(outcome, PollFailure) else (outcome,)


def _by_state(mine: list[StatusUpdate], theirs: list[StatusUpdate]) -> Words:
    ordered = sorted(mine, key=lambda update: update in theirs)
    return {
        state: tuple(update.status for update in ordered if update.state is state)
        for state in State
        if any(update.state is state for update in ordered)
    }
