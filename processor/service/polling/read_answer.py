"""Reads an answer to a poll; a large one in a thread, so that other work can run."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from processor.model import HttpResponse
from processor.sizes import IN_THREAD

Result = TypeVar("Result")


async def read_answer(response: HttpResponse, read: Callable[[HttpResponse], Result]) -> Result:
    """What `read`, a pure function, finds in a response."""
    if len(response.body) <= IN_THREAD:
        return read(response)
    return await asyncio.to_thread(read, response)
