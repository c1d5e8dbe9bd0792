"""Conditions instead of sleeps."""

import asyncio
from collections.abc import Awaitable, Callable

LOOK_EVERY = 0.02  # seconds


async def until(
    true: Callable[[], object], seconds: float, what: str, missing: Callable[[], object] = str
) -> None:
    """Return as soon as `true()`; fail, naming what never came, after so many seconds."""
    ends = asyncio.get_running_loop().time() + seconds
    while not true():
        late = asyncio.get_running_loop().time() > ends
        assert not late, f"not within {seconds:g} s: {what} {missing()}"
        await asyncio.sleep(LOOK_EVERY)


async def until_it(true: Callable[[], Awaitable[object]], seconds: float, what: str) -> None:
    """`until` for a condition that must be awaited."""
    ends = asyncio.get_running_loop().time() + seconds
    while not await true():
        assert asyncio.get_running_loop().time() < ends, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(LOOK_EVERY)
