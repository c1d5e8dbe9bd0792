"""A lock for each key, for as long as somebody holds it or waits for it."""

import asyncio
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

Key = TypeVar("Key")


class KeyedLocks(Generic[Key]):
    """Callers with the same key take turns; those with different keys do not meet."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    def __len__(self) -> int:
        """How many keys have somebody."""
        return len(self._locks)

    def __getitem__(self, key: Key) -> asyncio.Lock:
        """The lock of a key: `async with locks[key]`."""
        return self._locks.setdefault(key, asyncio.Lock())
