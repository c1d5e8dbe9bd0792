"""From what is written to what it means."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from processor import signing, vault
from processor.config import checks, redis_url
from processor.config.environment import CONFIG, cleaned, read_environment, suspicious
from processor.config.mirror_root import check_mirror_root
from processor.config.parsing import parse
from processor.config.problems import Problems
from processor.config.profiles import ProfileRegistry
from processor.config.retention import keep
from processor.config.schema import Environment, File, SourceTable, SubscriptionTable
from processor.config.secrets import SecretResolver, signing_secret
from processor.config.settings import Settings, Source
from processor.errors import ConfigError
from processor.event_types import FILTER_NAMES
from processor.formats import check_headers
from processor.model import Retention, Subscription
from processor.provider import Account, Profile, did_you_mean
from processor.sizes import PUSH_SIZE
from processor.subscription_settings import FORMAT_NAMES, SIGNATURE_NAMES, settings_of
from processor.vault import MasterKey

TRUST = (None, "event", "refetch")
DEFAULT_FILE = Path("ringback.toml")


class LoadContext(NamedTuple):
    """What a table of the file is read with."""

    where: str  # the file's name, for messages
    file: File
    profiles: Mapping[str, Profile]
    secret: SecretResolver
    problems: Problems


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the file and the environment; ConfigError for all that is wrong in either, a line each.

    Without a path it is `RINGBACK_CONFIG`, else `ringback.toml` if there is one.
    """
    environ, problems = cleaned(environ), Problems()
    chosen = _chosen(path, environ)
    file = parse(chosen, problems) if chosen else File()
    env = read_environment(environ, problems)
    problems.raise_if_any()
    secret = SecretResolver(environ, chosen.parent if chosen else Path())
    profiles = problems.or_default(ProfileRegistry(), _profiles, chosen, file)
    context = LoadContext(str(chosen or "the environment"), file, profiles, secret, problems)
    settings = _settings(context, chosen, env)
    problems.raise_if_any()
    check_mirror_root(context.where, settings.sources.values())
    return msgspec.structs.replace(settings, warnings=suspicious(environ, secret.variables))


def _settings(context: LoadContext, chosen: Path | None, env: Environment) -> Settings:
    """What the tables and variables mean; what is wrong in one is noted, and the others looked at."""
    or_default, file = context.problems.or_default, context.file
    sources = {n: or_default(None, _source, context, n, t) for n, t in file.sources.items()}
    targets = {
        f"sub_{n}": or_default(None, _subscription, context, n, t)
        for n, t in file.subscriptions.items()
    }
    overlap = "RINGBACK_SECRET_OVERLAP", env.RINGBACK_SECRET_OVERLAP
    return Settings(
        file=chosen,
        sources={name: source for name, source in sources.items() if source},
        subscriptions={name: target for name, target in targets.items() if target},
        egress_allow=tuple(file.egress.allow),
        redis_url=or_default("", redis_url.checked, "REDIS_URL", env.REDIS_URL),
        api_keys=or_default((), _api_keys, env.RINGBACK_API_KEYS, context.secret),
        callback_secret=or_default(
            None, _callback_secret, env.RINGBACK_CALLBACK_SECRET, context.secret
        ),
        master_keys=or_default((), _master_keys, env.RINGBACK_MASTER_KEYS, context.secret),
        secret_overlap=or_default(0.0, checks.duration, *overlap),
        public_url=env.RINGBACK_PUBLIC_URL,
        host=env.RINGBACK_HOST,
        port=env.PORT,
        shards=env.RINGBACK_SHARDS,
        lease=or_default(0.0, checks.duration, "RINGBACK_LEASE", env.RINGBACK_LEASE),
        keep=or_default(Retention(), keep, env),
    )


def load_profiles(
    path: Path | None = None, environ: Mapping[str, str] = os.environ
) -> ProfileRegistry:
    """Give the profiles that the file's sources may name; no secret of the file need be set."""
    chosen = _chosen(path, cleaned(environ))
    return _profiles(chosen, read_file(chosen) if chosen else File())


def read_file(path: Path) -> File:
    """The file as written, nothing in it checked against anything."""
    problems = Problems()
    file = parse(path, problems)
    problems.raise_if_any()
    return file


def require_keys(settings: Settings) -> None:
    """ConfigError where nobody could call, since there is no key."""
    if not settings.api_keys:
        also = "".join(f" ({d.variable}: {d.remedy})" for d in settings.warnings)
        raise ConfigError(
            "RINGBACK_API_KEYS is not set, and nobody can call without a key: set it to one, "
            f"for instance to the output of `openssl rand -hex 32`{also}"
        )


