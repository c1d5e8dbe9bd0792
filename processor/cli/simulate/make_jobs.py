"""Which jobs are played: of which profile and kind, under which ids, with which lives."""

from random import Random

from processor.cli.exit_codes import CommandError
from processor.model import FINAL, State
from processor.provider import Profile, check_id, full_id
from processor.simulation import Job, life, told_params

ENDS = tuple(state.value for state in State if state in FINAL)


def end_of(text: str) -> State:
    """How a life ends; CommandError naming the ends that there are."""
    if text not in ENDS:
        raise CommandError(f"--end {text}: a life ends {', '.join(ENDS)}")
    return State(text)


def kind_of(profile: Profile, wanted: str | None, *, pushed: bool) -> str | None:
    """The kind that is wanted, else the first that can be played; CommandError if none."""
    if wanted is not None and wanted not in profile.kinds:
        there = ", ".join(kind for kind in profile.kinds if kind) or "none"
        raise CommandError(f"--kind {wanted}: {profile.name} has no such kind; there is {there}")
    kinds = [wanted] if wanted is not None else list(profile.kinds)
    for kind in kinds:
        known = profile.kinds[kind]
        if known.push if pushed else known.poll:
            return kind
    raise CommandError(
        f"{profile.name} does not push about such jobs; leave out --to, and have it polled"
        if pushed
        else f"{profile.name} cannot be polled about such jobs; say where to push: --to URL"
    )


def cast(
    profile: Profile, kind: str | None, ids: list[str], *, end: State, seconds: float, url: str
) -> list[Job]:
    """Make the jobs; `url` is where they can be asked about, for those that tell it."""
    try:
        moments = life(profile, kind, end, seconds)
        params = told_params(profile, kind)
        for one in ids:
            check_id(full_id(kind, one), kind)
    except ValueError as error:
        raise CommandError(str(error)) from None
    poll = profile.polls(kind)
    told = poll.request.setting if poll else None
    return [
        Job(
            profile,
            kind,
            one,
            moments,
            params | ({told: f"{url}/jobs/{one}"} if told in params else {}),
        )
        for one in ids
    ]


def ids_of(given: str | None, count: int, rng: Random) -> list[str]:
    """Give every job an id of its own: new ones each time, as ended jobs do not begin again."""
    start = given or f"sim-{rng.getrandbits(32):08x}"
    return [start] if count == 1 else [f"{start}-{number}" for number in range(1, count + 1)]
