"""All that a Redis holds: read, and put back."""

from typing import Any

Dump = dict[bytes, tuple[bytes, int]]
"""Value and time to live (ms; 0: for good) of each key."""


async def dump(redis: Any) -> Dump:
    """Everything that Redis holds now."""
    keys = await redis.keys("*")
    pipe = redis.pipeline(transaction=False)
    for key in keys:
        pipe.dump(key)
        pipe.pttl(key)
    rows = await pipe.execute()
    found = zip(keys, rows[::2], rows[1::2], strict=True)
    return {key: (value, max(0, ttl)) for key, value, ttl in found if value is not None}


async def restore(redis: Any, state: Dump) -> None:
    """Replace what Redis holds."""
    pipe = redis.pipeline(transaction=False)
    pipe.flushall()
    for key, (value, ttl) in state.items():
        pipe.restore(key, ttl, value)
    await pipe.execute()
