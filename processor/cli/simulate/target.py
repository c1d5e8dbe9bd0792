"""Who is played: a provider's profile, and the source that ringback.toml configures for it, if any."""

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from processor.cli.exit_codes import CommandError
from processor.config.loading import read_file
from processor.config.profiles import Shelf
from processor.config.schema import File, SourceTable
from processor.config.secrets import Keeper
from processor.provider import Profile

NO_TABLE = SourceTable(provider="")
URLS = ("base_url", "status_url")


class Role(NamedTuple):
    """A profile, and a source's table as written; an empty one where none is configured."""

    profile: Profile
    source: str | None
    table: SourceTable
    file: Path | None

    @property
    def port(self) -> int:
        """The port of this machine at which the source asks; 0 if it asks elsewhere."""
        urls = (urlsplit(getattr(self.table, name) or "") for name in URLS)
        return next((url.port for url in urls if _is_here(url.hostname) and url.port), 0)

    @property
    def confirms(self) -> bool:
        """Whether an end that is pushed counts only once a poll agrees."""
        trust = self.table.trust or (self.profile.push and self.profile.push.trust)
        return trust == "refetch"

    def secret(self, given: str | None, environ: Mapping[str, str]) -> str:
        """What signs the pushes: what is given, else the source's newest; empty if there is none."""
        if given is not None:
            found = Keeper(environ, Path()).of("--secret", given)
            if found is None:
                raise CommandError(f"--secret {given}: it is not set; set it, or give the secret")
            return found
        keeper = Keeper(environ, self.file.parent if self.file else Path())
        at = f"{self.file}: sources.{self.source}.webhook_secret"
        return next(iter(keeper.all(at, self.table.webhook_secret)), "")

    def lacks(self, needed: Mapping[str, Any]) -> dict[str, Any]:
        """What of a table the source's own does not say, or says otherwise."""
        own = msgspec.structs.asdict(self.table)
        lacking = {
            name: value
            for name, value in needed.items()
            if name not in {"params", "provider"} and not _says(name, own.get(name), value)
        }
        params = {
            name: value
            for name, value in needed.get("params", {}).items()
            if name not in self.table.params
        }
        return {**lacking, "params": params} if params else lacking


def role_of(name: str, file: Path | None) -> Role:
    """The source of this name, else the provider; no secret of the configuration need be set."""
    written = read_file(file) if file else File()
    folder = file.parent / written.providers if file and written.providers else None
    shelf, table = Shelf(folder), written.sources.get(name)
    wanted = table.provider if table else name
    if wanted not in shelf:
        also = f"; sources are {', '.join(written.sources)}" if written.sources else ""
        raise CommandError(f"no provider {wanted!r}; there are {', '.join(shelf)}{also}")
    return Role(shelf[wanted], name if table else None, table or NO_TABLE, file)


def _says(name: str, own: Any, needed: Any) -> bool:
    """Whether a value will do: any token, but the same URL."""
    return own.rstrip("/") == needed.rstrip("/") if own and name in URLS else bool(own)


def _is_here(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
