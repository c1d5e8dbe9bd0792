"""A Dramatiq broker for nudges, which wake a worker: it waits for one in Redis, and runs its actor.

An actor that has just worked waits for its next nudge itself, for a moment (`nudges`).

A nudge is one element of the list `nudge:BACKLOG`, pushed by the scripts that make work and
by the clock; popping it is all that a consumer does. It carries no data, so it needs no
acknowledgement, no retry and no dead letters: the clock replaces a nudge that is lost. Queue and
actor have the name of the backlog, so that a script that nudges needs to know neither Dramatiq nor
the actors.
"""

import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from threading import Event

from dramatiq import Message, MessageProxy, Middleware
from dramatiq.broker import Broker, Consumer
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from processor.service.runtime.outage import Outage
from processor.store.error_translation import error_of
from processor.store.keys import Keys
from workers.nudges import END_TIMEOUT, LONGEST_WAIT, TIMEOUT, end_wait

ENDED_PAUSE = 0.05  # seconds until Dramatiq looks again whether it stops


class NudgeBroker(Broker):
    """Consumes the nudges of all shards."""

    def __init__(
        self, url: str, shards: Sequence[Keys], outage: Outage, middleware: list[Middleware]
    ) -> None:
        """Connect lazily, without retries: a consumer simply waits for the next nudge."""
        super().__init__(middleware=middleware)
        self.outage = outage
        self.url = url
        self.redis = self._connect(TIMEOUT)
        self._shards = shards
        self._uid = secrets.token_hex(4)
        self.ended = Event()

    def _connect(self, timeout: float) -> "Redis":
        return Redis.from_url(
            self.url,
            socket_timeout=timeout,
            socket_connect_timeout=2.0,
            retry=Retry(NoBackoff(), 0),
        )

    def declare_queue(self, queue_name: str) -> None:
        """Register a backlog by name."""
        self.queues[queue_name] = None
        self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 1000) -> "NudgeConsumer":  # noqa: ARG002 -- Dramatiq's signature; one nudge at a time is enough
        """A consumer of a backlog's nudges; `timeout` is in ms."""
        keys = [keys.nudge[queue_name] for keys in self._shards]
        return NudgeConsumer(self, queue_name, [*keys, self._wake(queue_name)], timeout / 1000)

    def _wake(self, backlog: str) -> str:
        return self._shards[0].wake(backlog, self._uid)

    def end(self) -> None:
        """End all waits, also those to come: a worker that drains needs no nudge."""
        self.ended.set()
        with suppress(RedisError, OSError), self._connect(END_TIMEOUT) as redis:
            pipe = redis.pipeline(transaction=False)
            for key in map(self._wake, self.queues):
                end_wait(pipe, key)
            pipe.execute()

    def enqueue(self, message: Message[object], *, delay: int | None = None) -> Message[object]:
        """Nudge a backlog by hand; the scripts do it without Dramatiq."""
        if delay is not None:
            raise ValueError("a nudge cannot be delayed; work for later waits in a backlog")
        self.redis.rpush(self._shards[0].nudge[message.queue_name], "1")
        return message

    def close(self) -> None:
        """Close the connections."""
        self.redis.close()


class NudgeConsumer(Consumer):
    """Takes one nudge at a time: while its actor works, the next one waits in Redis."""

    def __init__(self, broker: NudgeBroker, backlog: str, keys: list[str], pause: float) -> None:
        """`keys` are the lists to wait on; `pause` is in seconds."""
        self._broker = broker
        self._backlog = backlog
        self._keys = keys
        self._pause = pause
        self._closed = Event()
        self._idle = Event()
        self._idle.set()

    def __next__(self) -> MessageProxy | None:
        """The next nudge, or None if none came for a while."""
        if not self._idle.wait(self._pause):
            return None
        if self._broker.ended.is_set():
            self._closed.wait(ENDED_PAUSE)
            return None
        try:
            popped = self._broker.redis.blpop(self._keys, timeout=LONGEST_WAIT)
        except (RedisError, OSError) as error:
            self._broker.outage.began(error_of(error, self._broker.url) or error)
            self._closed.wait(self._pause)
            return None
        if popped is None or self._broker.ended.is_set():
            return None
        self._idle.clear()
        nudge: Message[object] = Message(self._backlog, self._backlog, (), {}, {})
        return MessageProxy(nudge)

    def ack(self, message: MessageProxy) -> None:  # noqa: ARG002 -- Dramatiq's signature
        """The actor is free again."""
        self._idle.set()

    def nack(self, message: MessageProxy) -> None:  # noqa: ARG002 -- Dramatiq's signature
        """The actor failed, and is free again; the clock nudges it again."""
        self._idle.set()

    def close(self) -> None:
        """Stop waiting."""
        self._closed.set()

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Put nothing back: the clock nudges again."""
