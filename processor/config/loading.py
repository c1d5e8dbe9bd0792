"""From what is written to what it means."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from processor import filters, signing, vault
from processor.config import checks, redis_url
from processor.config.keeping import keep
from processor.config.mirror_root import check_mirror_root
from processor.config.secret import Keeper, signing_secret
from processor.config.settings import Settings, Source
from processor.config.shelf import Shelf
from processor.config.tables import Environment, File, SourceTable, SubscriptionTable
from processor.errors import ConfigError
from processor.formats import FORMATS, check_headers
from processor.model import CONCURRENCY, Subscription
from processor.provider import Account, Profile, text_of
from processor.sizes import PUSH_SIZE
from processor.text_input import from_system
from processor.vault import MasterKey

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
    chosen = _chosen(path, environ)
    where = str(chosen or "the environment")
    raw = _parse(chosen) if chosen else File()
    env = _environment(environ)
    secret = Keeper(environ, chosen.parent if chosen else Path())
    around = _Around(where, raw, _shelf(chosen, raw), secret)
    keys = _api_keys(env.RINGBACK_API_KEYS, secret)
    sources = {n: _source(around, n, t) for n, t in raw.sources.items()}
    check_mirror_root(where, sources.values())
    return Settings(
        file=chosen,
        sources=sources,
        subscriptions={
            f"sub_{n}": _subscription(around, n, t) for n, t in raw.subscriptions.items()
        },
        egress_allow=tuple(raw.egress.allow),
        redis_url=redis_url.checked("REDIS_URL", env.REDIS_URL.strip()),
        api_keys=keys,
        callback_secret=signing_secret(
            "RINGBACK_CALLBACK_SECRET", secret.of(env.RINGBACK_CALLBACK_SECRET)
        ),
        master_keys=_master_keys(env.RINGBACK_MASTER_KEYS, secret),
        secret_overlap=checks.duration("RINGBACK_SECRET_OVERLAP", env.RINGBACK_SECRET_OVERLAP),
        public_url=env.RINGBACK_PUBLIC_URL or None,
        host=env.RINGBACK_HOST,
        port=env.PORT,
        shards=env.RINGBACK_SHARDS,
        lease=checks.duration("RINGBACK_LEASE", env.RINGBACK_LEASE),
        keep=keep(env),
    )


def load_profiles(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Shelf:
    """Give the profiles that the file's sources may name; no secret of the file need be set."""
    chosen = _chosen(path, environ)
    return _shelf(chosen, _parse(chosen) if chosen else File())


def require_keys(settings: Settings) -> None:
    """ConfigError where nobody could call, since there is no key."""
    if not settings.api_keys:
        raise ConfigError(
            "RINGBACK_API_KEYS is not set, and nobody can call without a key: set it to one, "
            "for instance to the output of `openssl rand -hex 32`"
        )


