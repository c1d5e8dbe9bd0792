"""Has all jobs polled after a start, and when Redis or its data was replaced: pushes may be missed.

Each clock notices it, but a trouble is named by the Redis that it left, so the work is enqueued once.
What else must be done then may be done by each clock.
"""

from collections.abc import Awaitable, Callable

from processor.service.polling.poll_all import enqueue_all
from processor.service.runtime.context import Context

CHECK_INTERVAL = 1.0  # seconds
UNNAMED = "start"  # instead of the id of Redis' process, if INFO is denied


class AfterTrouble:
    """Compares the Redis that this process sees with the one for which all jobs were polled."""

    def __init__(self, context: Context, *repairs: Callable[[Context], Awaitable[None]]) -> None:
        """`repairs` are safe to repeat."""
        self._context = context
        self._repairs = repairs
        self._seen: tuple[str | None, str | None] | None = None
        context.store.at_replacement.append(self._forget)

    def _forget(self) -> None:
        self._seen = None

    async def check(self) -> float:
        """Enqueue the polls if this is another Redis; the seconds to wait."""
        seen = self._context.store.fleet.server_seen
        if seen is not None and seen != self._seen:
            await enqueue_all(self._context, seen[0] or UNNAMED)
            for repair in self._repairs:
                await repair(self._context)
            self._seen = seen
        return CHECK_INTERVAL
