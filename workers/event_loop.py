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
from processor.service.polling.statistics import write_statistics
from processor.service.runtime.context import Context
from processor.service.runtime.outage import Outage, run_periodically, wait_until_ready
from processor.service.runtime.process import open_context
from processor.service.runtime.redis_check import RedisCheck
from processor.service.runtime.store_watch import watching_store
from processor.store.names import new_uid
from processor.store.store import HEARTBEAT_INTERVAL
from workers import pumps
from workers.nudges import Nudges
from workers.pump import Pump

NEVER = 3600.0  # seconds between looks for an interrupt of an actor: nothing here sends one
DRAIN_TIMEOUT = 20.0  # seconds for running work to end


class WorkerLoop(AsyncIO):
    """Opens the context before the first nudge, and drains the pumps at the end."""

    def __init__(self, settings: Settings, exit_now: Callable[[Exception], None]) -> None:
        """`exit_now` is called with an error that this worker cannot continue after."""
        super().__init__()
        self._settings = settings
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self.outage = Outage("worker")
        self._exit_now = exit_now
        self.pumps: dict[str, Pump] = {}
        self._nudges: Nudges | None = None  # once Redis has answered

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 -- Dramatiq's signature
        """Start the loop, and wait until Redis answers."""
        thread = EventLoopThread(self.logger, interrupt_check_ival=NEVER)
        thread.loop.close()
        thread.loop = uvloop.new_event_loop()
        thread.start(timeout=5.0)
        set_event_loop_thread(thread)
        try:
            thread.run_coroutine(self._open())
        except Exception as error:  # noqa: BLE001 -- after any error there is no worker
            self._exit_now(error)

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 -- Dramatiq's signature
        """Let running work end; the rest becomes due again for other workers."""
        thread = get_event_loop_thread()
        if thread is not None:
            thread.run_coroutine(self._close())

    async def work(self, backlog: str) -> None:
        """Run a pump, and again at each nudge that comes soon after."""
        pump = self.pumps[backlog]
        with suppress(asyncio.CancelledError):  # by `_close`; Dramatiq would log it as a failure
            await pump.run()
            while self._nudges and await pump.run_at_nudge(self._nudges):
                pass

    async def _open(self) -> None:
        context = await self._stack.enter_async_context(open_context(self._settings))
        await wait_until_ready(context.store, self.outage)
        self.pumps = pumps.all_pumps(context, self.outage)
        self._nudges = Nudges(self._settings.redis_url, self._settings.shards, self.outage)
        uid = new_uid()[:6]
        repeated = [
            run_periodically(self.outage, lambda: _heartbeat(context, uid)),
            run_periodically(self.outage, RedisCheck(context.store, "worker").check),
        ]
        maybe_idle = (
            self._renew,
            lambda: write_statistics(context),
            *(pump.give_back for pump in self.pumps.values()),
        )
        repeated += [run_periodically(self.outage, s, calls_redis=False) for s in maybe_idle]
        self._tasks = [asyncio.create_task(step) for step in repeated]
        self._tasks.append(asyncio.create_task(self._watch_store(context)))
        self._stack.push_async_callback(_retire, context, uid)

    async def _watch_store(self, context: Context) -> None:
        """Start over when Redis was replaced; exit if its new data is not for this process."""
        try:
            async with watching_store(context, "worker") as watching:
                await watching
        except ConfigError as error:
            self._exit_now(error)

    async def _renew(self) -> float:
        for pump in self.pumps.values():
            await pump.renew()
        return self._settings.lease / 3

    async def _close(self) -> None:
        if self._nudges:
            self._nudges.end()
        await asyncio.gather(*(pump.finish(DRAIN_TIMEOUT) for pump in self.pumps.values()))
        if self._nudges:
            await self._nudges.close()
        await _cancel_all()
        await self._stack.aclose()


async def _cancel_all() -> None:
    """Cancel what still runs in this loop, before what it uses is closed: a request that we break off
    is no failed attempt. Its work falls due when its lease ends.
    """
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def _retire(context: Context, uid: str) -> None:
    with suppress(Unavailable):
        await context.store.retire(uid)


async def _heartbeat(context: Context, uid: str) -> float:
    await context.store.heartbeat(uid, context.metrics.dump())
    return HEARTBEAT_INTERVAL
