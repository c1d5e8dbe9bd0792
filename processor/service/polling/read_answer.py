"""Reads an answer to a poll, a large one in a thread; says why it is a failure, without secrets."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from processor.config import Source
from processor.config.redaction import excerpt
from processor.model import HttpResponse
from processor.provider import Account, PollFailure
from processor.sizes import IN_THREAD

Result = TypeVar("Result")


async def read_answer(response: HttpResponse, read: Callable[[HttpResponse], Result]) -> Result:
    """What `read`, a pure function, finds in a response."""
    if len(response.body) <= IN_THREAD:
        return read(response)
    return await asyncio.to_thread(read, response)


def check_outcome(source: Source, account: Account, outcome: Result) -> Result | PollFailure:
    """The outcome of a request; `outdated` if its token was refused, but the next one is another.

    The reason of a failure quotes the answer without the source's secrets, and is cut.
    """
    if not isinstance(outcome, PollFailure):
        return outcome
    refused = outcome.kind == "unauthorized" and source.renewed_after_refusal(account)
    kind = "outdated" if refused else outcome.kind
    return replace(outcome, kind=kind, reason=excerpt(source, outcome.reason))
