"""One worker process: Dramatiq's Worker with our three actors, until a signal drains it."""

import os
import signal
import threading

import dramatiq

from processor.errors import ConfigError
from processor.service.running import settings_or_exit, stop
from processor.store.keys import BACKLOGS, Keys
from workers.broker import NudgeBroker
from workers.loop import Loop

ACTORS_STOP = 3_000  # ms for the actors' threads, once their pumps have drained


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = settings_or_exit()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # until it starts there is no work to end
    loop = Loop(settings)
    shards = [Keys(n) for n in range(settings.shards)]
    broker = NudgeBroker(settings.redis_url, shards, loop.outage, [loop])
    for backlog in BACKLOGS:
        declare(broker, loop, backlog)
    worker = dramatiq.Worker(broker, worker_threads=len(BACKLOGS))
    try:
        worker.start()
    except ConfigError as error:
        stop(error)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    over.wait()
    worker.stop(timeout=ACTORS_STOP)


def declare(broker: NudgeBroker, loop: Loop, backlog: str) -> None:
    """An actor that runs the pump of one backlog; the three have one name."""

    async def drain() -> None:
        await loop.pumps[backlog].run()

    dramatiq.actor(actor_name=backlog, queue_name=backlog, broker=broker)(drain)


if __name__ == "__main__":
    main()
