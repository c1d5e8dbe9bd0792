"""Which jobs are played: of which profile and kind, under which ids, with which lives."""

import tomllib
from pathlib import Path
from random import Random

import msgspec

from processor.cli.exits import CommandError
from processor.config.shelf import Shelf
from processor.config.tables import File
from processor.errors import ConfigError
from processor.model import FINAL, State
from processor.provider import Profile, check_id, full_id
from processor.simulation import Job, life, told_params


def profile_of(name: str, file: Path | None) -> Profile:
    """Find a profile: a built-in one, or one of the folder that a configuration names."""
    shelf = Shelf(_folder(file) if file else None)
    if name not in shelf:
        raise CommandError(f"no provider {name!r}; there are {', '.join(shelf)}")
    return shelf[name]


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
    if end not in FINAL:
        raise CommandError(f"--end {end}: a life ends {', '.join(s for s in State if s in FINAL)}")
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


def _folder(file: Path) -> Path | None:
    """The folder of the user's own profiles; the rest of the configuration does not matter."""
    try:
        named = msgspec.convert(tomllib.loads(file.read_text()), File).providers
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from None
    return file.parent / named if named else None
