"""ringback.toml and the environment → Settings: the only place that reads either.

Each mistake is a ConfigError of one line that names the file, the key and the remedy.
"""

import hashlib
import importlib.resources
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from processor import filters, provider, signing
from processor.errors import ConfigError
from processor.model import Subscription
from processor.provider import Poll, Profile

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
DEFAULT_FILE = Path("ringback.toml")
MASK = "********"

Secrets = str | list[str]


class SourceTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[sources.NAME]` table, as written."""

    provider: str
    token: str | None = None
    webhook_secret: Secrets | None = None
    base_url: str | None = None
    status_url: str | None = None
    track: str = "all"
    trust: str = "event"
    deadline: str = "72h"
    mirror: str | None = None


class SubscriptionTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[subscriptions.NAME]` table, as written."""

    url: str
    secret: Secrets
    events: tuple[str, ...] = ("job.completed",)
    sources: list[str] = []
    providers: list[str] = []
    metadata: dict[str, Any] = {}


class EgressTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[egress]` table, as written."""

    allow: list[str] = []


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file, as written."""

    providers: str | None = None
    sources: dict[str, SourceTable] = {}
    subscriptions: dict[str, SubscriptionTable] = {}
    egress: EgressTable = EgressTable()


class Source(msgspec.Struct, frozen=True):
    """One configured account at a provider."""

    name: str
    profile: Profile
    token: str | None
    keys: tuple[bytes, ...]  # of push signatures, any of which may have signed
    base_url: str | None
    status_url: str | None
    deadline: float  # seconds from first sight
    mirror_open: bool

    def kind_of(self, job: str) -> str | None:
        """The kind that a job's id names."""
        return self.profile.kind_of(job)

    def poll(self, kind: str | None) -> Poll | None:
        """How a job of this kind is asked about; None where it cannot be."""
        return None if self.why_not_pollable(kind) else self.profile.polls(kind)

    def why_not_pollable(self, kind: str | None) -> str | None:
        """What is missing to ask about jobs of this kind, with the remedy; None if nothing."""
        return provider.why_not_pollable(self.profile, kind, self.values, self.token)

    @property
    def budget(self) -> tuple[int, float] | None:
        """How many polls in how many seconds the account allows, whatever their kind."""
        polls = (kind.poll for kind in self.profile.kinds.values())
        return next((poll.budget for poll in polls if poll and poll.budget), None)

    @property
    def values(self) -> dict[str, str]:
        """What fills a request's placeholders."""
        return {"status_url": self.status_url} if self.status_url else {}

    @property
    def takes_pushes(self) -> bool:
        """Whether `/hooks/{name}` is there for it."""
        return self.profile.push is not None and bool(self.keys or not self.profile.signed)


class Settings(msgspec.Struct, frozen=True):
    """Everything that can be set, checked and ready for use."""

    file: Path | None
    sources: dict[str, Source]
    subscriptions: dict[str, Subscription]  # by id
    egress_allow: tuple[str, ...]
    redis_url: str
    api_keys: tuple[str, ...] = ()
    callback_secret: str | None = None
    public_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    shards: int = 1
    lease: float = 30.0  # seconds that a worker holds what it claimed

    def masked(self) -> dict[str, Any]:
        """The settings in force, for people to see: every secret is a mask."""
        return {
            "file": str(self.file) if self.file else None,
            "redis_url": re.sub(r"//[^@/]*@", f"//{MASK}@", self.redis_url),
            "host": self.host,
            "port": self.port,
            "public_url": self.public_url,
            "shards": self.shards,
            "lease": self.lease,
            "api_keys": [MASK for _ in self.api_keys],
            "callback_secret": self.callback_secret and MASK,
            "egress": {"allow": list(self.egress_allow)},
            "sources": {name: _masked_source(s) for name, s in self.sources.items()},
            "subscriptions": {s.id: _masked_target(s) for s in self.subscriptions.values()},
        }


