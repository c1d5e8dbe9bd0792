"""Secrets where they are kept: in the file itself, in a variable, or in a file of their own."""

from collections.abc import Mapping
from pathlib import Path

from processor import signing
from processor.config.tables import Secrets
from processor.errors import ConfigError

MASK = "********"


class Keeper:
    """Gives secrets for the texts that stand for them: `env:NAME`, `file:PATH`, or themselves."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        """Look in this environment, and for files below this folder."""
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


def signing_secret(where: str, secret: str | None) -> str | None:
    """A `whsec_` secret that we sign with."""
    if secret is None:
        return None
    try:
        signing.decode_secret(secret)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    return secret
