"""GET /mirror/{source}{the profile's mirror path}: the provider's own status call."""

import re
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from processor import provider
from processor.config import Source
from processor.errors import Invalid, NotFound
from processor.service.context import Context
from processor.service.mirroring import mirror


class Mirror:
    """The handler of /mirror."""

    def __init__(self, context: Context) -> None:
        """Compile the paths of every source."""
        self._context = context
        self._paths = {name: _patterns(source) for name, source in context.settings.sources.items()}

    async def get(self, request: Request) -> Response:
        """The provider's last answer about a job."""
        name, rest = request.path_params["source"], request.path_params["path"]
        query = request.scope["query_string"].decode("latin-1")
        asked = f"/{rest}?{query}" if query else f"/{rest}"
        for kind, pattern in self._paths.get(name, []):
            match = pattern.fullmatch(asked)
            if match:
                return await self._mirror(self._context.settings.sources[name], kind, match[1])
        raise NotFound(f"No source {name!r} mirrors {asked}: /v1/sources lists what is mirrored")

    async def _mirror(self, source: Source, kind: str | None, raw: str) -> Response:
        try:
            bare = provider.check_id(unquote(raw, errors="strict"))
            job = provider.check_id(provider.full_id(kind, bare))
        except ValueError as error:
            raise Invalid(f"id: {error}") from error
        answer = await mirror(self._context, source, job)
        headers = {"content-type": answer.content_type}
        if answer.retry_after:
            headers["retry-after"] = answer.retry_after
        return Response(answer.body, answer.status, headers)


def _patterns(source: Source) -> list[tuple[str | None, re.Pattern[str]]]:
    """The mirror path of each kind; what stands for `{id}` is one segment or value."""
    return [
        (kind, re.compile(re.escape(path).replace(r"\{id\}", "([^/?&#]+)")))
        for kind, path in source.profile.mirror.items()
    ]