def _chosen(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    named = environ.get(CONFIG)
    there = DEFAULT_FILE if DEFAULT_FILE.exists() else None
    return path or (Path(named) if named else there)


def _profiles(path: Path | None, file: File) -> ProfileRegistry:
    return ProfileRegistry(path.parent / file.providers if path and file.providers else None)


def _api_keys(text: str, secret: SecretResolver) -> tuple[str, ...]:
    """Those that are set, of which there must be one where any is named; () for a blank text."""
    named = [one.strip() for one in text.split(",") if one.strip()]
    found = secret.all("RINGBACK_API_KEYS", named)
    return tuple(checks.header_value("RINGBACK_API_KEYS", key) for key in found)


def _callback_secret(text: str | None, secret: SecretResolver) -> str | None:
    name = "RINGBACK_CALLBACK_SECRET"
    return signing_secret(name, secret.of(name, text))


def _master_keys(text: str, secret: SecretResolver) -> tuple[MasterKey, ...]:
    """All of them: one that was skipped would leave secrets plain, or unopened."""
    if not text:
        return ()
    named = [(one.strip(), secret.of(vault.NAME, one.strip())) for one in text.split(",")]
    for one, found in named:
        if not found:
            raise ConfigError(f"{vault.NAME}: {one or 'an entry'} is not set; {vault.REMEDY}")
    try:
        return vault.master_keys(",".join(found or "" for _, found in named))
    except ValueError as error:
        raise ConfigError(f"{vault.NAME}: {error}") from None


def _source(context: LoadContext, name: str, table: SourceTable) -> Source:
    where, secret, or_default = context.where, context.secret, context.problems.or_default
    key = f"sources.{name}"
    at = f"{where}: {key}"
    or_default(None, checks.check_name, where, key, name)
    for word, good in (("track", ("all",)), ("trust", TRUST), ("mirror", (None, "open"))):
        or_default(None, checks.one_of, where, f"{key}.{word}", getattr(table, word), good)
    secrets = or_default(list[str](), secret.all, f"{at}.webhook_secret", table.webhook_secret)
    token = next(iter(or_default(list[str](), secret.all, f"{at}.token", table.token)), None)
    if table.provider not in context.profiles:
        raise ConfigError(_no_provider(f"{at}.provider", table.provider, context.profiles))
    profile = context.profiles[table.provider]
    source = Source(
        name=name,
        profile=profile,
        keys=or_default((), _push_keys, where, f"{key}.webhook_secret", profile, secrets),
        secrets=tuple(secrets),
        senders=or_default(frozenset(), _senders, where, f"{key}.senders", profile, table.senders),
        account=_account(context, key, profile, table)._replace(token=token),
        token=or_default(None, secret.file, f"{at}.token", table.token),
        trust=table.trust or (profile.push.trust if profile.push else "event"),
        deadline=or_default(0.0, checks.duration, f"{at}.deadline", table.deadline),
        mirror_open=table.mirror == "open",
        largest=or_default(0, _largest, f"{at}.largest", profile, table),
        mirror_root=table.mirror_root,
    )
    if token and any(kind.poll and kind.poll.auth for kind in profile.kinds.values()):
        or_default(None, _check_token, f"{at}.token", profile, token)
    if table.trust == "refetch" and not source.pollable and not (table.token and not token):
        why = source.why_not_pollable(next(iter(profile.kinds)))
        raise ConfigError(f'{where}: {key}.trust: "refetch" needs polls, and {why}')
    return source


def _no_provider(at: str, name: str, profiles: Mapping[str, Profile]) -> str:
    known = sorted(profiles)
    near = did_you_mean(name, known)
    return f"{at}: no provider {name!r}; there are {', '.join(known)}{near}"


def _check_token(at: str, profile: Profile, token: str) -> None:
    """Refuse a token that the header of a poll cannot carry; it would be missed at the first only."""
    for kind in profile.kinds.values():
        if kind.poll and kind.poll.auth:
            _, value = kind.poll.auth.header(token)
            checks.header_value(at, value)


def _largest(where: str, profile: Profile, table: SourceTable) -> int:
    own = checks.push_size(where, table.largest)
    return own or (profile.push.largest if profile.push else None) or PUSH_SIZE


def _account(context: LoadContext, key: str, profile: Profile, table: SourceTable) -> Account:
    where, or_default = context.where, context.problems.or_default
    or_default(None, _check_values, where, key, profile, table)
    status_url = or_default(None, checks.status_url, where, f"{key}.status_url", table.status_url)
    base_url = table.base_url or profile.base_url
    return Account(
        base_url=or_default(None, checks.url_of, where, f"{key}.base_url", base_url) or "",
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


def _subscription(context: LoadContext, name: str, table: SubscriptionTable) -> Subscription:
    where, secret, or_default = context.where, context.secret, context.problems.or_default
    key = f"subscriptions.{name}"
    at = f"{where}: {key}"
    or_default(None, checks.check_name, where, key, name)
    for word, given, good in (
        ("events", table.events, FILTER_NAMES),
        ("sources", table.sources, tuple(context.file.sources)),
        ("providers", table.providers, tuple(sorted(context.profiles))),
        ("format", [table.format], FORMAT_NAMES),
        ("signature", [table.signature], SIGNATURE_NAMES),
    ):
        for value in given:
            or_default(None, checks.one_of, where, f"{key}.{word}", value, good)
    secrets = or_default(list[str](), secret.all, f"{at}.secret", table.secret)
    checked = {
        "url": or_default(None, checks.url_of, where, f"{key}.url", table.url) or "",
        "headers": or_default(dict[str, str](), _headers, context, f"{at}.headers", table.headers),
        "concurrency": or_default(1, checks.concurrency, f"{at}.concurrency", table.concurrency),
        "rate": or_default(None, checks.rate, f"{at}.rate", table.rate),
    }
    return Subscription(
        id=f"sub_{name}",
        secrets=or_default((), _signers, f"{at}.secret", table.signature, secrets),
        static=True,
        **settings_of(table) | checked,
    )


def _signers(where: str, signature: str, secrets: Sequence[str]) -> tuple[str, ...]:
    """Secrets that make this kind of signature; one of an unknown kind is a mistake already."""
    if signature not in SIGNATURE_NAMES:
        return ()
    try:
        for secret in secrets:
            signing.signer(signature, secret)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    return tuple(secrets)


def _headers(context: LoadContext, at: str, given: Mapping[str, str]) -> dict[str, str]:
    """Headers to send; their values are secrets."""
    found = {
        name: context.problems.or_default(list[str](), context.secret.all, f"{at}.{name}", text)
        for name, text in given.items()
    }
    try:
        return check_headers({name: values[0] for name, values in found.items() if values})
    except ValueError as error:
        raise ConfigError(f"{at}: {error}") from None
