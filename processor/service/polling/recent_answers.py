"""A small cache of answers, each for some seconds: bounded in number and in bytes."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

MAX_ANSWERS = 4096
MAX_BODY = 16_384  # bytes; an answer with a longer body is not kept

Key = TypeVar("Key")
Value = TypeVar("Value")


class RecentAnswers(Generic[Key, Value]):
    """Answers by key, each for its own time; the oldest goes first when the cache is full."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answers: dict[Key, tuple[float, Value]] = {}

    def get(self, key: Key) -> Value | None:
        """The answer, if it is still kept."""
        until, value = self._answers.get(key, (0.0, None))
        return value if until > self._clock() else None

    def put(self, key: Key, value: Value, seconds: float, size: int = 0) -> None:
        """Keep an answer for so many seconds, unless its body of `size` bytes is too long."""
        self._answers.pop(key, None)
        if size > MAX_BODY:
            return
        self._answers[key] = (self._clock() + seconds, value)
        if len(self._answers) > MAX_ANSWERS:
            del self._answers[next(iter(self._answers))]
