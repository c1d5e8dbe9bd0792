"""Finds the source and the job of a mirror call, also for mirror paths at the root."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from processor.config import Source

PREFIX = "/mirror/"
FINAL = "/final"  # before the provider's path: only the answer that ends a job


class Match(NamedTuple):
    """The job of a mirror call: the id as it was sent, still percent-encoded."""

    source: Source
    kind: str | None
    raw_id: str


class MirrorRoutes:
    """The paths of every source, compiled once."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = {source.name: source for source in sources}
        self._patterns = {
            name: [(kind, _pattern(path)) for kind, path in source.mirror_paths.items()]
            for name, source in self._sources.items()
        }

    def source_of(self, path: str) -> Source | None:
        """The source whose mirror a path belongs to."""
        if not path.startswith(PREFIX):
            return None
        name, slash, _ = path[len(PREFIX) :].partition("/")
        return self._sources.get(name) if slash else None

    def find(self, name: str, target: str) -> Match | None:
        """The job that a path and query in the mirror of a source name."""
        for kind, pattern in self._patterns.get(name, []):
            if match := pattern.fullmatch(target):
                return Match(self._sources[name], kind, match[1])
        return None

    def at_root(self, target: str) -> Source | None:
        """The source that serves a path and query at the root, there or below `/final`."""
        target = target.removeprefix(FINAL)
        found = (self.find(s.name, target) for s in self._sources.values() if s.mirror_root)
        return next((match.source for match in found if match), None)


class MirrorRoot:
    """Rewrites a mirror path at the root to the mirror of its source."""

    def __init__(self, app: ASGIApp, routes: MirrorRoutes) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the mirror's prefix to such a path, and pass on."""
        if scope["type"] == "http":
            source = self._routes.at_root(target_of(scope["path"], scope["query_string"]))
            if source is not None:
                scope["path"] = f"{PREFIX}{source.name}{scope['path']}"
        await self._app(scope, receive, send)


def target_of(path: str, query: bytes) -> str:
    """Path and query as one text."""
    return f"{path}?{query.decode('latin-1')}" if query else path


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(r"\{id\}", "([^/?&#]+)"))
