"""Telling a provider where to push: its list of hooks is read, then one is made, changed or left.

What is to be called is decided from the list alone, so that a second run finds what the first
one made. A list that may go on is not followed: then nothing is made.
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
from processor.service.registration.provider_api import ApiRequest, ask, document, named, said
from processor.signing.verify_rule import STANDARD

SECRETS = frozenset({"secret", "signing_secret"})  # words of a body, one for each way to sign
LONGEST_PAGE = 100  # hooks; a list of as many may be the first of several

Did = Literal["created", "updated", "already", "by hand", "would create", "would update"]


class RegisterResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or is left to do; masked but for `paste` and `secret`, which are needed."""

    source: str
    provider: str
    did: Did
    url: str  # where the provider is to push
    hook: str | None = None  # its own id of it
    request: dict[str, Any] | None = None  # what a dry run would send
    paste: str | None = None  # what is to be done by hand
    secret: str | None = None  # that the provider told, and that the source lacks
    note: str | None = None  # what else the source needs


class HookSettings(NamedTuple):
    """The words that fill a hook's texts, and the same with every secret masked."""

    words: Mapping[str, str]
    shown: Mapping[str, str]


class HookList(NamedTuple):
    """The hooks that are there, and whether there may be more of them."""

    found: tuple[ProviderHook, ...]
    more: bool


class Decision(NamedTuple):
    """What comes next: one of the profile's orders, or None where all is as it should be."""

    order: SetupRequest | None
    hook: str | None = None  # the one that is there


async def register(
    egress: Egress, source: Source, base: str, *, dry: bool = False
) -> RegisterResult:
    """Make the provider push to `base`/hooks/NAME, or say how; a dry run reads its list at most.

    ConfigError for what the operator must change, ProviderTrouble for a provider that is away.
    """
    rules, wish = source.profile.register, hook_settings(source, base)
    if rules is None or rules.paste:
        return manual_setup(source, wish)
    hooks = None
    if rules.list:
        call = request_for(source, rules, rules.list, None, {})
        hooks = read_hooks(source, rules, call, await ask(egress, source, call))
    order, there = decide(source, rules, wish, hooks)
    if order is None:
        return _outcome(source, wish, "already", hook=there)
    made, call = order is rules.create, request_for(source, rules, order, there, wish.words)
    if dry:
        shown = request_for(source, rules, order, there, wish.shown)._asdict()
        would: Did = "would create" if made else "would update"
        return _outcome(source, wish, would, hook=there, request=shown)
    answer = await ask(egress, source, call)
    told = rules.hook(document(answer), answer.headers)
    new = told.secret if told.secret not in source.secrets else None
    did: Did = "created" if made else "updated"
    return _outcome(source, wish, did, hook=there or told.id, secret=new)


def hook_settings(source: Source, base: str) -> HookSettings:
    """What the hook is to be like; ConfigError for a source that cannot be pushed to."""
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
    """The first secret of each way to sign, by the word that it fills."""
    rule = source.profile.verify
    if rule is None or not rule.secret_selects_scheme:
        return {"secret": source.secrets[0]}
    words = {
        way: "signing_secret" if way.scheme == STANDARD else "secret" for way in rule.alternatives
    }
    return {words[rule.alternative_for(secret)]: secret for secret in reversed(source.secrets)}


def manual_setup(source: Source, wish: HookSettings) -> RegisterResult:
    """What to paste where; it holds the push URL as it is."""
    profile = source.profile
    see = f"; see {profile.docs}" if profile.docs else ""
    unknown = f"Have {profile.name} push to {{url}}{see}."
    text = profile.register.paste if profile.register else unknown
    words = {name: wish.words[name] for name in ("name", "url")}
    return _outcome(source, wish, "by hand", paste=fill_body(text, words))


def read_hooks(
    source: Source, rules: WebhookSetup, call: ApiRequest, answer: HttpResponse
) -> HookList:
    """Read the list of hooks; ConfigError if it is none."""
    items = rules.items.find(document(answer), answer.headers)
    if not isinstance(items, list):
        raise ConfigError(
            f"{named(source, call)} answered no list at {rules.items.text}; correct `items` of "
            f"[register]: {said(source, answer)}"
        )
    more = 'rel="next"' in answer.headers.get("link", "") or len(items) >= LONGEST_PAGE
    return HookList(tuple(rules.hook(item, {}) for item in items), more)


def decide(
    source: Source, rules: WebhookSetup, wish: HookSettings, hooks: HookList | None
) -> Decision:
    """Decide what to call, given the hooks that are there; None where they cannot be listed."""
    if hooks is None:
        return Decision(rules.update)
    url, provider = wish.words["url"], source.profile.name
    ours = next((hook for hook in hooks.found if hook.url and _bare(hook.url) == _bare(url)), None)
    if ours is None and hooks.more:
        raise ConfigError(
            f"{provider} lists {len(hooks.found)} hooks, perhaps not all, and none of them for "
            f"{wish.shown['url']}: remove some there, or make it by hand"
        )
    if ours is None:
        return Decision(rules.create)
    query = url.partition("?")[2]
    if rules.update is None and query and (ours.url or "").partition("?")[2] != query:
        raise ConfigError(
            f"{provider} has a hook for {wish.shown['url']}, with other words behind the `?`, and "
            "no way to change it: remove it there, then run this again"
        )
    return Decision(rules.update, ours.id)


def request_for(
    source: Source,
    rules: WebhookSetup,
    order: SetupRequest,
    hook: str | None,
    words: Mapping[str, str],
) -> ApiRequest:
    """Fill the request of an order; ConfigError naming what is missing."""
    account = source.account
    if not account.base_url:
        raise ConfigError(f"sources.{source.name}: set its base_url: where the hooks' API is")
    body = None if order is rules.list else rules.body
    if SECRETS & words.keys():  # of two ways to sign the source may know one
        body = without_placeholders(body, SECRETS - words.keys())
    if placeholders(body) - words.keys():
        raise ConfigError(
            f"sources.{source.name}: set its webhook_secret: the hook is made with it"
        )
    try:
        path = order.path.fill({**account.params, "hook": hook or ""})
    except ValueError as error:
        raise ConfigError(f"sources.{source.name}.params: {order.path.text}: {error}") from None
    return ApiRequest(order.method, account.base_url.rstrip("/") + path, fill_body(body, words))


def _bare(url: str) -> str:
    """A URL without its query, its host in lower case; as text, since theirs may be odd ones."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    host, _, path = rest.partition("/")
    return f"{scheme}://{host}".lower() + "/" + path.rstrip("/")


def _outcome(source: Source, wish: HookSettings, did: Did, **more: Any) -> RegisterResult:
    return RegisterResult(
        source=source.name,
        provider=source.profile.name,
        did=did,
        url=wish.shown["url"],
        note=None if more.get("secret") else _lack(source),
        **more,
    )


def _lack(source: Source) -> str | None:
    """What the source still needs before it takes pushes."""
    rules, why = source.profile.register, source.why_no_pushes
    if why and rules and rules.secret and not source.keys:
        return (
            f"{why}: {source.profile.name} tells it when the hook is made; if it is lost, remove "
            "the hook there and run this again"
        )
    return why
