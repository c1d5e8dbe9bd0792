"""Calls something for many items, for some of them at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")


async def in_parts(
    call: Callable[[Item], Awaitable[Value]], items: Sequence[Item], together: int
) -> list[Value]:
    """The results in order; `together` calls run at the same time, and others in between."""
    found: list[Value] = []
    for start in range(0, len(items), together):
        found += await asyncio.gather(*map(call, items[start : start + together]))
    return found
