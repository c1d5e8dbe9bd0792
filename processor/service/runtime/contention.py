"""Commits a change that others may keep from being committed: in this process one caller at a time."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from processor.errors import Contention

MAX_TRIES = 8  # of a caller whose turn it is: only other processes still get in its way
FIRST_PAUSE = 0.01  # seconds at most; each further one is twice as long

Result = TypeVar("Result")


async def until_committed(
    what: str, turn: asyncio.Lock, attempt: Callable[[], Awaitable[tuple[bool, Result]]]
) -> Result:
    """The result of the first attempt that is committed; Contention if others change it all the time.

    An attempt reads something, changes it and commits that; it returns whether nobody else has
    changed it meanwhile, and a result. Without turns most of many callers would fail.
    """
    async with turn:
        for tried in range(MAX_TRIES):
            committed, result = await attempt()
            if committed:
                return result
            await asyncio.sleep(random.random() * FIRST_PAUSE * 2**tried)  # noqa: S311 -- jitter
    raise Contention(f"Many calls are changing this {what} at the same time; try again")
