"""One worker process: Dramatiq's Worker with our three actors, until a signal drains it."""

import os
import signal
import sys
import threading
from typing import NoReturn

import dramatiq
import structlog

from processor.errors import ConfigError
from processor.service.runtime.process import error_lines, settings_or_exit
from processor.store.keys import BACKLOGS, Keys
from workers.broker import NudgeBroker
from workers.event_loop import WorkerLoop

log = structlog.get_logger()

ACTORS_STOP_TIMEOUT = 3_000  # ms for the actors' threads, once their pumps have drained


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = settings_or_exit()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # there is no work to drain yet
    loop = WorkerLoop(settings, exit_now)
    shards = [Keys(n) for n in range(settings.shards)]
    broker = NudgeBroker(settings.redis_url, shards, loop.outage, [loop])
    for backlog in BACKLOGS:
        declare(broker, loop, backlog)
    worker = dramatiq.Worker(broker, worker_threads=len(BACKLOGS))
    worker.start()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
    broker.end()
    worker.stop(timeout=ACTORS_STOP_TIMEOUT)


def exit_now(error: Exception) -> NoReturn:
    """Exit at once, from any thread: claimed work becomes due again when its lease expires.

    If a middleware raises, Dramatiq only logs it and goes on.
    """
    if isinstance(error, ConfigError):
        print(error_lines(error), file=sys.stderr, flush=True)  # noqa: T201 -- as `exit_with` does
        os._exit(2)
    log.critical("worker_error", exc_info=error)
    os._exit(1)


def declare(broker: NudgeBroker, loop: WorkerLoop, backlog: str) -> None:
    """Declare the actor that runs the pump of a backlog; queue and actor have its name."""

    async def work() -> None:
        await loop.work(backlog)

    dramatiq.actor(actor_name=backlog, queue_name=backlog, broker=broker)(work)


if __name__ == "__main__":
    main()
