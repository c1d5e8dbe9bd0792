"""What is simulated: a provider's profile, and the source of ringback.toml that uses it, if any."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from processor.cli.credentials import is_loopback
from processor.cli.exit_codes import CommandError
from processor.config.loading import read_file
from processor.config.profiles import ProfileRegistry
from processor.config.schema import File, SourceTable
from processor.config.secrets import SecretResolver
from processor.provider import Profile

NO_TABLE = SourceTable(provider="")
URLS = ("base_url", "status_url")


class SimulatedSource(NamedTuple):
    """A profile and a source's table as written; the table is empty if no source is configured."""

    profile: Profile
    name: str | None
    table: SourceTable
    file: Path | None

    @property
    def port(self) -> int:
        """The port of this machine that the source polls; 0 if it polls elsewhere."""
        urls = filter(is_loopback, (getattr(self.table, name) or "" for name in URLS))
        return next(filter(None, (urlsplit(url).port for url in urls)), 0)

    @property
    def confirms(self) -> bool:
        """Whether Ringback accepts a pushed end only after a poll has confirmed it."""
        push = self.profile.push
        trust = self.table.trust or ("refetch" if self._unsigned else push and push.trust)
        return trust == "refetch"

    @property
    def holds(self) -> bool:
        """Whether Ringback holds pushes about jobs that nobody has registered."""
        return (self.table.track or ("registered" if self._unsigned else "all")) == "registered"

    @property
    def _unsigned(self) -> bool:
        return self.profile.push is not None and self.profile.push.verify is None

    def secret(self, given: str | None, environ: Mapping[str, str]) -> str:
        """The secret that signs pushes: --secret, else the source's newest; empty without both."""
        if given is not None:
            found = SecretResolver(environ, Path()).of("--secret", given)
            if found is None:
                raise CommandError(f"--secret {given}: it is not set; set it, or give the secret")
            return found
        secrets = SecretResolver(environ, self.file.parent if self.file else Path())
        key = f"{self.file}: sources.{self.name}.webhook_secret"
        return next(iter(secrets.all(key, self.table.webhook_secret)), "")

    def missing_settings(self, needed: Mapping[str, Any]) -> dict[str, Any]:
        """The needed settings that the source's table lacks, or has with another value."""
        own = msgspec.structs.asdict(self.table)
        missing = {
            name: value
            for name, value in needed.items()
            if name not in {"params", "provider"} and not _is_set(name, own.get(name), value)
        }
        params = {
            name: value
            for name, value in needed.get("params", {}).items()
            if name not in self.table.params
        }
        return {**missing, "params": params} if params else missing


def find_source(name: str, file: Path | None) -> SimulatedSource:
    """The source of this name, else the provider; no secret of the configuration need be set."""
    written = read_file(file) if file else File()
    folder = file.parent / written.providers if file and written.providers else None
    profiles, table = ProfileRegistry(folder), written.sources.get(name)
    provider = table.provider if table else name
    if provider not in profiles:
        also = f"; sources are {', '.join(written.sources)}" if written.sources else ""
        raise CommandError(f"no provider {provider!r}; there are {', '.join(profiles)}{also}")
    return SimulatedSource(profiles[provider], name if table else None, table or NO_TABLE, file)


def _is_set(name: str, own: Any, needed: Any) -> bool:
    """Whether a source's own value will do: any token, but only the same URL."""
    return own.rstrip("/") == needed.rstrip("/") if own and name in URLS else bool(own)
