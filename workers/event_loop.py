"""The event loop that a worker's actors share: Dramatiq's, with uvloop and our context in it."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

import uvloop
from dramatiq import Broker, Worker
from dramatiq.asyncio import EventLoopThread, get_event_loop_thread, set_event_loop_thread
from dramatiq.middleware import AsyncIO

from processor.config import Settings
from processor.errors import ConfigError, Unavailable
from processor.service.runtime.context import Context
from processor.service.runtime.process import Outage, context, ready, run_periodically
from processor.service.runtime.redis_check import RedisCheck
from processor.service.runtime.store_watch import watched
from processor.store.names import new_uid
from processor.store.store import HEARTBEAT_INTERVAL
from workers import pumps
from workers.pump import Pump

DRAIN = 20.0  # seconds that work under way may take to end


class Loop(AsyncIO):
    """Opens the context before the first nudge comes, and drains the pumps at the end."""

    def __init__(self, settings: Settings, at_end: Callable[[Exception], None]) -> None:
        """Nothing is opened yet; `at_end` is called with what makes going on impossible."""
        super().__init__()
        self._settings = settings
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self.outage = Outage("worker")
        self._at_end = at_end
        self.pumps: dict[str, Pump] = {}

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 -- Dramatiq's signature
        """Start the loop, and wait in it until Redis is there."""
        thread = EventLoopThread(self.logger)
        thread.loop.close()
        thread.loop = uvloop.new_event_loop()
        thread.start(timeout=5.0)
        set_event_loop_thread(thread)
        try:
            thread.run_coroutine(self._open())
        except Exception as error:  # noqa: BLE001 -- whatever it is, there is no worker without it
            self._at_end(error)

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 -- Dramatiq's signature
        """Let what runs end; what does not falls due again elsewhere."""
        thread = get_event_loop_thread()
        if thread is not None:
            thread.run_coroutine(self._close())

    async def _open(self) -> None:
        ours = await self._stack.enter_async_context(context(self._settings))
        await ready(ours.store, self.outage)
        delivering = pumps.deliver(ours, self.outage)
        working = ours._replace(deliver_soon=delivering.run_soon)
        self.pumps = {
            "ingest": pumps.ingest(working, self.outage),
            "poll": pumps.poll(working, self.outage),
            "deliver": delivering,
        }
        name = f"worker-{new_uid()[:6]}"
        idle = [self._renew, *(pump.give_back for pump in self.pumps.values())]
        beating = run_periodically(self.outage, lambda: _beat(ours, name))
        steps = [beating, *(run_periodically(self.outage, step, asks=False) for step in idle)]
        steps.append(run_periodically(self.outage, RedisCheck(ours.store, "worker").look))
        self._tasks = [asyncio.create_task(step) for step in steps]
        self._tasks.append(asyncio.create_task(self._watch(ours)))
        self._stack.push_async_callback(_retire, ours, name)

    async def _watch(self, ours: Context) -> None:
        """Notice that Redis was replaced; where its data is not for us any more, that is the end."""
        try:
            async with watched(ours, "worker") as watching:
                await watching
        except ConfigError as error:
            self._at_end(error)

    async def _renew(self) -> float:
        for pump in self.pumps.values():
            await pump.renew()
        return self._settings.lease / 3

    async def _close(self) -> None:
        await asyncio.gather(*(pump.finish(DRAIN) for pump in self.pumps.values()))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()


async def _retire(ours: Context, name: str) -> None:
    with suppress(Unavailable):
        await ours.store.retire(name)


async def _beat(ours: Context, name: str) -> float:
    await ours.store.heartbeat(name, ours.metrics.dump())
    return HEARTBEAT_INTERVAL
