"""From the file and the environment to Settings."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from processor import vault
from processor.config import checks, redis_url, url_checks
from processor.config.environment import CONFIG, cleaned, misspelt_variables, read_environment
from processor.config.load_context import LoadContext
from processor.config.load_source import load_source
from processor.config.load_subscription import load_subscription
from processor.config.mirror_root import check_mirror_root
from processor.config.parsing import ParsedFile, parse
from processor.config.place import Place
from processor.config.problems import Problems
from processor.config.profiles import ProfileRegistry
from processor.config.retention import read_retention
from processor.config.schema import Environment, File
from processor.config.secrets import SecretResolver, signing_secret
from processor.config.settings import Settings
from processor.errors import ConfigError
from processor.model import Retention
from processor.vault import MasterKey

DEFAULT_FILE = Path("ringback.toml")
LEASE = (1.0, 3600.0)  # seconds, at least and at most


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the file and the environment; ConfigError with one line for each problem.

    Without a path the file is `RINGBACK_CONFIG`, or else `ringback.toml` if there is one.
    """
    environ, problems = cleaned(environ), Problems()
    chosen = _chosen(path, environ)
    parsed = parse(chosen, problems) if chosen else ParsedFile(File())
    env = read_environment(environ, problems)
    secret = SecretResolver(environ, chosen.parent if chosen else Path())
    file, name = parsed.file, str(chosen or "the environment")
    place = Place(name, parsed.text, "providers")
    profiles = problems.collect(ProfileRegistry(), _profiles, chosen, file, place)
    context = LoadContext(name, parsed.text, file, parsed.source_names, profiles, secret, problems)
    settings = _settings(context, chosen, env)
    problems.collect(None, check_mirror_root, context.at, settings.sources.values())
    problems.raise_if_any()
    return msgspec.structs.replace(settings, warnings=misspelt_variables(environ, secret.variables))


def _settings(context: LoadContext, chosen: Path | None, env: Environment) -> Settings:
    """The Settings of tables and variables; a problem of one is collected, and the others are checked."""
    collect, file = context.problems.collect, context.file
    sources = {n: collect(None, load_source, context, n, t) for n, t in file.sources.items()}
    subscriptions = {
        f"sub_{n}": collect(None, load_subscription, context, n, t)
        for n, t in file.subscriptions.items()
    }
    overlap = "RINGBACK_SECRET_OVERLAP", env.RINGBACK_SECRET_OVERLAP
    return Settings(
        file=chosen,
        sources={name: source for name, source in sources.items() if source},
        subscriptions={name: s for name, s in subscriptions.items() if s},
        egress_allow=tuple(file.egress.allow),
        redis_url=collect("", redis_url.checked, "REDIS_URL", env.REDIS_URL),
        api_keys=collect((), _api_keys, env.RINGBACK_API_KEYS, context.secret),
        callback_secret=collect(
            None, _callback_secret, env.RINGBACK_CALLBACK_SECRET, context.secret
        ),
        master_keys=collect((), _master_keys, env.RINGBACK_MASTER_KEYS, context.secret),
        secret_overlap=collect(0.0, checks.duration, *overlap),
        public_url=collect(None, _public_url, env.RINGBACK_PUBLIC_URL),
        host=env.RINGBACK_HOST,
        port=env.PORT,
        shards=env.RINGBACK_SHARDS,
        lease=collect(0.0, checks.duration_within, "RINGBACK_LEASE", env.RINGBACK_LEASE, *LEASE),
        keep=collect(Retention(), read_retention, env),
    )


def load_profiles(
    path: Path | None = None, environ: Mapping[str, str] = os.environ
) -> ProfileRegistry:
    """The profiles that the file's sources may name; works without the file's secrets."""
    chosen = _chosen(path, cleaned(environ))
    if chosen is None:
        return ProfileRegistry()
    problems = Problems()
    parsed = parse(chosen, problems)
    problems.raise_if_any()
    return _profiles(chosen, parsed.file, Place(str(chosen), parsed.text, "providers"))


def read_file(path: Path) -> File:
    """The file as written; only its form is checked."""
    problems = Problems()
    parsed = parse(path, problems)
    problems.raise_if_any()
    return parsed.file


def require_keys(settings: Settings) -> None:
    """Raise ConfigError if there is no API key, since then nobody could call."""
    if not settings.api_keys:
        also = "".join(f" ({w.variable}: {w.remedy})" for w in settings.warnings)
        raise ConfigError(
            "RINGBACK_API_KEYS is not set, and nobody can call without a key: set it to one, "
            f"for instance to the output of `openssl rand -hex 32`{also}"
        )


def _chosen(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    named = environ.get(CONFIG)
    there = DEFAULT_FILE if DEFAULT_FILE.exists() else None
    return path or (Path(named) if named else there)


def _profiles(path: Path | None, file: File, place: Place) -> ProfileRegistry:
    """The profiles; ConfigError, with the place of the key `providers`, if its folder is missing."""
    folder = path.parent / file.providers if path and file.providers else None
    try:
        return ProfileRegistry(folder)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None


def _api_keys(text: str, secret: SecretResolver) -> tuple[str, ...]:
    """The keys that are set; if any is named, at least one must be."""
    named = [entry.strip() for entry in text.split(",") if entry.strip()]
    found = secret.all("RINGBACK_API_KEYS", named)
    return tuple(checks.header_value("RINGBACK_API_KEYS", key) for key in found)


def _public_url(url: str | None) -> str | None:
    return None if url is None else url_checks.base_url("RINGBACK_PUBLIC_URL", url)


def _callback_secret(text: str | None, secret: SecretResolver) -> str | None:
    name = "RINGBACK_CALLBACK_SECRET"
    return signing_secret(name, secret.of(name, text))


def _master_keys(text: str, secret: SecretResolver) -> tuple[MasterKey, ...]:
    """All master keys: without one of them secrets would stay unencrypted, or could not be decrypted."""
    if not text:
        return ()
    entries = [entry.strip() for entry in text.split(",")]
    named = [(entry, secret.of(vault.NAME, entry)) for entry in entries]
    for entry, found in named:
        if not found:
            raise ConfigError(f"{vault.NAME}: {entry or 'an entry'} is not set; {vault.REMEDY}")
    try:
        return vault.master_keys(",".join(found or "" for _, found in named))
    except ValueError as error:
        raise ConfigError(f"{vault.NAME}: {error}") from None