class Environment(msgspec.Struct, frozen=True):
    """What the environment may set."""

    REDIS_URL: str = "redis://127.0.0.1:6379/0"
    PORT: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8080
    RINGBACK_HOST: str = "127.0.0.1"
    RINGBACK_API_KEYS: str = ""
    RINGBACK_CALLBACK_SECRET: str | None = None
    RINGBACK_PUBLIC_URL: str | None = None
    RINGBACK_SHARDS: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 1
    RINGBACK_LEASE: str = "30s"


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
    secret = _Secret(environ, folder)
    profiles = _profiles(folder / raw.providers if raw.providers else None)
    keys = tuple(k for k in env.RINGBACK_API_KEYS.split(",") if k)
    return Settings(
        file=chosen,
        sources={n: _source(where, n, t, profiles, secret) for n, t in raw.sources.items()},
        subscriptions={
            f"sub_{n}": _subscription(where, n, t, raw, secret)
            for n, t in raw.subscriptions.items()
        },
        egress_allow=tuple(raw.egress.allow),
        redis_url=env.REDIS_URL,
        api_keys=keys,
        callback_secret=_signing_secret(
            "RINGBACK_CALLBACK_SECRET", secret.of(env.RINGBACK_CALLBACK_SECRET)
        ),
        public_url=env.RINGBACK_PUBLIC_URL or None,
        host=env.RINGBACK_HOST,
        port=env.PORT,
        shards=env.RINGBACK_SHARDS,
        lease=_duration("RINGBACK_LEASE", env.RINGBACK_LEASE),
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


class _Secret:
    """Secrets where they are kept: in the file itself, `env:NAME`, or `file:PATH`."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._environ = environ
        self._folder = folder

    def of(self, text: str | None) -> str | None:
        """The secret, or None where its variable is unset or empty."""
        if text is None:
            return None
        if text.startswith("env:"):
            return self._environ.get(text[4:]) or None
        if text.startswith("file:"):
            path = self._folder / text[5:]
            try:
                return path.read_text().strip() or None
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"secret file {path} cannot be read: {error}") from error
        return text

    def all(self, where: str, key: str, texts: Secrets | None) -> list[str]:
        """All that are set; ConfigError when some are named and none is set."""
        named = [texts] if isinstance(texts, str) else texts or []
        found = [s for s in map(self.of, named) if s]
        if named and not found:
            raise ConfigError(f"{where}: {key}: none of {', '.join(map(_shown, named))} is set")
        return found


def _shown(text: str) -> str:
    return text if text.startswith(("env:", "file:")) else MASK


def _source(
    where: str, name: str, table: SourceTable, profiles: Mapping[str, Profile], secret: _Secret
) -> Source:
    key = f"sources.{name}"
    _check_name(where, key, name)
    profile = profiles.get(table.provider)
    if profile is None:
        raise ConfigError(
            f"{where}: {key}.provider: no provider {table.provider!r}; "
            f"there are {', '.join(sorted(profiles))}"
        )
    _only(where, f"{key}.track", table.track, ("all",))
    _only(where, f"{key}.trust", table.trust, ("event",))
    _only(where, f"{key}.mirror", table.mirror, (None, "open"))
    secrets = secret.all(where, f"{key}.webhook_secret", table.webhook_secret)
    return Source(
        name=name,
        profile=profile,
        token=next(iter(secret.all(where, f"{key}.token", table.token)), None),
        keys=_push_keys(where, f"{key}.webhook_secret", profile, secrets),
        base_url=_url(where, f"{key}.base_url", table.base_url or profile.base_url),
        status_url=_status_url(where, f"{key}.status_url", table.status_url),
        deadline=_duration(f"{where}: {key}.deadline", table.deadline),
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


def _subscription(
    where: str, name: str, table: SubscriptionTable, file: File, secret: _Secret
) -> Subscription:
    key = f"subscriptions.{name}"
    _check_name(where, key, name)
    for event in table.events:
        _only(where, f"{key}.events", event, (*filters.EVENT_TYPES, *filters.GROUPS))
    for source in table.sources:
        _only(where, f"{key}.sources", source, tuple(file.sources))
    secrets = secret.all(where, f"{key}.secret", table.secret)
    return Subscription(
        id=f"sub_{name}",
        url=_url(where, f"{key}.url", table.url) or "",
        secrets=tuple(s for s in secrets if _signing_secret(f"{where}: {key}.secret", s)),
        events=tuple(table.events),
        sources=tuple(table.sources),
        providers=tuple(table.providers),
        metadata=table.metadata,
        static=True,
    )


def _signing_secret(where: str, secret: str | None) -> str | None:
    """A `whsec_` secret that we sign with."""
    if secret is None:
        return None
    try:
        signing.decode_secret(secret)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    return secret


def _check_name(where: str, key: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{where}: {key}: a name has 1 to 63 of a-z 0-9 _ - and starts with a letter or digit"
        )


def _only(where: str, key: str, value: object, good: Sequence[object]) -> None:
    if value not in good:
        known = ", ".join(str(g) for g in good if g is not None) or "none"
        raise ConfigError(f"{where}: {key}: {value!r} is not known; there is {known}")


def _duration(where: str, text: str) -> float:
    try:
        return provider.duration(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def _url(where: str, key: str, url: str | None) -> str | None:
    if url is not None and not re.match(r"https?://[^/?#\s]+", url):
        raise ConfigError(f"{where}: {key}: {url!r} is no URL; it starts with https:// or http://")
    return url


def _status_url(where: str, key: str, url: str | None) -> str | None:
    try:
        return url and provider.Template(url).text
    except ValueError as error:
        raise ConfigError(f"{where}: {key}: {error}") from error


def _masked_source(source: Source) -> dict[str, Any]:
    return {
        "provider": source.profile.name,
        "token": source.token and MASK,
        "webhook_secret": [MASK for _ in source.keys],
        "base_url": source.base_url,
        "status_url": source.status_url,
        "deadline": source.deadline,
        "mirror": "open" if source.mirror_open else None,
    }


def _masked_target(target: Subscription) -> dict[str, Any]:
    return {
        "url": target.url,
        "events": list(target.events),
        "sources": list(target.sources),
        "providers": list(target.providers),
        "metadata": target.metadata,
        "secrets": [MASK for _ in target.secrets],
    }


def fingerprint(text: str) -> str:
    """A short name for a secret or URL that gives nothing away."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
