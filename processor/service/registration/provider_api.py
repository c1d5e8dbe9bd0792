"""One request to a provider's own API for a source; its errors say what to change."""

from typing import Any, NamedTuple

import msgspec

from processor.config import Source
from processor.config.redaction import excerpt
from processor.egress import Egress, NetworkScope
from processor.errors import BlockedTarget, ConfigError, ProviderError, RequestFailed, Unreadable
from processor.json_input import read_json
from processor.model import SUCCESSES, HttpResponse
from processor.provider.poll_response import as_line

TIMEOUT = 15.0  # seconds for a response
MAX_RESPONSE = 4_194_304  # bytes: a list contains whole webhooks


class ApiRequest(NamedTuple):
    """A request without its authentication."""

    method: str
    url: str
    body: Any = None


async def send(egress: Egress, source: Source, request: ApiRequest) -> HttpResponse:
    """Send a request; ConfigError if it is refused, ProviderError if the provider is unavailable."""
    body = None if request.body is None else msgspec.json.encode(request.body)
    headers = {"Accept": "application/json", **await _auth_headers(source)}
    try:
        response = await egress.request(
            request.method,
            request.url,
            headers=headers | ({} if body is None else {"Content-Type": "application/json"}),
            body=body,
            scope=NetworkScope.CONFIGURED,
            timeout=TIMEOUT,
            read_limit=MAX_RESPONSE,
        )
    except BlockedTarget as error:
        raise ConfigError(f"sources.{source.name}.base_url: {error}") from None
    except RequestFailed as error:
        raise ProviderError(f"{described(source, request)}: {error}", 504) from None
    _check(source, request, response)
    return response


async def _auth_headers(source: Source) -> dict[str, str]:
    """The headers of a poll, with the `auth` of [register] if it has one."""
    profile, token = source.profile, (await source.account_now()).token
    poll = next((kind.poll for kind in profile.kinds.values() if kind.poll), None)
    auth = (profile.register and profile.register.auth) or (poll and poll.auth)
    headers = dict(poll.headers) if poll else {}
    if auth and token:
        name, value = auth.header(token)
        headers[name] = value
    elif auth and not auth.optional:
        raise ConfigError(f"sources.{source.name}: set its token: {profile.name} asks for one")
    return headers


def _check(source: Source, request: ApiRequest, response: HttpResponse) -> None:
    """Raise unless the request succeeded."""
    reason = f"HTTP {response.status}: {redacted(source, response)}"
    if response.status in (401, 403):
        raise ConfigError(
            f"{source.profile.name} refuses the token of sources.{source.name} ({reason}): "
            "give one that may manage webhooks"
        )
    if response.status >= 500:  # noqa: PLR2004 - HTTP's own line
        raise ProviderError(f"{described(source, request)} answered {reason}", 502)
    if response.status not in SUCCESSES:
        raise ConfigError(
            f"{described(source, request)} answered {reason}; check token, params and base_url of "
            f"sources.{source.name}"
        )


def described(source: Source, request: ApiRequest) -> str:
    """Provider and request, for messages."""
    return f"{source.profile.name}: {request.method} {request.url}"


def document(response: HttpResponse) -> Any:
    """Read a body as JSON; None if it is not JSON, such as an empty 204."""
    try:
        return read_json(response.body)
    except Unreadable:
        return None


def redacted(source: Source, response: HttpResponse) -> str:
    """The start of a response, without the secrets that it may repeat."""
    return excerpt(source, as_line(response.body))
