"""`mirror_root`: checks that each mirror path served at the root belongs to one source."""

from collections.abc import Callable, Iterable
from itertools import combinations

from processor.config.place import Place
from processor.config.settings import Source
from processor.errors import ConfigError
from processor.provider import paths_overlap

OURS = frozenset(
    [
        "v1",
        "hooks",
        "mirror",
        "final",
        "healthz",
        "readyz",
        "metrics",
        "openapi.json",
        "session",
        "mcp",
        "static",
        "dashboard",
    ]
)
"""First segments of our own paths, present and future."""


def check_mirror_root(at: Callable[[str], Place], sources: Iterable[Source]) -> None:
    """ConfigError for a path at the root that two sources have, or that is our own."""
    paths = [
        (source, path) for source in sources if source.mirror_root for path in _paths(at, source)
    ]
    for (first, path), (other, second) in combinations(paths, 2):
        if first is not other and paths_overlap(path, second):
            raise ConfigError(
                f"{at(f'sources.{other.name}.mirror_root')}: {second} is served at the root for "
                f"sources.{first.name} already; leave it to one of them, and give the SDK of the "
                f"other the base URL /mirror/{other.name}"
            )


def _paths(at: Callable[[str], Place], source: Source) -> list[str]:
    paths = list(source.mirror_paths.values())
    key = at(f"sources.{source.name}.mirror_root")
    if not paths:
        raise ConfigError(f"{key}: {source.profile.name} has no path to mirror; leave it out")
    for path in paths:
        first = path.split("/")[1].partition("?")[0]
        if first in OURS or "{id}" in first or not first:
            raise ConfigError(
                f"{key}: {path} would hide Ringback's own /{first}; leave it out, and give the SDK "
                f"the base URL /mirror/{source.name}"
            )
    return paths
