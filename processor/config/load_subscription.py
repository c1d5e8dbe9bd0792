"""From a [subscriptions.NAME] table to a Subscription."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from processor import signing
from processor.config import checks, url_checks
from processor.config.load_context import LoadContext
from processor.config.place import Place
from processor.config.schema import SubscriptionTable
from processor.errors import ConfigError
from processor.event_types import FILTER_NAMES
from processor.formats import check_headers
from processor.model import Subscription
from processor.subscription_settings import FORMAT_NAMES, SIGNATURE_NAMES, settings_of


def load_subscription(context: LoadContext, name: str, table: SubscriptionTable) -> Subscription:
    """Check a table, and resolve its secrets."""
    secret, collect = context.secret, context.problems.collect

    def at(word: str) -> Place:
        return context.at(f"subscriptions.{name}.{word}")

    collect(None, checks.check_name, context.at(f"subscriptions.{name}"), name)
    for word, given, good in (
        ("events", table.events, FILTER_NAMES),
        ("sources", table.sources, context.source_names),
        ("providers", table.providers, tuple(sorted(context.profiles))),
        ("format", [table.format], FORMAT_NAMES),
        ("signature", [table.signature], SIGNATURE_NAMES),
    ):
        for value in given:
            collect(None, checks.one_of, at(word), value, good)
    if not table.events:
        context.problems.add(f"{at('events')}: the list is empty; name at least one event type")
    secrets = collect(list[str](), secret.all, at("secret"), table.secret)
    checked = {
        "url": collect(None, url_checks.url_of, at("url"), table.url) or "",
        "headers": collect(dict[str, str](), _headers, context, at, table.headers),
        "concurrency": collect(1, checks.concurrency, at("concurrency"), table.concurrency),
        "metadata": collect(
            dict[str, Any](), checks.metadata_filter, at("metadata"), table.metadata
        ),
        "rate": collect(None, checks.rate, at("rate"), table.rate),
    }
    return Subscription(
        id=f"sub_{name}",
        secrets=collect((), _secrets, at("secret"), table.signature, secrets),
        static=True,
        **settings_of(table) | checked,
    )


def _secrets(where: Place, signature: str, secrets: Sequence[str]) -> tuple[str, ...]:
    """Secrets that make this kind of signature; an unknown kind is reported already."""
    if signature not in SIGNATURE_NAMES:
        return ()
    try:
        for secret in secrets:
            signing.signer(signature, secret)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    return tuple(secrets)


def _headers(
    context: LoadContext, at: Callable[[str], Place], given: Mapping[str, str]
) -> dict[str, str]:
    """Headers to send; their values are secret."""
    found = {
        name: context.problems.collect(list[str](), context.secret.all, at(f"headers.{name}"), text)
        for name, text in given.items()
    }
    try:
        return check_headers({name: values[0] for name, values in found.items() if values})
    except ValueError as error:
        raise ConfigError(f"{at('headers')}: {error}") from None
