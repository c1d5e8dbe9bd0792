"""A small memory of answers that are good for some seconds: bounded in number and in bytes."""

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

MOST = 4096  # answers
LONGEST = 16_384  # bytes of one; a longer one is not kept

Key = TypeVar("Key")
Value = TypeVar("Value", bound=Any)


class RecentAnswers(Generic[Key, Value]):
    """Values by key, each until its time is up; the oldest goes when there is no room."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is kept yet."""
        self._clock = clock
        self._kept: dict[Key, tuple[float, Value]] = {}

    def get(self, key: Key) -> Value | None:
        """The value, if its time is not up."""
        until, value = self._kept.get(key, (0.0, None))
        return value if until > self._clock() else None

    def put(self, key: Key, value: Value, seconds: float) -> None:
        """Keep a value for so many seconds, unless it is too long."""
        self._kept.pop(key, None)
        if len(value.body) > LONGEST:
            return
        self._kept[key] = (self._clock() + seconds, value)
        if len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]
