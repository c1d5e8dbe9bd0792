"""GET /mirror/{source}{path}: the provider's own status call, answered from the last poll."""

import re
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from processor import provider
from processor.config import Source
from processor.errors import InvalidValue, NotFound
from processor.service.events.tail import Tailer
from processor.service.polling.mirror import Mirror as StatusMirror, MirrorResponse, Reader
from processor.service.runtime.context import Context
from processor.web.auth import HAS_KEY
from processor.web.mirror_routes import Match, MirrorRoutes, target_of

_CACHE_CONTROL = re.compile(
    r"(?:^|,)\s*(?:no-cache|max-age=\"?(\d{1,9})\"?)\s*(?=,|$)", re.IGNORECASE
)
"""What a request says about the age of an answer (RFC 9111, 5.2.1)."""


class Mirror:
    """The handlers of /mirror."""

    def __init__(self, context: Context, tailer: Tailer) -> None:
        self._mirror = StatusMirror(context, tailer)
        self._routes = MirrorRoutes(context.settings.sources.values())

    async def get(self, request: Request) -> Response:
        """The provider's last response about a job."""
        match, job, reader = self._parse(request)
        return _response(await self._mirror.read(match.source, job, reader))

    async def final(self, request: Request) -> Response:
        """The provider's response that ends a job, once there is one."""
        match, job, reader = self._parse(request)
        return _response(await self._mirror.read_final(match.source, job, reader))

    def _parse(self, request: Request) -> tuple[Match, str, Reader]:
        name, rest = request.path_params["source"], request.path_params["path"]
        target = target_of(f"/{rest}", request.scope["query_string"])
        match = self._routes.find(name, target)
        if match is None:
            raise NotFound(
                f"No source {name!r} mirrors {target}: /v1/sources lists the mirror paths"
            )
        try:
            bare = provider.check_id(unquote(match.raw_id, errors="strict"))
            job = provider.check_id(provider.full_id(match.kind, bare))
        except ValueError as error:
            raise InvalidValue(f"id: {error}") from error
        has_key: bool = request.scope[HAS_KEY]
        return match, job, Reader(has_key, _max_age(match.source, request, has_key=has_key))


_NOT_OUR_PAGE = {"content-security-policy": "sandbox", "x-content-type-options": "nosniff"}
"""A browser must not run what a provider answers beside our dashboard, in the same origin."""


def _max_age(source: Source, request: Request, *, has_key: bool) -> float | None:
    """How old an answer may be: as the source says, and a reader with a key may ask for less."""
    ages = [] if source.mirror_max_age is None else [source.mirror_max_age]
    if has_key:
        found = _CACHE_CONTROL.findall(",".join(request.headers.getlist("cache-control")))
        ages += [float(seconds or 0) for seconds in found]
    return min(ages, default=None)


def _response(mirrored: MirrorResponse) -> Response:
    answer = mirrored.answer
    headers = {"content-type": answer.content_type, **_NOT_OUR_PAGE}
    if answer.at:
        headers["age"] = str(int(mirrored.age))
    if mirrored.retry_after:
        headers["retry-after"] = mirrored.retry_after
    return Response(answer.body, answer.status, headers)
