"""One request of an agent, with what its handler needs."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from processor.service.events.tail import Tailer
from processor.service.runtime.context import Context
from processor.web.mcp.messages import Message
from processor.web.rate_limit import LargeReadLimit

Notify = Callable[[str, dict[str, object]], Awaitable[None]]
"""Sends a notification (method, params) on the stream of the response."""


class Services(NamedTuple):
    """What all requests share."""

    context: Context
    tailer: Tailer
    large: LargeReadLimit


class Exchange(NamedTuple):
    """A request: what was sent, by whom, and how to notify the client before the answer."""

    services: Services
    message: Message
    stateless: bool
    key: bytes  # the API key of the call
    trace: str | None = None  # `traceparent` of the call
    notify: Notify | None = None  # None: the response is no stream

    @property
    def context(self) -> Context:
        """What use cases work with."""
        return self.services.context

    async def progress(self, done: float, total: float, text: str) -> None:
        """Tell the client how far its call has come, if it wants to know."""
        token = self.message.meta.get("progressToken")
        if self.notify is None or token is None:
            return
        params = {"progressToken": token, "progress": done, "total": total, "message": text}
        await self.notify("notifications/progress", params)
