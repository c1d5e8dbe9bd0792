"""Which jobs are simulated: their kind, their ids, how they end and how long they take."""

from random import Random

from processor.cli.exit_codes import CommandError
from processor.model import FINAL, State
from processor.provider import Profile, check_id, full_id
from processor.simulation import SimulatedJob, params_from_provider, timeline

ENDS = tuple(state.value for state in State if state in FINAL)


def end_state(text: str) -> State:
    """The final state of this name; CommandError naming the final states."""
    if text not in ENDS:
        raise CommandError(f"--end {text}: a job ends {', '.join(ENDS)}")
    return State(text)


def choose_kind(profile: Profile, wanted: str | None, *, pushed: bool) -> str | None:
    """The wanted kind, else the first that can be simulated; CommandError if none can."""
    if wanted is not None and wanted not in profile.kinds:
        known = ", ".join(kind for kind in profile.kinds if kind) or "none"
        raise CommandError(f"--kind {wanted}: {profile.name} has no such kind; it has {known}")
    kinds = [wanted] if wanted is not None else list(profile.kinds)
    for kind in kinds:
        fields = profile.kinds[kind]
        if fields.push if pushed else fields.poll:
            return kind
    raise CommandError(
        f"{profile.name} does not push about such jobs; leave out --to, and poll them"
        if pushed
        else f"{profile.name} cannot be polled about such jobs; name a hook to push to: --to URL"
    )


def make_jobs(
    profile: Profile, kind: str | None, ids: list[str], *, end: State, seconds: float, url: str
) -> list[SimulatedJob]:
    """Make the jobs; `url` is the simulated provider's, for providers that send a status URL."""
    try:
        moments = timeline(profile, kind, end, seconds)
        params = params_from_provider(profile, kind)
        for job_id in ids:
            check_id(full_id(kind, job_id), kind)
    except ValueError as error:
        raise CommandError(str(error)) from None
    poll = profile.polls(kind)
    setting = poll.request.setting if poll else None
    return [
        SimulatedJob(
            profile,
            kind,
            job_id,
            moments,
            params | ({setting: f"{url}/jobs/{job_id}"} if setting in params else {}),
        )
        for job_id in ids
    ]


def make_ids(given: str | None, count: int, rng: Random) -> list[str]:
    """An id for every job: new ones in each run, because ended jobs do not begin again."""
    start = given or f"sim-{rng.getrandbits(32):08x}"
    return [start] if count == 1 else [f"{start}-{number}" for number in range(1, count + 1)]
