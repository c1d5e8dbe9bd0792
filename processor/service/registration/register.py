"""Registers our webhook at a provider: reads its list of webhooks, then creates, updates or keeps ours.

The list alone decides what is called, so a second run finds the webhook that the first one created.
If the list may have further pages and does not show ours, nothing is created.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

import msgspec

from processor.config import Source
from processor.config.secrets import MASK
from processor.egress import Egress
from processor.errors import ConfigError
from processor.model import HttpResponse
from processor.provider import SetupRequest, WebhookSetup
from processor.provider.webhook_setup import (
    ProviderHook,
    fill_body,
    placeholders,
    without_placeholders,
)
from processor.service.registration.provider_api import (
    ApiRequest,
    described,
    document,
    redacted,
    send,
)
from processor.signing.verify_rule import STANDARD

SECRETS = frozenset({"secret", "signing_secret"})  # placeholders, one for each signature scheme
FULL_PAGE = 100  # webhooks; a list of so many may be the first page of several

Did = Literal["created", "updated", "already", "by hand", "would create", "would update"]


class RegisterResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or is left to do; secrets are masked except in `paste` and `secret`."""

    source: str
    provider: str
    did: Did
    url: str  # where the provider shall push
    hook: str | None = None  # the provider's id of the webhook
    request: dict[str, Any] | None = None  # what a dry run would send
    paste: str | None = None  # what the operator has to do
    secret: str | None = None  # returned by the provider, and missing in the source
    note: str | None = None  # what else the source's configuration needs


class HookSettings(NamedTuple):
    """The values of a webhook's placeholders, and the same with every secret masked."""

    values: Mapping[str, str]
    masked: Mapping[str, str]


class HookList(NamedTuple):
    """The existing webhooks, and whether there may be more of them."""

    found: tuple[ProviderHook, ...]
    more: bool


class Decision(NamedTuple):
    """Which request of the profile comes next; None if the webhook is as it should be."""

    request: SetupRequest | None
    hook: str | None = None  # id of our existing webhook


async def register(
    egress: Egress, source: Source, base: str, *, dry: bool = False
) -> RegisterResult:
    """Make the provider push to `base`/hooks/NAME, or say how; a dry run only reads its list.

    ConfigError for what the operator must change, ProviderError for an unavailable provider.
    """
    rules, settings = source.profile.register, hook_settings(source, base)
    if rules is None or rules.paste:
        return manual_setup(source, settings)
    hooks = None
    if rules.list:
        request = request_for(source, rules, rules.list, None, {})
        hooks = read_hooks(source, rules, request, await send(egress, source, request))
    step, ours = decide(source, rules, settings, hooks)
    if step is None:
        return _result(source, settings, "already", hook=ours)
    new, request = step is rules.create, request_for(source, rules, step, ours, settings.values)
    if dry:
        shown = request_for(source, rules, step, ours, settings.masked)._asdict()
        would: Did = "would create" if new else "would update"
        return _result(source, settings, would, hook=ours, request=shown)
    response = await send(egress, source, request)
    hook = rules.hook(document(response), response.headers)
    secret = hook.secret if hook.secret not in source.secrets else None
    did: Did = "created" if new else "updated"
    return _result(source, settings, did, hook=ours or hook.id, secret=secret)


def hook_settings(source: Source, base: str) -> HookSettings:
    """The values for our webhook; ConfigError for a source that cannot receive pushes."""
    name, profile = source.name, source.profile
    if profile.push is None:
        raise ConfigError(f"sources.{name}: {profile.name} does not push; it is polled")
    url = f"{base.rstrip('/')}/hooks/{name}"
    query = profile.verify.query if profile.verify else ""
    if not source.secrets:
        if query:
            raise ConfigError(f"sources.{name}: set its webhook_secret: the push URL holds it")
        return HookSettings({"name": name, "url": url}, {"name": name, "url": url})
    secrets = _secrets(source)
    whole = f"{url}?{query}={quote(source.secrets[0], safe='')}" if query else url
    return HookSettings(
        {"name": name, "url": whole, **secrets},
        {
            "name": name,
            "url": f"{url}?{query}={MASK}" if query else url,
            **dict.fromkeys(secrets, MASK),
        },
    )


