"""One simulated job: its pushes and its poll responses over time."""

import msgspec

from processor.model import Failure, HttpResponse, Origin, State, StatusUpdate
from processor.provider import full_id
from processor.provider.profile import Profile
from processor.simulation.poll_response import write_poll_response, write_submit_response
from processor.simulation.push import UnsignedPush, write_push
from processor.simulation.timeline import Moment, cut_short

RESULT = {"simulated": True}
ERROR = Failure("simulated", "simulated failure")


class SimulatedJob(msgspec.Struct, frozen=True):
    """A job and its timeline; `id` is the provider's."""

    profile: Profile
    kind: str | None
    id: str
    moments: tuple[Moment, ...]
    params: dict[str, str]

    @property
    def full_id(self) -> str:
        """The id that Ringback shows: with its kind."""
        return full_id(self.kind, self.id)

    def event_id(self, number: int) -> str:
        """The provider's id of the push about that moment."""
        return f"{self.id}-{number}"

    def push(self, number: int, started_at: float) -> UnsignedPush:
        """The push about this moment of a job that started then."""
        update = self._update(number, started_at, self.moments[number].pushed)
        return write_push(self.profile, self.kind, update)

    def answer(self, elapsed: float, started_at: float) -> HttpResponse | None:
        """The response to a poll `elapsed` seconds after the start; None: the job is unknown yet."""
        reached = [
            n for n, moment in enumerate(self.moments) if moment.polled and moment.at <= elapsed
        ]
        if not reached:
            return None
        update = self._update(reached[-1], started_at, self.moments[reached[-1]].polled)
        return write_poll_response(self.profile, self.kind, update)

    def canceled(self, elapsed: float) -> "SimulatedJob":
        """The job if it is canceled now; ValueError if it cannot be."""
        moments = cut_short(self.profile, self.kind, self.moments, elapsed)
        return msgspec.structs.replace(self, moments=moments)

    def submitted(self, started_at: float) -> HttpResponse:
        """The response to the submit call that started it."""
        first = self.moments[0]
        update = self._update(0, started_at, first.polled or first.pushed)
        return write_submit_response(self.profile, self.kind, update)

    def is_over(self, elapsed: float) -> bool:
        """Whether a poll `elapsed` seconds after the start returns the final state."""
        polled = [moment for moment in self.moments if moment.polled]
        return not polled or polled[-1].at <= elapsed

    def _update(self, number: int, started_at: float, word: str | None) -> StatusUpdate:
        moment = self.moments[number]
        return StatusUpdate(
            source=self.profile.name,
            id=self.full_id,
            status=word or "",
            state=moment.state,
            at=started_at + moment.at,
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
