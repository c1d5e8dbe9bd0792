"""One simulated job: what is told of it, by pushes and by answers."""

import msgspec

from processor.model import Failure, HttpResponse, Origin, State, StatusUpdate
from processor.provider import full_id
from processor.provider.profile import Profile
from processor.simulation.poll_response import write_poll_response, write_submit_response
from processor.simulation.push import UnsignedPush, write_push
from processor.simulation.timeline import Moment

RESULT = {"simulated": True}
ERROR = Failure("simulated", "simulated failure")


class SimulatedJob(msgspec.Struct, frozen=True):
    """A job and its life; `id` is the one that the provider gives it."""

    profile: Profile
    kind: str | None
    id: str
    moments: tuple[Moment, ...]
    params: dict[str, str]

    @property
    def full_id(self) -> str:
        """The id as Ringback shows it: with its kind."""
        return full_id(self.kind, self.id)

    def event_id(self, number: int) -> str:
        """The provider's id of the push about that moment."""
        return f"{self.id}-{number}"

    def push(self, number: int, begun: float) -> UnsignedPush:
        """The push about that moment of a life that began then."""
        update = self._update(number, begun, self.moments[number].pushed)
        return write_push(self.profile, self.kind, update)

    def answer(self, elapsed: float, begun: float) -> HttpResponse | None:
        """The answer to a poll so many seconds after the beginning; None: not there yet."""
        spoken = [n for n, one in enumerate(self.moments) if one.polled and one.at <= elapsed]
        if not spoken:
            return None
        update = self._update(spoken[-1], begun, self.moments[spoken[-1]].polled)
        return write_poll_response(self.profile, self.kind, update)

    def submitted(self, begun: float) -> HttpResponse:
        """The answer to the call that began it."""
        first = self.moments[0]
        update = self._update(0, begun, first.polled or first.pushed)
        return write_submit_response(self.profile, self.kind, update)

    def is_over(self, elapsed: float) -> bool:
        """Whether an answer so many seconds after the beginning tells its end."""
        polled = [one for one in self.moments if one.polled]
        return not polled or polled[-1].at <= elapsed

    def _update(self, number: int, begun: float, word: str | None) -> StatusUpdate:
        moment = self.moments[number]
        return StatusUpdate(
            source=self.profile.name,
            id=self.full_id,
            status=word or "",
            state=moment.state,
            at=begun + moment.at,
            origin=Origin.PUSH,
            attempt=1,
            progress=moment.progress,
            result=_json(RESULT if moment.state is State.SUCCEEDED else None),
            error=ERROR if moment.state is State.FAILED else None,
            event_id=self.event_id(number),
            params=self.params,
        )


def _json(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
