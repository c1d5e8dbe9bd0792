"""The key file: the API key that `ringback up` makes for its own machine, kept in its data folder.

It is made once, for its owner's eyes only. One that somebody else may have read or written is
refused: whoever knows the key can call.
"""

import os
import re
import secrets
import stat
from pathlib import Path

from processor.errors import ConfigError

NAME = "key"
BYTES = 32  # of randomness
_KEY = re.compile(rb"[A-Za-z0-9_-]{32,128}\n?")
_MOST = 1024  # bytes that are read of it
_ANOTHER = "delete it, and `ringback up` makes another"


def make(path: Path) -> str | None:
    """Make it, whole; the key, or None where there is a file already."""
    key = secrets.token_urlsafe(BYTES)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}: give --data a folder of your own") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask took away
            file.write(f"{key}\n".encode())
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ConfigError(f"{path}: {error.strerror}: make room for the API key there") from None
    return key


def read(path: Path) -> str | None:
    """The key; None where there is no file. ConfigError for one that cannot be trusted."""
    try:  # no symbolic link is followed, and a pipe does not hold us up
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if path.is_symlink():
            raise ConfigError(f"{path}: is a symbolic link: {_ANOTHER}") from None
        raise ConfigError(f"{path}: {error.strerror}: run as its owner") from None
    try:
        if problem := _problem(os.fstat(descriptor)):
            raise ConfigError(f"{path}: {problem}")
        text = os.read(descriptor, _MOST)
    finally:
        os.close(descriptor)
    if not _KEY.fullmatch(text):
        what = "is empty" if not text.strip() else "does not hold an API key"
        raise ConfigError(f"{path}: {what}: {_ANOTHER}")
    return text.strip().decode()


def _problem(status: os.stat_result) -> str | None:
    """Why a file must not be trusted, with the remedy."""
    if not stat.S_ISREG(status.st_mode):
        return f"is not a regular file: {_ANOTHER}"
    if status.st_uid != os.geteuid():
        return "belongs to another user: run as its owner, or delete it"
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        return f"others may read or write it (mode {mode:o}): {_ANOTHER}, since they may know it"
    return None
