"""Sign in with an API key, and sign out."""

import time
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from processor import form_data
from processor.config import Settings
from processor.errors import Unauthorized
from processor.web.auth import HAS_KEY, PAGES
from processor.web.dashboard.forms import read_form, read_own_form
from processor.web.dashboard.render import HEADERS, render
from processor.web.rate_limit import Handler
from processor.web.request_body import read_as
from processor.web.session import COOKIE, LIFETIME, Sessions, session_of


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /session`, as JSON or as a form."""

    key: str


class SignIn:
    """The handlers of /session, and the form."""

    def __init__(self, settings: Settings) -> None:
        self._sessions = Sessions(settings.api_keys)
        self._public = settings.public_url or ""

    def or_form(self, handler: Handler) -> Handler:
        """The same page, or the sign-in form for a browser without a session."""

        async def answer(request: Request) -> Response:
            if request.scope[HAS_KEY] or session_of(request):
                return await handler(request)
            return self._form(request, request.query_params.get("next", ""))

        return answer

    async def post(self, request: Request) -> Response:
        """Sign in: a form leads on to a page, JSON is answered 204; 401 for an unknown key."""
        if not request.headers.get("content-type", "").lower().startswith(form_data.PLAIN):
            credentials = await read_as(request, Credentials)
            return self._with_cookie(request, Response(status_code=204), credentials.key)
        form = await read_form(request)
        onward = form.get("next", "")
        try:
            response = RedirectResponse(onward if is_page(onward) else "/", 303)
            return self._with_cookie(request, response, form.get("key", "").strip())
        except Unauthorized:
            return self._form(request, onward, 401)

    async def sign_out(self, request: Request) -> Response:
        """The button: forget the session, and show the form."""
        await read_own_form(request)
        return self._without_cookie(RedirectResponse("/?notice=signed-out", 303))

    async def delete(self, _: Request) -> Response:
        """The call: forget the session."""
        return self._without_cookie(Response(status_code=204))

    def _form(self, request: Request, onward: str, status: int = 200) -> Response:
        """A link on another site does not carry the cookie: the form then tries the page once more."""
        elsewhere = request.headers.get("sec-fetch-site") == "cross-site"
        values = {"onward": onward if is_page(onward) else "", "again": elsewhere}
        return render(request, "sign_in.html", status, wrong=status != 200, **values)  # noqa: PLR2004

    def _with_cookie(self, request: Request, response: Response, key: str) -> Response:
        cookie = self._sessions.create(key, time.time())
        if cookie is None:
            raise Unauthorized("This is none of RINGBACK_API_KEYS")
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=LIFETIME,
            httponly=True,
            samesite="strict",
            secure=self._is_https(request),
        )
        response.headers.update(HEADERS)
        return response

    def _without_cookie(self, response: Response) -> Response:
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        response.headers.update(HEADERS)
        return response

    def _is_https(self, request: Request) -> bool:
        """Whether the browser speaks https, to us or to the proxy in front."""
        if "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "")):
            return True
        public = urlsplit(self._public)
        return public.scheme == "https" and public.netloc == request.headers.get("host")


def is_page(path: str) -> bool:
    """Whether a path is one of our own pages."""
    return path.startswith(PAGES) and "\\" not in path
