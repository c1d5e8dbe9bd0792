"""What the arq receiver and its workers agree on: Redis, queues, encoding, lifetimes."""

import os
from zlib import crc32

import msgspec
from arq.connections import RedisSettings

SINK = os.environ["BENCH_SINK"]
REDIS = RedisSettings(unix_socket_path=os.environ["BENCH_REDIS"])
WORKERS = int(os.environ["BENCH_WORKERS"])
DEDUPE = 7 * 24 * 3600  # seconds that a webhook-id is remembered
KEPT = 30 * 24 * 3600  # seconds that a job and its history are kept
HISTORY = 200  # entries

encode = msgspec.msgpack.Encoder().encode  # arq's default is pickle
decode = msgspec.msgpack.Decoder().decode


def queue(number: int) -> str:
    """Return the queue of one worker."""
    return f"bench:queue:{number}"


def queue_of(job: str) -> str:
    """Return the queue of a job: always the same worker, so that two never race for it."""
    return queue(crc32(job.encode()) % WORKERS)
