"""The settings, validated and ready for use."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from processor import provider, signing
from processor.config import redis_url
from processor.config.environment import VariableWarning
from processor.config.secrets import MASK
from processor.model import Retention, Subscription
from processor.provider import Account, PollRules, Profile
from processor.sizes import PUSH_SIZE
from processor.subscription_settings import settings_of
from processor.tokens import RenewedToken
from processor.vault import MasterKey


class Source(msgspec.Struct, frozen=True, dict=True):
    """One configured account at a provider. What follows from it is computed once."""

    name: str
    profile: Profile
    keys: tuple[signing.Key, ...]  # of push signatures, each of which is accepted
    senders: frozenset[str]  # who may push, if the keys also sign others' pushes
    account: Account
    token: RenewedToken | None  # where the account's token is renewed, if it is
    track: str  # `all`, or `registered`: pushes about unknown jobs are held
    trust: str  # `event`, or `refetch`: a final push counts once a poll agrees
    deadline: float  # seconds after the job was first seen
    mirror_open: bool
    largest: int = PUSH_SIZE  # bytes of a push
    cancel: bool = False  # at the deadline the provider is asked to cancel the job
    mirror_max_age: float | None = None  # seconds; an older answer is refreshed before it is given
    mirror_root: bool = False  # its mirror paths are served at the root as well
    learn: bool = True  # False: its polls keep to the profile's intervals
    secrets: tuple[str, ...] = ()  # that the keys were made from: for registration at the provider

    async def account_now(self) -> Account:
        """The account with its present token; ConfigError with the reason if there is none.

        It may run a command, which only workers do.
        """
        return self.account._replace(token=await self.token.now()) if self.token else self.account

    @property
    def polled_by_workers_only(self) -> bool:
        """Whether a command prints the token, which only workers run."""
        return self.account.token == ""

    def renewed_after_refusal(self, account: Account) -> bool:
        """The provider refused the token of this account: whether the next one is another."""
        return self.token is not None and self.token.refused(account.token or "")

    @cached_property
    def credential(self) -> bytes:
        """What identifies the account's token; it stays the same when the token is renewed.

        The token itself, or where it comes from: the path of its file, or the command. Empty
        without a token. Sources with the same one share an account. It may be a secret: store a
        keyed digest of it, and never show it.
        """
        if self.token:
            return self.token.credential
        return (self.account.token or "").encode(errors="surrogateescape")

    def known_tokens(self) -> Sequence[str]:
        """The tokens that an answer of the provider may repeat."""
        return self.token.known() if self.token else [self.account.token or ""]

    def kind_of(self, job: str) -> str | None:
        """The kind that a job's id names."""
        return self.profile.kind_of(job)

    def poll(self, kind: str | None) -> PollRules | None:
        """How a job of this kind is polled; None if it cannot be."""
        return self._polls.get(kind)

    @cached_property
    def _polls(self) -> Mapping[str | None, PollRules]:
        polls = {kind: self.profile.polls(kind) for kind in self.profile.kinds}
        return {k: poll for k, poll in polls.items() if poll and not self.why_not_pollable(k)}

    def learns(self, kind: str | None) -> bool:
        """Whether polls of this kind are scheduled by how long its last jobs took."""
        poll = self.poll(kind)
        return self.learn and poll is not None and poll.learn

    def why_not_pollable(self, kind: str | None) -> str | None:
        """What is missing to poll jobs of this kind, with the remedy; None if nothing."""
        return provider.why_not_pollable(self.profile, kind, self.account)

    def confirms(self, kind: str | None) -> bool:
        """Whether a final state in a push must be confirmed by a poll."""
        return self.trust == "refetch" and self.poll(kind) is not None

    def cancels(self, kind: str | None) -> bool:
        """Whether the provider is asked to cancel a job of this kind at its deadline."""
        poll = self.poll(kind)
        return self.cancel and poll is not None and poll.cancel is not None

    @cached_property
    def holds(self) -> bool:
        """Whether pushes about jobs that nobody has registered are held."""
        return self.track == "registered"

    @property
    def pollable(self) -> bool:
        """Whether jobs of some kind can be polled."""
        return bool(self._polls)

    @cached_property
    def why_unusable(self) -> str | None:
        """What is missing for pushes and for polls; None if one of them works."""
        if self.takes_pushes or self.pollable:
            return None
        no_polls = self.why_not_pollable(next(iter(self.profile.kinds)))
        return f"it cannot receive pushes ({self.why_no_pushes}) and cannot be polled ({no_polls})"

    @cached_property
    def why_orphaned(self) -> str | None:
        """Why its jobs stay unknown unless somebody registers each, with the remedy; None if not."""
        if not (self.holds and self.takes_pushes) or self.pollable:
            return None
        no_polls = self.why_not_pollable(next(iter(self.profile.kinds)))
        return (
            f"it holds pushes of jobs that are not registered for 24 h, and cannot be polled "
            f'({no_polls}): PUT /v1/jobs/{self.name}/ID for each job, or set track = "all" in '
            f"[sources.{self.name}]"
        )

    @cached_property
    def why_reruns_unseen(self) -> str | None:
        """What is missing to see that a job runs again, where only a poll shows it."""
        for name, kind in self.profile.kinds.items():
            reopens = kind.poll and kind.poll.reopens and kind.push and not kind.push.reopens
            if reopens and self.takes_pushes and (lack := self.why_not_pollable(name)):
                return f"a job that runs again keeps its id, which only a poll can show: {lack}"
        return None

    @cached_property
    def mirror_paths(self) -> dict[str | None, str]:
        """The provider's own status path with `{id}`, by kind, where this source can serve it."""
        return provider.mirror_paths(self.profile, self.account.params)

    @cached_property
    def budget(self) -> tuple[int, float] | None:
        """How many polls in how many seconds the account allows, whatever their kind."""
        polls = (kind.poll for kind in self.profile.kinds.values())
        return next((poll.budget for poll in polls if poll and poll.budget), None)

    @property
    def takes_pushes(self) -> bool:
        """Whether it has a `/hooks/{name}`."""
        return self.why_no_pushes is None

    def pushes(self, kind: str | None) -> bool:
        """Whether pushes about jobs of this kind are received."""
        known = self.profile.kinds.get(kind)
        return self.takes_pushes and known is not None and known.push is not None

    @cached_property
    def pushed_and_polled(self) -> bool:
        """Whether there are jobs that it is polled about and also receives pushes of."""
        return any(self.pushes(kind) for kind in self._polls)

    @cached_property
    def why_no_pushes(self) -> str | None:
        """What is missing to receive pushes, with the remedy; None if nothing."""
        if self.profile.push is None:
            return f"{self.profile.name} does not push; it is polled"
        if self.profile.needs_secret and not self.keys:
            return "set its webhook_secret"
        if self.requires_sender and not self.senders:
            return "set its senders: whose pushes to accept, of all that the same keys sign"
        return None

    @cached_property
    def requires_sender(self) -> bool:
        """Whether the keys also sign others' pushes, so that a push must be from a known sender."""
        return self.profile.verify is not None and signing.has_senders(self.profile.verify)


