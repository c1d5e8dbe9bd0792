"""From a [subscriptions.NAME] table to a Subscription."""

from collections.abc import Mapping, Sequence
from typing import Any

from processor import signing
from processor.config import checks, url_checks
from processor.config.load_context import LoadContext
from processor.config.schema import SubscriptionTable
from processor.errors import ConfigError
from processor.event_types import FILTER_NAMES
from processor.formats import check_headers
from processor.model import Subscription
from processor.subscription_settings import FORMAT_NAMES, SIGNATURE_NAMES, settings_of


def load_subscription(context: LoadContext, name: str, table: SubscriptionTable) -> Subscription:
    """Check a table, and resolve its secrets."""
    where, secret, collect = context.where, context.secret, context.problems.collect
    key = f"subscriptions.{name}"
    at = f"{where}: {key}"
    collect(None, checks.check_name, where, key, name)
    for word, given, good in (
        ("events", table.events, FILTER_NAMES),
        ("sources", table.sources, tuple(context.file.sources)),
        ("providers", table.providers, tuple(sorted(context.profiles))),
        ("format", [table.format], FORMAT_NAMES),
        ("signature", [table.signature], SIGNATURE_NAMES),
    ):
        for value in given:
            collect(None, checks.one_of, where, f"{key}.{word}", value, good)
    if not table.events:
        context.problems.add(f"{at}.events: the list is empty; name at least one event type")
    secrets = collect(list[str](), secret.all, f"{at}.secret", table.secret)
    checked = {
        "url": collect(None, url_checks.url_of, where, f"{key}.url", table.url) or "",
        "headers": collect(dict[str, str](), _headers, context, f"{at}.headers", table.headers),
        "concurrency": collect(1, checks.concurrency, f"{at}.concurrency", table.concurrency),
        "metadata": collect(
            dict[str, Any](), checks.metadata_filter, f"{at}.metadata", table.metadata
        ),
        "rate": collect(None, checks.rate, f"{at}.rate", table.rate),
    }
    return Subscription(
        id=f"sub_{name}",
        secrets=collect((), _secrets, f"{at}.secret", table.signature, secrets),
        static=True,
        **settings_of(table) | checked,
    )


def _secrets(where: str, signature: str, secrets: Sequence[str]) -> tuple[str, ...]:
    """Secrets that make this kind of signature; an unknown kind is reported already."""
    if signature not in SIGNATURE_NAMES:
        return ()
    try:
        for secret in secrets:
            signing.signer(signature, secret)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    return tuple(secrets)


def _headers(context: LoadContext, at: str, given: Mapping[str, str]) -> dict[str, str]:
    """Headers to send; their values are secret."""
    found = {
        name: context.problems.collect(list[str](), context.secret.all, f"{at}.{name}", text)
        for name, text in given.items()
    }
    try:
        return check_headers({name: values[0] for name, values in found.items() if values})
    except ValueError as error:
        raise ConfigError(f"{at}: {error}") from None