def _chosen(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    named = environ.get("RINGBACK_CONFIG")
    there = DEFAULT_FILE if DEFAULT_FILE.exists() else None
    return path or (Path(named) if named else there)


def _shelf(path: Path | None, file: File) -> Shelf:
    return Shelf(path.parent / file.providers if path and file.providers else None)


def _parse(path: Path) -> File:
    try:
        text = text_of(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        return msgspec.convert(tomllib.loads(text), File)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}; see ringback.example.toml for the keys") from error


def _environment(environ: Mapping[str, str]) -> Environment:
    given = {f: from_system(environ[f]) for f in Environment.__struct_fields__ if environ.get(f)}
    try:
        return msgspec.convert(given, Environment, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"the environment: {error}") from error


def _api_keys(text: str, secret: Keeper) -> tuple[str, ...]:
    """Those that are set, of which there must be one where any is named; () for a blank text."""
    named = [one.strip() for one in text.split(",") if one.strip()]
    return tuple(secret.all("the environment", "RINGBACK_API_KEYS", named))


def _master_keys(text: str, secret: Keeper) -> tuple[MasterKey, ...]:
    """All of them: one that was skipped would leave secrets plain, or unopened."""
    if not text:
        return ()
    named = [(one.strip(), secret.of(one.strip())) for one in text.split(",")]
    for one, found in named:
        if not found:
            raise ConfigError(f"{vault.NAME}: {one or 'an entry'} is not set; {vault.REMEDY}")
    try:
        return vault.master_keys(",".join(found or "" for _, found in named))
    except ValueError as error:
        raise ConfigError(f"{vault.NAME}: {error}") from None


def _source(around: _Around, name: str, table: SourceTable) -> Source:
    where, secret = around.where, around.secret
    key = f"sources.{name}"
    checks.check_name(where, key, name)
    if table.provider not in around.profiles:
        raise ConfigError(
            f"{where}: {key}.provider: no provider {table.provider!r}; "
            f"there are {', '.join(sorted(around.profiles))}"
        )
    profile = around.profiles[table.provider]
    checks.only(where, f"{key}.track", table.track, ("all",))
    checks.only(where, f"{key}.trust", table.trust, (None, "event", "refetch"))
    checks.only(where, f"{key}.mirror", table.mirror, (None, "open"))
    secrets = secret.all(where, f"{key}.webhook_secret", table.webhook_secret)
    source = Source(
        name=name,
        profile=profile,
        keys=_push_keys(where, f"{key}.webhook_secret", profile, secrets),
        secrets=tuple(secrets),
        senders=_senders(where, f"{key}.senders", profile, table.senders),
        account=_account(around, key, profile, table),
        token=secret.kept(table.token),
        trust=table.trust or (profile.push.trust if profile.push else "event"),
        deadline=checks.duration(f"{where}: {key}.deadline", table.deadline),
        mirror_open=table.mirror == "open",
        largest=_largest(f"{where}: {key}.largest", profile, table),
        mirror_root=table.mirror_root,
    )
    if table.trust == "refetch" and not source.pollable:
        why = source.why_not_pollable(next(iter(profile.kinds)))
        raise ConfigError(f'{where}: {key}.trust: "refetch" needs polls, and {why}')
    return source


def _largest(where: str, profile: Profile, table: SourceTable) -> int:
    own = checks.push_size(where, table.largest)
    return own or (profile.push.largest if profile.push else None) or PUSH_SIZE


def _account(around: _Around, key: str, profile: Profile, table: SourceTable) -> Account:
    where, secret = around.where, around.secret
    base_url = table.base_url or profile.base_url
    _check_values(where, key, profile, table)
    status_url = checks.status_url(where, f"{key}.status_url", table.status_url)
    return Account(
        base_url=checks.url_of(where, f"{key}.base_url", base_url) or "",
        token=next(iter(secret.all(where, f"{key}.token", table.token)), None),
        params=profile.params | table.params | ({"status_url": status_url} if status_url else {}),
    )


def _check_values(where: str, key: str, profile: Profile, table: SourceTable) -> None:
    """Refuse params that fill nothing; a mistyped name would be missed at the first poll only."""
    for name in table.params:
        if name not in profile.placeholders:
            known = ", ".join(sorted(profile.placeholders)) or "none"
            raise ConfigError(
                f"{where}: {key}.params.{name}: {profile.name} has no such placeholder; it has {known}"
            )


def _push_keys(
    where: str, key: str, profile: Profile, secrets: Sequence[str]
) -> tuple[signing.Key, ...]:
    rule = profile.verify
    if secrets and not (rule and profile.needs_secret):
        why = "signs with keys of its own" if rule else "signs no pushes"
        raise ConfigError(f"{where}: {key}: {profile.name} {why}; remove the key")
    try:
        return tuple(signing.secret_key(rule, s) for s in secrets) if rule else ()
    except ValueError as error:
        raise ConfigError(f"{where}: {key}: {error}") from error


def _senders(where: str, key: str, profile: Profile, senders: Sequence[str]) -> frozenset[str]:
    if senders and not (profile.verify and signing.has_senders(profile.verify)):
        why = "has no senders to tell apart; remove the key"
        raise ConfigError(f"{where}: {key}: {profile.name} {why}")
    arns = profile.verify is not None and profile.verify.scheme == "sns"
    for sender in senders:
        if arns and not sender.startswith("arn:"):
            raise ConfigError(
                f"{where}: {key}: {sender!r} is no topic; write its ARN, arn:aws:sns:REGION:ACCOUNT:NAME"
            )
    return frozenset(senders)


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
    checks.only(where, f"{key}.format", table.format, tuple(FORMATS))
    checks.only(where, f"{key}.signature", table.signature, tuple(signing.SIGNATURES))
    secrets = secret.all(where, f"{key}.secret", table.secret)
    return Subscription(
        id=f"sub_{name}",
        url=checks.url_of(where, f"{key}.url", table.url) or "",
        secrets=_signers(f"{where}: {key}.secret", table.signature, secrets),
        events=tuple(table.events),
        sources=tuple(table.sources),
        providers=tuple(table.providers),
        metadata=table.metadata,
        static=True,
        format=table.format,
        signature=table.signature,
        headers=_headers(around, f"{key}.headers", table.headers),
        concurrency=checks.between(
            f"{where}: {key}.concurrency", table.concurrency, 1, CONCURRENCY
        ),
        rate=checks.rate(f"{where}: {key}.rate", table.rate),
        ordered=table.ordered,
        auto_disable=table.auto_disable,
    )


def _signers(where: str, signature: str, secrets: Sequence[str]) -> tuple[str, ...]:
    """Secrets that make this kind of signature."""
    try:
        for secret in secrets:
            signing.signer(signature, secret)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    return tuple(secrets)


def _headers(around: _Around, key: str, given: Mapping[str, str]) -> dict[str, str]:
    """Headers to send; their values are secrets."""
    found = {n: around.secret.all(around.where, f"{key}.{n}", v)[0] for n, v in given.items()}
    try:
        return check_headers(found)
    except ValueError as error:
        raise ConfigError(f"{around.where}: {key}: {error}") from None
