"""The key file: the API key that `ringback up` makes for its own machine, in its data folder.

It is made once, and only its owner can read it. A file that another user may have read or written
is refused, because anybody who knows the key can call.
"""

import os
import re
import stat
from pathlib import Path

from processor.errors import ConfigError

NAME = "key"
BYTES = 32  # of randomness
_KEY = re.compile(rb"[A-Za-z0-9_-]{32,128}\n?")
_MAX_BYTES = 1024  # that are read
_REMEDY = "delete it, and `ringback up` makes another"


def make(path: Path) -> str | None:
    """Make the file; returns the key, or None if the file exists already."""
    import secrets  # noqa: PLC0415 -- slow to import for those who only read a key

    key = secrets.token_urlsafe(BYTES)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}: use a --data folder that you own") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # regardless of the umask
            file.write(f"{key}\n".encode())
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ConfigError(f"{path}: {error.strerror}: free space for the API key there") from None
    return key


def read(path: Path) -> str | None:
    """The key; None without a file. ConfigError if the file cannot be trusted."""
    try:  # follows no symbolic link, and does not block on a pipe
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if path.is_symlink():
            raise ConfigError(f"{path}: is a symbolic link: {_REMEDY}") from None
        raise ConfigError(f"{path}: {error.strerror}: run as its owner") from None
    try:
        if problem := _problem(os.fstat(descriptor)):
            raise ConfigError(f"{path}: {problem}")
        text = os.read(descriptor, _MAX_BYTES)
    finally:
        os.close(descriptor)
    if not _KEY.fullmatch(text):
        problem = "is empty" if not text.strip() else "does not hold an API key"
        raise ConfigError(f"{path}: {problem}: {_REMEDY}")
    return text.strip().decode()


def _problem(status: os.stat_result) -> str | None:
    """Why the file cannot be trusted, with the remedy; None if it can."""
    if not stat.S_ISREG(status.st_mode):
        return f"is not a regular file: {_REMEDY}"
    if status.st_uid != os.geteuid():
        return "belongs to another user: run as its owner, or delete it"
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        return f"others may read or write it (mode {mode:o}): {_REMEDY}, since they may know it"
    return None
