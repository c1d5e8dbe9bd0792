"""The lock of a data directory: only one `ringback up` may use it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processor.errors import ConfigError

WAIT = 3.0  # seconds that the Redis of a killed instance may take to end
RETRY_PAUSE = 0.05  # seconds


@contextmanager
def lock(data: Path) -> Iterator[int]:
    """Lock the data directory while the block runs; yields the lock's file descriptor.

    Redis inherits the descriptor and holds the lock as long as it runs: a second Redis can never
    write the same append-only file, even if the `up` that started the first was killed.
    """
    path = data / "lock"
    with _writing(data):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor, data)
        with _writing(data):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _writing(data: Path) -> Iterator[None]:
    """ConfigError if the block cannot write the lock."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"--data {data}: {error.strerror}: use a folder that you own, on a disk with room"
        ) from None


def _acquire(descriptor: int, data: Path) -> None:
    deadline = time.monotonic() + WAIT
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace")
            if _alive(holder):
                raise ConfigError(
                    f"{data} is in use by another `ringback up` (pid {holder}): stop it, "
                    "or give --data another folder"
                ) from None
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"{data} is in use by the Redis of a `ringback up` that was killed "
                    f"(pid {holder}): end that Redis"
                ) from None
        time.sleep(RETRY_PAUSE)


def _alive(holder: str) -> bool:
    try:
        os.kill(int(holder), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
