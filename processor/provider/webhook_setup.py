"""How a provider is told where to push: what its hooks' API wants, or what to paste where."""

import re
from collections.abc import Callable, Mapping, Set as AbstractSet
from typing import Any, NamedTuple

import msgspec

from processor.provider.field_types import Auth
from processor.provider.pointer import Pointer
from processor.provider.url_template import UrlTemplate

BODY_PLACEHOLDERS = (
    "url",
    "name",
    "secret",
    "signing_secret",
)  # what texts of `body` may hold, in braces
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class SetupRequest:
    """A request of `[register]`, such as `POST /hooks`."""

    __slots__ = ("method", "path")

    def __init__(self, text: object) -> None:
        """Take the request as written; raise ValueError with the remedy."""
        self.method, _, target = str(text).partition(" ")
        if self.method not in {"GET", "POST", "PUT", "PATCH"} or not target.startswith("/"):
            raise ValueError(f"`{text}` is no request; write `POST /hooks`")
        self.path = UrlTemplate(target, needs=None)


class ProviderHook(NamedTuple):
    """What an answer tells of a hook."""

    id: str | None
    url: str | None
    secret: str | None


class WebhookSetup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the provider is told where to push: by its API, or by hand."""

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
        """Refuse what could register nothing, or one more hook at each run."""
        for wrong, remedy in _REFUSED:
            if wrong(self):
                raise ValueError(remedy)

    def hook(self, document: Any, headers: Mapping[str, str]) -> ProviderHook:
        """Read a hook from a list's element or from the answer to `create` or `update`.

        Where an answer is wrapped as lists are, its id is found inside too.
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
        """All its requests."""
        return tuple(request for request in (self.list, self.create, self.update) if request)


def fill_body(value: Any, words: Mapping[str, str]) -> Any:
    """Put the words into every text of a body; braces around anything else stay."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(
            lambda placeholder: words.get(placeholder[1], placeholder[0]), value
        )
    if isinstance(value, dict):
        return {key: fill_body(inner, words) for key, inner in value.items()}
    return [fill_body(inner, words) for inner in value] if isinstance(value, list) else value


def without_placeholders(value: Any, words: AbstractSet[str]) -> Any:
    """Leave out of a body's tables what asks for one of the words."""
    if not isinstance(value, dict):
        return value
    kept = {key: without_placeholders(inner, words) for key, inner in value.items()}
    return {
        key: inner
        for key, inner in kept.items()
        if isinstance(inner, dict) or not words & placeholders(inner)
    }


def placeholders(value: Any) -> frozenset[str]:
    """Give the words that a body's texts ask for."""
    if isinstance(value, str):
        return frozenset(_PLACEHOLDER.findall(value))
    insides = value.values() if isinstance(value, dict) else value
    found = map(placeholders, insides if isinstance(value, dict | list) else ())
    return frozenset[str]().union(*found)


def _text(value: object) -> str | None:
    whole = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value) if whole else None


def _misses_hook(rules: WebhookSetup) -> bool:
    """Whether `{hook}` stands where no hook is known yet."""
    requests = (rules.list, rules.create, None if rules.list else rules.update)
    return any(request and "hook" in request.path.placeholders for request in requests)


def _confuses_methods(rules: WebhookSetup) -> bool:
    return any(
        (request.method == "GET") is not (request is rules.list) for request in rules.requests
    )


# In order: what is wrong, and the remedy.
_REFUSED: tuple[tuple[Callable[[WebhookSetup], object], str], ...] = (
    (
        lambda it: bool(it.paste) is bool(it.create or it.update),
        "say `paste`, or `create` or `update` with their `body`, not both",
    ),
    (
        lambda it: it.list and not (it.url and it.create),
        "`list` needs `url`, by which our hook is found, and `create`",
    ),
    (
        lambda it: it.create and not it.list,
        "`create` needs `list` and `url`; without them each run would make one hook more",
    ),
    (
        lambda it: it.list and it.update and not it.id,
        "`update` needs `id`, the place of a listed hook's id",
    ),
    (_misses_hook, "`{hook}` is known only to an `update` that follows a `list`; remove it"),
    (_confuses_methods, "`list` is a GET, `create` and `update` are not"),
    (
        lambda it: placeholders(it.body).difference(BODY_PLACEHOLDERS),
        "`body` holds other braces than `{url}`, `{name}`, `{secret}`, `{signing_secret}`: remove them",
    ),
)
