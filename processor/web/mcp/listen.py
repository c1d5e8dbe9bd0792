"""subscriptions/listen: says that a resource has changed, and how a task ended."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

from processor.errors import RequestError
from processor.service.groups.wait_task import WaitState
from processor.state_machine import uid_of
from processor.web.mcp import resources, tasks
from processor.web.mcp.exchange import Exchange
from processor.web.mcp.messages import INTERNAL_ERROR, INVALID_PARAMS, PREFIX, McpError, declares

MAX_NAMED = 1000  # resources, and tasks, of one stream
WAKES = 60.0  # seconds after which a stream without events looks whether it has ended
SUBSCRIPTION = f"{PREFIX}subscriptionId"


async def listen(exchange: Exchange) -> dict[str, Any]:
    """Notify the client until this process stops, or the client falls behind."""
    tailer, stream = exchange.services.tailer, ListenStream(exchange)
    if tailer.full:
        raise McpError(INTERNAL_ERROR, "The event log has as many listeners as it may; poll")
    try:
        async with tailer.listening() as listener, asyncio.TaskGroup() as group:
            ends = [group.create_task(stream.report_end(one)) for one in await stream.begin()]
            while (events := await listener.read(WAKES)) is not None:
                await stream.report(dict.fromkeys(uid_of(event.id) for event in events))
            for end in ends:
                end.cancel()
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return {"_meta": stream.meta}


class ListenStream:
    """What one client listens to: resources, by the uids under which the log of events names them,
    and tasks.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._uris: dict[str, list[str]] = {}
        self._reading = asyncio.Lock()  # thousands of tasks may end together: one at a time
        self.meta = {SUBSCRIPTION: exchange.message.id}

    async def begin(self) -> list[str]:
        """Say what is listened to; the tasks among it, whose ends are to be reported.

        What is unknown, or another's, is left out.
        """
        uris, task_ids = _named(self._exchange, "resourceSubscriptions"), list[str]()
        if declares(self._exchange.message, tasks.EXTENSION):
            task_ids = _named(self._exchange, "taskIds")
        accepted = {
            "resourceSubscriptions": [uri for uri in uris if await self._add_uri(uri)],
            "taskIds": [one for one in task_ids if await _or_none(tasks.find(self._exchange, one))],
        }
        named = {field: names for field, names in accepted.items() if names}
        await self._notify("notifications/subscriptions/acknowledged", notifications=named)
        return accepted["taskIds"]

    async def _add_uri(self, uri: str) -> bool:
        found = await _or_none(resources.find(self._exchange, uri))
        if found:
            self._uris.setdefault(found[0], []).append(uri)
        return found is not None

    async def report(self, uids: Iterable[str]) -> None:
        """Notify of the resources that have changed."""
        for uid in uids:
            for uri in self._uris.get(uid, ()):
                await self._notify("notifications/resources/updated", uri=uri)

    async def report_end(self, task_id: str) -> None:
        """Notify of a task once it has ended."""
        tailer, names, first = self._exchange.services.tailer, list[str](), False
        while not tailer.released:
            with tailer.waiter(names, first=first) as waiter:
                await tailer.follow()
                async with self._reading:
                    found: WaitState | None = await _or_none(tasks.find(self._exchange, task_id))
                    if found is None or found.waited is None:
                        await self._notify_of_task(found)
                        return
                before, names, first = names, found.waited.unfinished(), found.task.first
                del found
                if names == before:  # else a job may have ended before we listened to it
                    await waiter.done

    async def _notify_of_task(self, found: WaitState | None) -> None:
        if found:  # one that was canceled long ago is forgotten
            await self._notify("notifications/tasks", **await tasks.view(self._exchange, found))

    async def _notify(self, method: str, **params: Any) -> None:
        if self._exchange.notify:
            await self._exchange.notify(method, {**params, "_meta": self.meta})


def _named(exchange: Exchange, field: str) -> list[str]:
    wanted = exchange.message.args.get("notifications")
    named = wanted.get(field, []) if isinstance(wanted, dict) else None
    if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
        raise McpError(INVALID_PARAMS, f"params.notifications.{field}: send a list of texts")
    if len(named) > MAX_NAMED:
        raise McpError(INVALID_PARAMS, f"params.notifications.{field}: at most {MAX_NAMED}")
    return list(dict.fromkeys(named))


async def _or_none(found: Awaitable[Any]) -> Any:
    """What was found; None if there is nothing that the caller may see."""
    try:
        return await found
    except (RequestError, McpError):
        return None
