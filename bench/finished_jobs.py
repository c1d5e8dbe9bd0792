"""Fills a store with finished jobs, by copying what one finished job left in Redis.

The one job goes through Ringback like any other. Every record, member and entry that mentions it is
then written again under other ids of the same length, so the records are Ringback's own whatever
their format is. Streams that Ringback keeps short are kept as short.
"""

import asyncio
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from redis import Redis

from bench.contenders.running import Running
from bench.load import loadgen, workload
from bench.load.driver import Driver

Command = tuple[bytes | int | float, ...]

RUN = 9998  # the run number of the copies
PATIENCE = 300.0  # seconds for Redis to rewrite its file
TOGETHER = 500  # jobs in one write
MOST_ENTRIES = {b"log": 1_000_000, b"delivered": 1_000}  # of a stream, by the first word of its key
UID = re.compile(rb'"uid":"([0-9a-f]+)"')
QUIET, LOUD = (
    b"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n",
    b"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$2\r\nON\r\n",
)


async def fill(driver: Driver, running: Running, count: int) -> float:
    """Add so many finished jobs to an empty store; return the bytes of Redis' memory of each."""
    run = driver.expect(1)
    pushes = [workload.push(run, 0, final) for final in (False, True)]
    await loadgen.closed_loop(running.ports, pushes, connections=1)
    await driver.sink.finished()
    with Redis(unix_socket_path=str(running.socket)) as redis:
        await until(redis, lambda r: r.keys("*:delivered_ids:*"))  # its delivery is recorded
        redis.config_set("auto-aof-rewrite-percentage", 0)
        ids = found_ids(redis, workload.job_id(run, 0))
        commands = list(copied(redis, ids))
        keys, used = redis.dbsize(), redis.info("memory")["used_memory"]
        each = sum(1 for word, key, *_ in commands if word in {b"SET", b"RPUSH"})
        await asyncio.to_thread(write, running.socket, packed(commands), ids, count)
        assert redis.dbsize() >= keys + each * count, "Redis refused some of the copies"
        size = (redis.info("memory")["used_memory"] - used) / count
        redis.bgrewriteaof()
        await until(redis, lambda r: not r.info("persistence")["aof_rewrite_in_progress"])
        redis.config_set("auto-aof-rewrite-percentage", 100)
    return size


async def until(redis: Redis, condition: Callable[[Redis], object]) -> None:
    """Ask Redis until a condition holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition(redis):  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.1)


def found_ids(redis: Redis, job: bytes) -> list[bytes]:
    """Return the ids of the one job: its own, its uid, and the digests of its pushes."""
    (record,) = (redis.get(key) for key in redis.keys("*:job:*") if key.endswith(job))
    digests = [key.rpartition(b":")[2] for key in redis.keys("*:seen:*")]
    return [job, UID.search(record)[1], *digests]


def new_ids(ids: Sequence[bytes], number: int) -> Iterator[bytes]:
    """Yield other ids, each of the same length."""
    yield workload.job_id(RUN, number)
    for n, old in enumerate(ids[1:], start=1):
        yield (b"%x%0*x" % (n, len(old) - 1, number))[-len(old) :]


def copied(redis: Redis, ids: Sequence[bytes]) -> Iterator[Command]:
    """Yield the commands that write what mentions one of the ids."""

    def mentions(*words: bytes) -> bool:
        return any(one in word for word in words if isinstance(word, bytes) for one in ids)

    for key in redis.scan_iter():
        yield from (one for one in WRITTEN[redis.type(key)](redis, key) if mentions(*one))
        if mentions(key) and (lifetime := redis.pttl(key)) > 0:
            yield b"PEXPIRE", key, lifetime


def entries(redis: Redis, key: bytes) -> Iterator[Command]:
    """Yield the commands that write a stream's entries, under new ids."""
    most = MOST_ENTRIES.get(key.split(b":")[2], 0)
    for _, fields in redis.xrange(key):
        yield b"XADD", key, b"MAXLEN", b"~", most, b"*", *flat(fields)


def flat(fields: Mapping[bytes, bytes]) -> list[bytes]:
    """Return names and values in turn."""
    return [word for pair in fields.items() for word in pair]


WRITTEN: dict[bytes, Callable[[Redis, bytes], Iterable[Command]]] = {
    b"string": lambda redis, key: [(b"SET", key, redis.get(key))],
    b"list": lambda redis, key: [(b"RPUSH", key, *redis.lrange(key, 0, -1))],
    b"hash": lambda redis, key: [(b"HSET", key, *flat(redis.hgetall(key)))],
    b"set": lambda redis, key: [(b"SADD", key, one) for one in redis.smembers(key)],
    b"zset": lambda redis, key: [
        (b"ZADD", key, at, one) for one, at in redis.zrange(key, 0, -1, withscores=True)
    ],
    b"stream": entries,
}
"""The commands that write a key again, by its type."""


def packed(commands: Sequence[Command]) -> bytes:
    """Return commands as Redis reads them."""
    words = [[w if isinstance(w, bytes) else b"%d" % w for w in command] for command in commands]
    return b"".join(
        b"*%d\r\n" % len(one) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in one)
        for one in words
    )


def write(redis: Path, content: bytes, ids: Sequence[bytes], count: int) -> None:
    """Send the commands so many times, with other ids each time; Redis does not answer them."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(redis))
        line.sendall(QUIET)
        for first in range(0, count, TOGETHER):
            numbers = range(first, min(first + TOGETHER, count))
            line.sendall(b"".join(renamed(content, ids, number) for number in numbers))
        line.sendall(LOUD)
        line.recv(64)  # its answer comes when everything before it is done


def renamed(content: bytes, ids: Sequence[bytes], number: int) -> bytes:
    """Return the commands for another job."""
    for old, new in zip(ids, new_ids(ids, number), strict=True):
        content = content.replace(old, new)
    return content