class Settings(msgspec.Struct, frozen=True):
    """Everything that can be configured."""

    redis_url: str
    file: Path | None = None
    sources: dict[str, Source] = {}
    subscriptions: dict[str, Subscription] = {}  # by id
    egress_allow: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = ()
    callback_secret: str | None = None
    master_keys: tuple[MasterKey, ...] = ()  # the first encrypts secrets in Redis, all decrypt them
    secret_overlap: float = 86_400.0  # seconds after a rotation in which the old secret also signs
    public_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    shards: int = 1
    lease: float = 30.0  # seconds that a worker may hold what it claimed
    keep: Retention = Retention()
    warnings: tuple[VariableWarning, ...] = ()  # about variables that probably have no effect

    def masked(self) -> dict[str, Any]:
        """The settings for display: every secret is masked."""
        return {
            "file": str(self.file) if self.file else None,
            "redis_url": redis_url.masked(self.redis_url),
            "host": self.host,
            "port": self.port,
            "public_url": self.public_url,
            "shards": self.shards,
            "lease": self.lease,
            "keep": msgspec.structs.asdict(self.keep),
            "api_keys": [MASK for _ in self.api_keys],
            "callback_secret": self.callback_secret and MASK,
            "master_keys": {key.id: MASK for key in self.master_keys},
            "secret_overlap": self.secret_overlap,
            "egress": {"allow": list(self.egress_allow)},
            "sources": {name: _masked_source(s) for name, s in self.sources.items()},
            "subscriptions": {s.id: _masked_subscription(s) for s in self.subscriptions.values()},
        }


def _masked_source(source: Source) -> dict[str, Any]:
    return {
        "provider": source.profile.name,
        "token": None if source.account.token is None else MASK,
        "webhook_secret": [MASK for _ in source.keys],
        "senders": sorted(source.senders),
        "base_url": source.account.base_url or None,
        "params": dict(source.account.params),
        "track": source.track,
        "trust": source.trust,
        "deadline": source.deadline,
        "cancel": source.cancel,
        "learn": source.learn,
        "largest": source.largest,
        "mirror": "open" if source.mirror_open else None,
        "mirror_max_age": source.mirror_max_age,
        "mirror_root": source.mirror_root,
    }


def _masked_subscription(subscription: Subscription) -> dict[str, Any]:
    return settings_of(subscription) | {
        "headers": dict.fromkeys(subscription.headers, MASK),
        "secrets": [MASK for _ in subscription.secrets],
    }
