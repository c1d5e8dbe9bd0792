"""The file and the environment as written: keys and types, values unchecked."""

from typing import Annotated

import msgspec

from processor.subscription_settings import SubscriptionSettings

Secrets = str | list[str]


class SourceTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[sources.NAME]` table, as written."""

    provider: str
    token: Secrets | None = None  # as a list: a command
    webhook_secret: Secrets | None = None
    base_url: str | None = None
    status_url: str | None = None
    params: dict[str, str] = {}
    senders: list[str] = []
    track: str | None = None
    trust: str | None = None
    deadline: str = "72h"
    cancel: bool = False
    largest: str | None = None
    mirror: str | None = None
    mirror_max_age: str | None = None
    mirror_root: bool = False
    learn: bool = True


class SubscriptionTable(
    SubscriptionSettings, frozen=True, forbid_unknown_fields=True, kw_only=True
):
    """One `[subscriptions.NAME]` table, as written."""

    secret: Secrets


class EgressTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[egress]` table, as written."""

    allow: list[str] = []


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file, as written."""

    providers: str | None = None
    sources: dict[str, SourceTable] = {}
    subscriptions: dict[str, SubscriptionTable] = {}
    egress: EgressTable = EgressTable()


class Environment(msgspec.Struct, frozen=True):
    """The environment variables."""

    REDIS_URL: str = "redis://127.0.0.1:6379/0"
    PORT: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8080
    RINGBACK_HOST: str = "127.0.0.1"
    RINGBACK_API_KEYS: str = ""
    RINGBACK_CALLBACK_SECRET: str | None = None
    RINGBACK_MASTER_KEYS: str = ""
    RINGBACK_SECRET_OVERLAP: str = "24h"  # noqa: S105 -- a duration
    RINGBACK_PUBLIC_URL: str | None = None
    RINGBACK_SHARDS: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 1
    RINGBACK_LEASE: str = "30s"
    RINGBACK_KEEP_JOBS: str = "30d"
    RINGBACK_KEEP_EVENTS: str = "7d"
    RINGBACK_KEEP_EVENTS_COUNT: Annotated[int, msgspec.Meta(ge=1000, le=100_000_000)] = 1_000_000
    RINGBACK_KEEP_WAITING: Annotated[int, msgspec.Meta(ge=1000, le=10_000_000)] = 100_000
    RINGBACK_KEEP_DELIVERIES: str = "30d"
    RINGBACK_KEEP_SEEN: str = "7d"
