"""The settings of a subscription: one table for Redis, the configuration file, the API and its schemas.

A new setting is one line here, one in the documentation, one option of `ringback subscriptions`, and the
code that obeys it. Names and numbers are checked where they are read (`service.subscriptions.validation`
and `config.load_subscription`), for messages that list the allowed values.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from processor.event_types import FILTER_NAMES

MAX_CONCURRENCY = 256  # requests that one subscriber gets at the same time, at most
FORMAT_NAMES = ("standard", "cloudevents", "cloudevents-binary", "cloudevents-batch")
SIGNATURE_NAMES = ("v1", "v1a")


def says(text: str, **schema: Any) -> Meta:
    """What a setting means, and further words for its schema."""
    return Meta(description=text, extra_json_schema=schema)


EventName = Annotated[str, Meta(extra_json_schema={"enum": list(FILTER_NAMES)})]
EventNames = Annotated[
    tuple[EventName, ...],
    says("Event types; `job.completed` stands for the four that end a job", minItems=1),
]
Metadata = Annotated[
    dict[str, Any], says("Values that a job's metadata must have; at most 8,192 bytes as JSON")
]
Format = Annotated[str, says("Standard Webhooks, or a form of CloudEvents", enum=FORMAT_NAMES)]
Signature = Annotated[str, says("`v1`: HMAC; `v1a`: Ed25519", enum=SIGNATURE_NAMES)]
Headers = Annotated[
    dict[str, str], says("Further headers of each request; their values are secret, shown masked")
]
Concurrency = Annotated[
    int, says("Deliveries at the same time, at most", minimum=1, maximum=MAX_CONCURRENCY)
]
Rate = Annotated[str | None, says("Deliveries per time, at most: `100/1m`; null: no limit")]


class SubscriptionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscription receives, where, and how."""

    url: Annotated[str, says("Where its events are sent")]
    events: EventNames = ("job.completed",)
    sources: Annotated[tuple[str, ...], says("Only of these sources; none means all")] = ()
    providers: Annotated[tuple[str, ...], says("Only of these providers; none means all")] = ()
    metadata: Metadata = {}
    format: Format = "standard"
    signature: Signature = "v1"
    headers: Headers = {}
    concurrency: Concurrency = MAX_CONCURRENCY
    rate: Rate = None
    ordered: Annotated[bool, says("Events of a job strictly one after the other")] = False
    auto_disable: Annotated[bool, says("Disable it after five days of failures only")] = True


def settings_of(subscription: SubscriptionSettings) -> dict[str, Any]:
    """The settings of a subscription by name, or those of a request or a table for one."""
    return {name: getattr(subscription, name) for name in SubscriptionSettings.__struct_fields__}


def check_concurrency(number: int) -> int:
    """The concurrency as it is; ValueError where it is out of range."""
    if not 1 <= number <= MAX_CONCURRENCY:
        raise ValueError(f"{number} is out of range; it goes from 1 to {MAX_CONCURRENCY}")
    return number
