"""From what is written to what it means."""

import importlib.resources
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from processor import filters, provider, signing
from processor.config import checks
from processor.config.secret import Keeper, signing_secret
from processor.config.settings import Settings, Source
from processor.config.tables import Environment, File, SourceTable, SubscriptionTable
from processor.errors import ConfigError
from processor.model import Subscription
from processor.provider import Profile

DEFAULT_FILE = Path("ringback.toml")


class _Around(NamedTuple):
    """What a table of the file is read with."""

    where: str  # the file's name, for messages
    file: File
    profiles: Mapping[str, Profile]
    secret: Keeper


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the file and the environment; ConfigError for anything that is wrong in either.

    Without a path it is `RINGBACK_CONFIG`, else `ringback.toml` if there is one.
    """
    chosen = path or (Path(environ["RINGBACK_CONFIG"]) if environ.get("RINGBACK_CONFIG") else None)
    if chosen is None and DEFAULT_FILE.exists():
        chosen = DEFAULT_FILE
    where = str(chosen or "the environment")
    raw = _parse(chosen) if chosen else File()
    env = _environment(environ)
    folder = chosen.parent if chosen else Path()
    secret = Keeper(environ, folder)
    profiles = _profiles(folder / raw.providers if raw.providers else None)
    around = _Around(where, raw, profiles, secret)
    keys = tuple(k for k in map(secret.of, env.RINGBACK_API_KEYS.split(",")) if k)
    return Settings(
        file=chosen,
        sources={n: _source(around, n, t) for n, t in raw.sources.items()},
        subscriptions={
            f"sub_{n}": _subscription(around, n, t) for n, t in raw.subscriptions.items()
        },
        egress_allow=tuple(raw.egress.allow),
        redis_url=env.REDIS_URL,
        api_keys=keys,
        callback_secret=signing_secret(
            "RINGBACK_CALLBACK_SECRET", secret.of(env.RINGBACK_CALLBACK_SECRET)
        ),
        public_url=env.RINGBACK_PUBLIC_URL or None,
        host=env.RINGBACK_HOST,
        port=env.PORT,
        shards=env.RINGBACK_SHARDS,
        lease=checks.duration("RINGBACK_LEASE", env.RINGBACK_LEASE),
    )


def guard_keyless(settings: Settings) -> None:
    """ConfigError where nobody has a key and the outside could call."""
    if settings.api_keys:
        return
    if settings.host not in ("127.0.0.1", "localhost", "::1"):
        raise ConfigError(
            f"host {settings.host} is not loopback and no key is set: set RINGBACK_API_KEYS"
        )
    if settings.public_url:
        raise ConfigError("RINGBACK_PUBLIC_URL is set and no key is: set RINGBACK_API_KEYS")


def _parse(path: Path) -> File:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        return msgspec.convert(tomllib.loads(text), File)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}; see ringback.example.toml for the keys") from error


def _environment(environ: Mapping[str, str]) -> Environment:
    given = {f: environ[f] for f in Environment.__struct_fields__ if environ.get(f)}
    try:
        return msgspec.convert(given, Environment, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"the environment: {error}") from error


def _profiles(folder: Path | None) -> dict[str, Profile]:
    """The built-in profiles, and the user's own, which win."""
    built_in = importlib.resources.files("processor") / "providers"
    files = {f.name[:-5]: f.read_text() for f in built_in.iterdir() if f.name.endswith(".toml")}
    if folder is not None:
        if not folder.is_dir():
            raise ConfigError(f"providers: {folder} is no folder; make it, or remove the key")
        files |= {f.stem: f.read_text() for f in folder.glob("*.toml")}
    return {name: provider.parse(name, text) for name, text in files.items()}


def _source(around: _Around, name: str, table: SourceTable) -> Source:
    where, secret, profiles = around.where, around.secret, around.profiles
    key = f"sources.{name}"
    checks.check_name(where, key, name)
    profile = profiles.get(table.provider)
    if profile is None:
        raise ConfigError(
            f"{where}: {key}.provider: no provider {table.provider!r}; "
            f"there are {', '.join(sorted(profiles))}"
        )
    checks.only(where, f"{key}.track", table.track, ("all",))
    checks.only(where, f"{key}.trust", table.trust, ("event",))
    checks.only(where, f"{key}.mirror", table.mirror, (None, "open"))
    secrets = secret.all(where, f"{key}.webhook_secret", table.webhook_secret)
    return Source(
        name=name,
        profile=profile,
        token=next(iter(secret.all(where, f"{key}.token", table.token)), None),
        keys=_push_keys(where, f"{key}.webhook_secret", profile, secrets),
        base_url=checks.url_of(where, f"{key}.base_url", table.base_url or profile.base_url),
        status_url=checks.status_url(where, f"{key}.status_url", table.status_url),
        deadline=checks.duration(f"{where}: {key}.deadline", table.deadline),
        mirror_open=table.mirror == "open",
    )


def _push_keys(where: str, key: str, profile: Profile, secrets: Sequence[str]) -> tuple[bytes, ...]:
    rule = profile.push and profile.push.verify
    if secrets and not rule:
        raise ConfigError(f"{where}: {key}: {profile.name} signs no pushes; remove the key")
    try:
        return tuple(signing.secret_key(rule, s) for s in secrets) if rule else ()
    except ValueError as error:
        raise ConfigError(f"{where}: {key}: {error}") from error


def _subscription(around: _Around, name: str, table: SubscriptionTable) -> Subscription:
    where, secret = around.where, around.secret
    key = f"subscriptions.{name}"
    checks.check_name(where, key, name)
    for event in table.events:
        checks.only(where, f"{key}.events", event, (*filters.EVENT_TYPES, *filters.GROUPS))
    for source in table.sources:
        checks.only(where, f"{key}.sources", source, tuple(around.file.sources))
    for known in table.providers:
        checks.only(where, f"{key}.providers", known, tuple(sorted(around.profiles)))
    secrets = secret.all(where, f"{key}.secret", table.secret)
    return Subscription(
        id=f"sub_{name}",
        url=checks.url_of(where, f"{key}.url", table.url) or "",
        secrets=tuple(s for s in secrets if signing_secret(f"{where}: {key}.secret", s)),
        events=tuple(table.events),
        sources=tuple(table.sources),
        providers=tuple(table.providers),
        metadata=table.metadata,
        static=True,
    )
