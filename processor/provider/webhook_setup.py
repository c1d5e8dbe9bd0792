"""The `[register]` table of a profile: registers our push URL by the provider's API, or by hand."""

import re
from collections.abc import Callable, Mapping, Set as AbstractSet
from typing import Any, NamedTuple

import msgspec

from processor.provider.field_types import Auth
from processor.provider.pointer import Pointer
from processor.provider.url_template import UrlTemplate

BODY_PLACEHOLDERS = ("url", "name", "secret", "signing_secret")  # allowed in `body`
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class SetupRequest:
    """A request of `[register]`, such as `POST /hooks`."""

    __slots__ = ("method", "path")

    def __init__(self, text: object) -> None:
        """Parse the request; raise ValueError with the remedy."""
        self.method, _, target = str(text).partition(" ")
        if self.method not in {"GET", "POST", "PUT", "PATCH"} or not target.startswith("/"):
            raise ValueError(f"`{text}` is not a request; write `POST /hooks`")
        self.path = UrlTemplate(target, needs=None)


class ProviderHook(NamedTuple):
    """A webhook as the provider's API describes it."""

    id: str | None
    url: str | None
    secret: str | None


class WebhookSetup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How our push URL is registered with the provider: by its API, or by hand (`paste`)."""

    paste: str = ""
    list: SetupRequest | None = None
    items: Pointer = Pointer("")
    url: Pointer | None = None
    id: Pointer | None = None
    create: SetupRequest | None = None
    update: SetupRequest | None = None
    body: dict[str, Any] = msgspec.field(default_factory=dict)
    secret: Pointer | None = None
    auth: Auth | None = None

    def __post_init__(self) -> None:
        """Refuse rules that register nothing, or that add another webhook on each run."""
        for wrong, remedy in _REFUSED:
            if wrong(self):
                raise ValueError(remedy)

    def hook(self, document: Any, headers: Mapping[str, str]) -> ProviderHook:
        """Read a webhook from an element of `list`, or from the response to `create` or `update`.

        If a response is wrapped like lists are (`items`), the id is also searched inside.
        """
        inside = self.items.find(document, headers)
        pointers_of = (
            (self.id, document),
            (self.id, inside),
            (self.url, document),
            (self.secret, document),
        )
        first, second, url, secret = (_text(p and p.find(d, headers)) for p, d in pointers_of)
        return ProviderHook(first or second, url, secret)

    @property
    def requests(self) -> tuple[SetupRequest, ...]:
        """The requests that the table defines."""
        return tuple(request for request in (self.list, self.create, self.update) if request)


def fill_body(value: Any, words: Mapping[str, str]) -> Any:
    """Fill the placeholders in every text of a body; unknown placeholders stay."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(
            lambda placeholder: words.get(placeholder[1], placeholder[0]), value
        )
    if isinstance(value, dict):
        return {key: fill_body(inner, words) for key, inner in value.items()}
    return [fill_body(inner, words) for inner in value] if isinstance(value, list) else value


def without_placeholders(value: Any, words: AbstractSet[str]) -> Any:
    """Remove the entries of a body that contain one of the placeholders."""
    if not isinstance(value, dict):
        return value
    kept = {key: without_placeholders(inner, words) for key, inner in value.items()}
    return {
        key: inner
        for key, inner in kept.items()
        if isinstance(inner, dict) or not words & placeholders(inner)
    }


def placeholders(value: Any) -> frozenset[str]:
    """The placeholders in the texts of a body."""
    if isinstance(value, str):
        return frozenset(_PLACEHOLDER.findall(value))
    insides = value.values() if isinstance(value, dict) else value
    found = map(placeholders, insides if isinstance(value, dict | list) else ())
    return frozenset[str]().union(*found)


def _text(value: object) -> str | None:
    whole = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value) if whole else None


def _misses_hook(rules: WebhookSetup) -> bool:
    """Whether `{hook}` is used before the webhook's id is known."""
    requests = (rules.list, rules.create, None if rules.list else rules.update)
    return any(request and "hook" in request.path.placeholders for request in requests)


def _confuses_methods(rules: WebhookSetup) -> bool:
    return any(
        (request.method == "GET") is not (request is rules.list) for request in rules.requests
    )


# The rules that are refused, in order, each with its remedy.
_REFUSED: tuple[tuple[Callable[[WebhookSetup], object], str], ...] = (
    (
        lambda it: bool(it.paste) is bool(it.create or it.update),
        "set either `paste`, or `create` or `update` with their `body`",
    ),
    (
        lambda it: it.list and not (it.url and it.create),
        "`list` needs `create`, and `url`, which identifies our webhook",
    ),
    (
        lambda it: it.create and not it.list,
        "`create` needs `list` and `url`; without them each run would add another webhook",
    ),
    (
        lambda it: it.list and it.update and not it.id,
        "`update` needs `id`, the pointer to the id of a listed webhook",
    ),
    (_misses_hook, "`{hook}` is known only to an `update` that follows a `list`; remove it"),
    (_confuses_methods, "`list` must be a GET; `create` and `update` must not"),
    (
        lambda it: placeholders(it.body).difference(BODY_PLACEHOLDERS),
        "`body` holds braces other than `{url}`, `{name}`, `{secret}`, `{signing_secret}`: remove them",
    ),
)
