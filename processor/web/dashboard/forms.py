"""A submitted form: read, and sent by one of our own pages."""

from starlette.requests import Request

from processor import form_data
from processor.errors import Forbidden, InvalidValue, WrongType
from processor.web.auth import HAS_KEY
from processor.web.request_body import read_body
from processor.web.session import session_of

MAX_FORM = 64 * 1024  # bytes

Form = dict[str, str]


async def read_form(request: Request) -> Form:
    """The fields of a form."""
    headers = dict(request.headers)
    if headers.get("content-type", "").partition(";")[0].strip().lower() != form_data.PLAIN:
        raise WrongType(f"Send the form as Content-Type: {form_data.PLAIN}")
    length, state = headers.get("content-length", "0"), request.scope.get("state", {})
    form = form_data.fields(headers, await read_body(length, state, request.receive, MAX_FORM))
    for name, value in form.items():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidValue(f"{name}: send it as UTF-8") from error
    return form


async def read_own_form(request: Request) -> Form:
    """The same, of a form with the CSRF token of its session; Forbidden without it."""
    form, session = await read_form(request), session_of(request)
    if not request.scope[HAS_KEY] and not (session and session.allows(form.get("csrf_token", ""))):
        raise Forbidden("This form is not of your session: reload the page, and try again")
    return form
