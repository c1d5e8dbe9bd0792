"""The style, the script and the icon: read once, the same for everybody."""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from processor.errors import NotFound
from processor.web.dashboard.render import HEADERS

TYPES = {
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_CONTENT = {
    name: (files("processor.web.dashboard") / "static" / name).read_bytes() for name in TYPES
}
_CACHED = {"cache-control": "public, max-age=300"}


async def static_file(request: Request) -> Response:
    """One file."""
    name = request.path_params["name"]
    if name not in TYPES:
        raise NotFound(f"No file {name!r}")
    return Response(_CONTENT[name], headers={**HEADERS, **_CACHED}, media_type=TYPES[name])
