"""Secrets from where they are stored: the configuration file, a variable, or a file of their own."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from processor import signing
from processor.config.checks import CONTROL
from processor.config.place import At
from processor.config.schema import Secrets
from processor.errors import ConfigError
from processor.text_input import decode_system_text, decode_text

MASK = "********"


class SecretFile:
    """A secret in a file that is renewed from outside: read again when the file has changed.

    As the file of a source's token it is a `RenewedToken`.
    """

    def __init__(self, at: At, path: Path) -> None:
        """Read the file; ConfigError naming `at`, the key with the file's name, if that fails."""
        self._path = path
        try:
            self._stamp, self._text = _stamp_of(path), _text_of(path)
        except OSError as error:
            raise ConfigError(
                f"{at}: the file {path} cannot be read: {error.strerror}; create it, or correct the path"
            ) from None
        except UnicodeDecodeError:
            raise ConfigError(f"{at}: the file {path} is not UTF-8; save it as UTF-8") from None
        self._before = self._text

    def text(self) -> str:
        """The present secret; the last one while the file is missing, empty or not a single line."""
        with suppress(OSError, UnicodeDecodeError):
            stamp = _stamp_of(self._path)
            if stamp != self._stamp:
                text = _text_of(self._path)
                if text and not CONTROL.search(text):  # else it is perhaps being written
                    if text != self._text:
                        self._before = self._text
                    self._text, self._stamp = text, stamp
        return self._text

    @property
    def credential(self) -> bytes:
        """The file's path."""
        return f"file:{self._path}".encode(errors="surrogateescape")

    async def now(self) -> str:
        """The present token."""
        return self.text()

    def refused(self, token: str) -> bool:
        """Whether the file holds another token than the one that the provider refused."""
        return self.text() != token

    def known(self) -> Sequence[str]:
        """The present token and the one before, which answers may still repeat."""
        return (self.text(), self._before)


class SecretResolver:
    """Resolves `env:NAME` and `file:PATH` to the secret; another text is the secret itself.

    `at` is the key with the text, for messages.
    """

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        """Variables are read from this environment, and files below this folder."""
        self._environ = environ
        self.folder = folder
        self.variables: set[str] = set()  # that the file refers to

    def of(self, at: At, text: str | None) -> str | None:
        """The secret, or None if its variable or file is unset, empty or blank."""
        if text is None:
            return None
        if text.startswith("env:"):
            self.variables.add(text[4:])
            return decode_system_text(self._environ.get(text[4:], "")).strip() or None
        file = self.file(at, text)
        return text if file is None else file.text() or None

    def file(self, at: At, text: str | None) -> SecretFile | None:
        """The file that a text refers to, if it does."""
        if text is None or not text.startswith("file:"):
            return None
        return SecretFile(at, self.folder / text[5:])

    def all(self, at: At, texts: Secrets | None) -> list[str]:
        """All secrets that are set; ConfigError if some are named and none is set."""
        named = [texts] if isinstance(texts, str) else texts or []
        found = [s for s in (self.of(at, text) for text in named) if s]
        if named and not found:
            raise ConfigError(
                f"{at}: none of {', '.join(map(_shown, named))} is set; set one, or remove the key"
            )
        return found


def _stamp_of(path: Path) -> tuple[int, int, int]:
    """What shows that a file was changed or replaced."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _text_of(path: Path) -> str:
    return decode_text(path.read_bytes()).strip()


def _shown(text: str) -> str:
    return text if text.startswith(("env:", "file:")) else MASK


def signing_secret(where: At, secret: str | None) -> str | None:
    """Check a `whsec_` secret that we sign with."""
    if secret is None:
        return None
    try:
        signing.decode_secret(secret)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    return secret
