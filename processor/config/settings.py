"""Everything that can be set, checked and ready for use."""

import re
from pathlib import Path
from typing import Any

import msgspec

from processor import provider
from processor.config.secret import MASK
from processor.model import Subscription
from processor.provider import Poll, Profile


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
