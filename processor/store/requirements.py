"""What Redis must have so that accepted work is kept and can be done: settings, rights and clock.

`problems` decides, from facts about Redis; `Requirements` reads them.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from processor.errors import MissingPermission, StoreUnavailable
from processor.store.connection import Connection
from processor.store.keys import META, Keys

OLDEST = (7, 0)  # version of Redis: the scripts check the user's rights, which older ones cannot
CLOCKS_APART = 5.0  # seconds between Redis' clock and ours that are reported
DIRECT_COMMANDS = frozenset(
    """
    BLPOP EVAL EVALSHA EXEC GET GETRANGE HDEL HEXISTS HGET HGETALL HKEYS HLEN HMGET HSET HSETNX
    HVALS INFO LRANGE MGET MULTI PEXPIREAT PING RENAMENX RPUSH SCAN SET TIME XINFO|STREAM XRANGE XREAD
    XREVRANGE ZADD ZCARD ZCOUNT ZMSCORE ZRANGE ZREM ZREMRANGEBYSCORE ZSCAN ZSCORE
    """.split()  # noqa: SIM905 -- one line instead of thirty
)
"""Commands that are sent without a script."""

_IN_SCRIPTS = re.compile(r"(?:redis\.call|buffer)\('([A-Z]+)'")


class Facts(NamedTuple):
    """Facts about Redis; unknown ones are missing or None."""

    info: Mapping[str, Any] = {}  # all sections of INFO by field, and appendfsync
    denied: tuple[str, ...] = ()  # commands that Ringback needs, and may not run
    keys_denied: bool = False  # Ringback's keys may not be read and written
    ahead: float = 0.0  # seconds that Redis' clock is ahead of this machine's


class Problem(NamedTuple):
    """Something that prevents Ringback from keeping a promise, and the remedy."""

    name: str
    lossy: bool  # accepted work can be lost, or cannot be done
    detail: str


class Rule(NamedTuple):
    """One field of INFO, when it is wrong, and the remedy."""

    name: str
    lossy: bool
    field: str
    is_wrong: Callable[[Any], bool]
    detail: str  # with the field's value as {}


LOSSY, DEGREE = True, False

KEY_RULES = "~rb:* ~{rb:*"  # ACL rules for all of Ringback's keys

RULES = (
    Rule("version", LOSSY, "redis_version", lambda v: _version(v) < OLDEST,
         "Redis {} is too old: use 7.0 or later"),
    Rule("cluster", LOSSY, "cluster_enabled", lambda v: v == 1,
         "Redis Cluster is not supported: use one Redis"),
    Rule("replica", LOSSY, "role", lambda v: v == "slave",
         "this Redis is a read-only replica: name its master"),
    Rule("appendonly", LOSSY, "aof_enabled", lambda v: v == 0,
         "a restart of Redis loses accepted work: set appendonly yes"),
    Rule("append_write", LOSSY, "aof_last_write_status", lambda v: v != "ok",
         "Redis cannot write its append-only file: check its disk"),
    Rule("eviction", LOSSY, "maxmemory_policy", lambda v: v != "noeviction",
         "Redis evicts keys when it is full ({}): set maxmemory-policy noeviction"),
    Rule("evicted", LOSSY, "evicted_keys", lambda v: v > 0,
         "Redis has evicted {} keys since its start, perhaps accepted work: raise maxmemory"),
    Rule("appendfsync", DEGREE, "appendfsync", lambda v: v == "no",
         "a power cut loses what the kernel has not written: set appendfsync everysec"),
    Rule("maxmemory", DEGREE, "maxmemory", lambda v: v == 0,
         "Redis has no memory limit, so the kernel may kill it: set maxmemory"),
)  # fmt: skip


def problems(facts: Facts) -> list[Problem]:
    """Everything that is wrong, lossy problems first."""
    found = [
        Problem(rule.name, rule.lossy, rule.detail.format(facts.info[rule.field]))
        for rule in RULES
        if rule.field in facts.info and rule.is_wrong(facts.info[rule.field])
    ]
    found += [*_rights(facts), *_clock(facts.ahead)]
    return sorted(found, key=lambda problem: not problem.lossy)


def _rights(facts: Facts) -> Iterable[Problem]:
    if facts.keys_denied:
        yield Problem(
            "rights", LOSSY, f"Redis denies its user Ringback's keys: ACL SETUSER … {KEY_RULES}"
        )
    elif facts.denied:
        rules = " ".join(f"+{command.lower()}" for command in facts.denied)
        yield Problem("rights", LOSSY, f"Redis denies its user commands: ACL SETUSER … {rules}")
    elif not facts.info:
        yield Problem("info", DEGREE, "Redis denies INFO: its settings cannot be checked; +info")


def _version(text: str) -> tuple[int, ...]:
    numbers = re.match(r"(\d+)\.(\d+)", text)
    return tuple(map(int, numbers.groups())) if numbers else OLDEST


def _clock(ahead: float) -> Iterable[Problem]:
    if abs(ahead) > CLOCKS_APART:
        side = "ahead of" if ahead > 0 else "behind"
        yield Problem(
            "clock",
            DEGREE,
            f"Redis' clock is {abs(ahead):.0f} s {side} this machine's: set both by NTP",
        )


class Requirements:
    """Reads the facts about Redis."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._commands = sorted(DIRECT_COMMANDS | self.in_scripts())

    async def problems(self) -> list[Problem]:
        """What is wrong with Redis now; StoreUnavailable if it does not answer."""
        return problems(await self._facts())

    async def _facts(self) -> Facts:
        redis = self._connection.redis
        pipe = redis.pipeline(transaction=False)
        pipe.time()
        pipe.info()
        pipe.config_get("appendfsync")
        clock, info, fsync = await self._connection.ask_each(pipe, ResponseError)
        known = [row for row in (info, fsync) if not isinstance(row, ResponseError)]
        ahead = 0.0
        if not isinstance(clock, ResponseError):
            seconds, micros = clock
            ahead = seconds + micros / 1e6 - time.time()
        info = {field: value for row in known for field, value in row.items()}
        denied = await self._denied()
        return Facts(info, denied or (), keys_denied=denied is None, ahead=ahead)

    async def _denied(self) -> tuple[str, ...] | None:
        """The commands that the user may not run; None if it may not use Ringback's keys."""
        try:
            found = await self._connection.run("rights", [self._keys.jobs, META], self._commands)
        except MissingPermission as error:  # so the script for that cannot run
            named = re.search(r"'([\w|]+)' command", str(error))
            return (named[1].upper(),) if named else None
        except StoreUnavailable as error:
            if isinstance(error.__cause__, ResponseError):  # such as a replica: INFO shows that
                return ()
            raise
        return tuple(command.decode() for command in found)

    def in_scripts(self) -> frozenset[str]:
        """The commands that scripts run."""
        texts = (script.text for script in self._connection.scripts.values())
        return frozenset(command for text in texts for command in _IN_SCRIPTS.findall(text))
