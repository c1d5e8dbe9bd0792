"""Reads an answer to a poll, a large one in a thread; and tells whether its token was outdated."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from processor.config import Source
from processor.model import HttpResponse
from processor.provider import Account, PollFailure
from processor.sizes import IN_THREAD

Result = TypeVar("Result")


async def read_answer(response: HttpResponse, read: Callable[[HttpResponse], Result]) -> Result:
    """What `read`, a pure function, finds in a response."""
    if len(response.body) <= IN_THREAD:
        return read(response)
    return await asyncio.to_thread(read, response)


def check_token(source: Source, account: Account, outcome: Result) -> Result | PollFailure:
    """The outcome of a request; `outdated` if its token was refused, but the next one is another."""
    if not isinstance(outcome, PollFailure) or outcome.kind != "unauthorized":
        return outcome
    renewed = source.renewed_after_refusal(account)
    return replace(outcome, kind="outdated") if renewed else outcome
