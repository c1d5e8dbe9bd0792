"""One request to a provider's own API in a source's name; a refusal says what to change."""

from typing import Any, NamedTuple

import msgspec

from processor.config import Source
from processor.config.redaction import masked
from processor.egress import Egress, NetworkScope
from processor.errors import BlockedTarget, ConfigError, ProviderError, RequestFailed, Unreadable
from processor.json_input import read_json
from processor.model import HttpResponse
from processor.provider.poll_response import excerpt

TIMEOUT = 15.0  # seconds for an answer
READ_AT_MOST = 4_194_304  # bytes of an answer: a list holds whole hooks


class ApiRequest(NamedTuple):
    """A request, but for what proves who we are."""

    method: str
    url: str
    body: Any = None


async def ask(egress: Egress, source: Source, call: ApiRequest) -> HttpResponse:
    """Send a request; ConfigError where it is refused, ProviderTrouble where nobody serves it."""
    body = None if call.body is None else msgspec.json.encode(call.body)
    headers = {"Accept": "application/json", **_proof(source)}
    try:
        answer = await egress.request(
            call.method,
            call.url,
            headers=headers | ({} if body is None else {"Content-Type": "application/json"}),
            body=body,
            scope=NetworkScope.CONFIGURED,
            timeout=TIMEOUT,
            read_limit=READ_AT_MOST,
        )
    except BlockedTarget as error:
        raise ConfigError(f"sources.{source.name}.base_url: {error}") from None
    except RequestFailed as error:
        raise ProviderError(f"{named(source, call)}: {error}", 504) from None
    _check(source, call, answer)
    return answer


def _proof(source: Source) -> dict[str, str]:
    """The headers that the provider's API wants: those of a poll, with the hooks' own `auth`."""
    profile, token = source.profile, source.account.token
    poll = next((kind.poll for kind in profile.kinds.values() if kind.poll), None)
    auth = (profile.register and profile.register.auth) or (poll and poll.auth)
    headers = dict(poll.headers) if poll else {}
    if auth and token:
        name, value = auth.header(token)
        headers[name] = value
    elif auth and not auth.optional:
        raise ConfigError(f"sources.{source.name}: set its token: {profile.name} asks for one")
    return headers


def _check(source: Source, call: ApiRequest, answer: HttpResponse) -> None:
    """Raise unless the provider said yes."""
    why = f"HTTP {answer.status}: {said(source, answer)}"
    if answer.status in (401, 403):
        raise ConfigError(
            f"{source.profile.name} refuses the token of sources.{source.name} ({why}): "
            "give one that may manage webhooks"
        )
    if answer.status >= 500:  # noqa: PLR2004 - HTTP's own line
        raise ProviderError(f"{named(source, call)} answered {why}", 502)
    if not 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's success
        raise ConfigError(
            f"{named(source, call)} answered {why}; check token, params and base_url of "
            f"sources.{source.name}"
        )


def named(source: Source, call: ApiRequest) -> str:
    """Name provider and request, for messages."""
    return f"{source.profile.name}: {call.method} {call.url}"


def document(answer: HttpResponse) -> Any:
    """Read a body as JSON; None where it is none, such as an empty 204."""
    try:
        return read_json(answer.body)
    except Unreadable:
        return None


def said(source: Source, answer: HttpResponse) -> str:
    """What they said, without the secrets that they may have repeated."""
    return excerpt(masked(source, answer.body.decode("utf-8", "replace")).encode())
