"""From a [sources.NAME] table to a Source."""

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from processor import signing
from processor.config import checks, url_checks
from processor.config.load_context import LoadContext
from processor.config.load_token import LoadedToken, load_token
from processor.config.place import Place
from processor.config.schema import SourceTable
from processor.config.settings import Source
from processor.durations import MAX_DEADLINE, MIN_DURATION
from processor.errors import ConfigError
from processor.provider import Account, Profile, did_you_mean
from processor.sizes import PUSH_SIZE

TRACK = (None, "all", "registered")
TRUST = (None, "event", "refetch")


def load_source(context: LoadContext, name: str, table: SourceTable) -> Source:
    """Check a table, and resolve its secrets and its profile."""
    secret, collect = context.secret, context.problems.collect

    def at(word: str) -> Place:
        return context.at(f"sources.{name}.{word}")

    collect(None, checks.check_name, context.at(f"sources.{name}"), name)
    for word, good in (("track", TRACK), ("trust", TRUST), ("mirror", (None, "open"))):
        collect(None, checks.one_of, at(word), getattr(table, word), good)
    secrets = collect(list[str](), secret.all, at("webhook_secret"), table.webhook_secret)
    if table.provider not in context.profiles:
        raise ConfigError(_no_provider(at("provider"), table.provider, context.profiles))
    profile = context.profiles[table.provider]
    token = collect(LoadedToken(), load_token, context, at("token"), profile, table.token)
    source = Source(
        name=name,
        profile=profile,
        keys=collect((), _push_keys, at("webhook_secret"), profile, secrets),
        secrets=tuple(secrets),
        senders=collect(frozenset(), _senders, at("senders"), profile, table.senders),
        account=_account(context, at, profile, table)._replace(token=token.text),
        token=token.renewed,
        track=table.track or ("registered" if _is_unsigned(profile) else "all"),
        trust=table.trust or (profile.push.trust if profile.push else "event"),
        deadline=collect(0.0, _deadline, at("deadline"), table.deadline),
        mirror_open=table.mirror == "open",
        largest=collect(0, _max_push, at("largest"), profile, table),
        cancel=table.cancel,
        mirror_max_age=collect(None, _mirror_max_age, at("mirror_max_age"), table.mirror_max_age),
        mirror_root=table.mirror_root,
        learn=table.learn,
    )
    if table.trust is None and _is_unsigned(profile) and source.pollable:
        source = replace(source, trust="refetch")
    if table.cancel:
        collect(None, _check_cancel, at("cancel"), profile)
    if (
        table.trust == "refetch"
        and not source.pollable
        and not (table.token and token.text is None)
    ):
        why = source.why_not_pollable(next(iter(profile.kinds)))
        raise ConfigError(f'{at("trust")}: "refetch" needs polls: {why}')
    return source


def _check_cancel(at: Place, profile: Profile) -> None:
    if not any(kind.poll and kind.poll.cancel for kind in profile.kinds.values()):
        raise ConfigError(f"{at}: {profile.name} has no call that cancels a job; remove the key")


def _is_unsigned(profile: Profile) -> bool:
    """Whether anybody could have sent its pushes."""
    return profile.push is not None and profile.verify is None


def _no_provider(at: Place, name: str, profiles: Mapping[str, Profile]) -> str:
    known = sorted(profiles)
    near = did_you_mean(name, known)
    return f"{at}: no provider {name!r}; there are {', '.join(known)}{near}"


def _deadline(where: Place, text: str) -> float:
    return checks.duration_within(where, text, MIN_DURATION, MAX_DEADLINE)


def _mirror_max_age(where: Place, text: str | None) -> float | None:
    return None if text is None else checks.duration(where, text)


def _max_push(where: Place, profile: Profile, table: SourceTable) -> int:
    own = checks.push_size(where, table.largest)
    return own or (profile.push.largest if profile.push else None) or PUSH_SIZE


def _account(
    context: LoadContext, at: Callable[[str], Place], profile: Profile, table: SourceTable
) -> Account:
    collect = context.problems.collect
    collect(None, _check_params, at, profile, table)
    status_url = collect(None, url_checks.status_url, at("status_url"), table.status_url)
    base_url = table.base_url or profile.base_url
    return Account(
        base_url=collect(None, url_checks.url_of, at("base_url"), base_url) or "",
        params=profile.params | table.params | ({"status_url": status_url} if status_url else {}),
    )


def _check_params(at: Callable[[str], Place], profile: Profile, table: SourceTable) -> None:
    """Refuse params that no placeholder uses; else only the first poll would show a mistyped name."""
    for name in table.params:
        if name not in profile.placeholders:
            known = ", ".join(sorted(profile.placeholders)) or "none"
            raise ConfigError(
                f"{at(f'params.{name}')}: {profile.name} has no such placeholder; it has {known}"
            )


def _push_keys(where: Place, profile: Profile, secrets: Sequence[str]) -> tuple[signing.Key, ...]:
    rule = profile.verify
    if secrets and not (rule and profile.needs_secret):
        why = "signs with keys of its own" if rule else "signs no pushes"
        raise ConfigError(f"{where}: {profile.name} {why}; remove the key")
    try:
        return tuple(signing.secret_key(rule, s) for s in secrets) if rule else ()
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def _senders(where: Place, profile: Profile, senders: Sequence[str]) -> frozenset[str]:
    if senders and not (profile.verify and signing.has_senders(profile.verify)):
        why = "does not distinguish senders; remove the key"
        raise ConfigError(f"{where}: {profile.name} {why}")
    arns = profile.verify is not None and profile.verify.scheme == "sns"
    for sender in senders:
        if arns and not sender.startswith("arn:"):
            raise ConfigError(
                f"{where}: {sender!r} is not an SNS topic; write its ARN, arn:aws:sns:REGION:ACCOUNT:NAME"
            )
    return frozenset(senders)