def _secrets(source: Source) -> dict[str, str]:
    """The first secret of each signature scheme, by the placeholder that it fills."""
    rule = source.profile.verify
    if rule is None or not rule.secret_selects_scheme:
        return {"secret": source.secrets[0]}
    words = {
        way: "signing_secret" if way.scheme == STANDARD else "secret" for way in rule.alternatives
    }
    return {words[rule.alternative_for(secret)]: secret for secret in reversed(source.secrets)}


def manual_setup(source: Source, settings: HookSettings) -> RegisterResult:
    """Instructions for the operator; they contain the push URL with its secret."""
    profile = source.profile
    see = f"; see {profile.docs}" if profile.docs else ""
    unknown = f"Have {profile.name} push to {{url}}{see}."
    text = profile.register.paste if profile.register else unknown
    values = {name: settings.values[name] for name in ("name", "url")}
    return _result(source, settings, "by hand", paste=fill_body(text, values))


def read_hooks(
    source: Source, rules: WebhookSetup, request: ApiRequest, response: HttpResponse
) -> HookList:
    """Read the list of webhooks; ConfigError if the response has no list."""
    items = rules.items.find(document(response), response.headers)
    if not isinstance(items, list):
        raise ConfigError(
            f"{described(source, request)}: the response has no list at {rules.items.text}; correct `items` "
            f"of [register]: {redacted(source, response)}"
        )
    more = 'rel="next"' in response.headers.get("link", "") or len(items) >= FULL_PAGE
    return HookList(tuple(rules.hook(item, {}) for item in items), more)


def decide(
    source: Source, rules: WebhookSetup, settings: HookSettings, hooks: HookList | None
) -> Decision:
    """Decide what to send, given the existing webhooks; they are None if they cannot be listed."""
    if hooks is None:
        return Decision(rules.update)
    url, provider = settings.values["url"], source.profile.name
    ours = next((hook for hook in hooks.found if hook.url and _bare(hook.url) == _bare(url)), None)
    if ours is None and hooks.more:
        raise ConfigError(
            f"{provider} lists {len(hooks.found)} webhooks, perhaps not all, and none of them for "
            f"{settings.masked['url']}: remove some there, or create ours by hand"
        )
    if ours is None:
        return Decision(rules.create)
    query = url.partition("?")[2]
    if rules.update is None and query and (ours.url or "").partition("?")[2] != query:
        raise ConfigError(
            f"{provider} has a webhook for {settings.masked['url']}, with another query behind the `?`, and "
            "no way to change it: remove it there, then run this again"
        )
    return Decision(rules.update, ours.id)


def request_for(
    source: Source,
    rules: WebhookSetup,
    step: SetupRequest,
    hook: str | None,
    values: Mapping[str, str],
) -> ApiRequest:
    """Fill a request of the profile; ConfigError naming what is missing."""
    account = source.account
    if not account.base_url:
        raise ConfigError(f"sources.{source.name}: set its base_url: where the webhook API is")
    body = None if step is rules.list else rules.body
    if SECRETS & values.keys():  # the source may have the secret of one of two schemes only
        body = without_placeholders(body, SECRETS - values.keys())
    if placeholders(body) - values.keys():
        raise ConfigError(
            f"sources.{source.name}: set its webhook_secret: the webhook is created with it"
        )
    try:
        path = step.path.fill({**account.params, "hook": hook or ""})
    except ValueError as error:
        raise ConfigError(f"sources.{source.name}.params: {step.path.text}: {error}") from None
    return ApiRequest(step.method, account.base_url.rstrip("/") + path, fill_body(body, values))


def _bare(url: str) -> str:
    """A URL without its query, its host in lower case; as text, since a provider's may be malformed."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    host, _, path = rest.partition("/")
    return f"{scheme}://{host}".lower() + "/" + path.rstrip("/")


def _result(source: Source, settings: HookSettings, did: Did, **more: Any) -> RegisterResult:
    return RegisterResult(
        source=source.name,
        provider=source.profile.name,
        did=did,
        url=settings.masked["url"],
        note=None if more.get("secret") else _missing(source),
        **more,
    )


def _missing(source: Source) -> str | None:
    """What the source still needs before it can receive pushes."""
    rules, why = source.profile.register, source.why_no_pushes
    if why and rules and rules.secret and not source.keys:
        return (
            f"{why}: {source.profile.name} returns it when the webhook is created; if it is lost, "
            "remove the webhook there and run this again"
        )
    return why
