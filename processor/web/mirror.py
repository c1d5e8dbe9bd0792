"""GET /mirror/{source}{path}: the provider's own status call, answered from the last poll."""

from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from processor import provider
from processor.errors import InvalidValue, NotFound
from processor.service.polling.mirror import Mirror as StatusMirror
from processor.service.runtime.context import Context
from processor.web.auth import HAS_KEY
from processor.web.mirror_routes import Match, MirrorRoutes, target_of


class Mirror:
    """The handler of /mirror."""

    def __init__(self, context: Context) -> None:
        self._mirror = StatusMirror(context)
        self._routes = MirrorRoutes(context.settings.sources.values())

    async def get(self, request: Request) -> Response:
        """The provider's last response about a job."""
        name, rest = request.path_params["source"], request.path_params["path"]
        target = target_of(f"/{rest}", request.scope["query_string"])
        match = self._routes.find(name, target)
        if match is None:
            raise NotFound(
                f"No source {name!r} mirrors {target}: /v1/sources lists the mirror paths"
            )
        return await self._read(match, has_key=request.scope[HAS_KEY])

    async def _read(self, match: Match, *, has_key: bool) -> Response:
        try:
            bare = provider.check_id(unquote(match.raw_id, errors="strict"))
            job = provider.check_id(provider.full_id(match.kind, bare))
        except ValueError as error:
            raise InvalidValue(f"id: {error}") from error
        answer = await self._mirror.read(match.source, job, has_key=has_key)
        headers = {"content-type": answer.content_type}
        if answer.retry_after:
            headers["retry-after"] = answer.retry_after
        return Response(answer.body, answer.status, headers)
