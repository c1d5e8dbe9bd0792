"""Every Redis key is documented, and every documented key is made."""

import inspect
import re
from typing import Any

from processor.store import Store, keys as module
from processor.store.keys import BACKLOGS, Keys, shard_of


def made() -> dict[str, str]:
    """Every key that `processor.store.keys` can name, by where it comes from."""
    shard = Keys(3)
    found = {name: value for name, value in vars(shard).items() if name not in ("tag", "shard")}
    for name, method in inspect.getmembers(shard, inspect.ismethod):
        if not name.startswith("_"):
            found[name] = method(*(_argument(p) for p in inspect.signature(method).parameters))
    found |= {n: v for n, v in vars(module).items() if n.isupper() and isinstance(v, str)}
    return {f"{name} {n}": key for name, keys in found.items() for n, key in enumerate(_flat(keys))}


def _flat(keys: Any) -> list[str]:
    match keys:
        case str():
            return [keys]
        case dict():
            return list(keys.values())
        case _:
            return list(keys)


def _argument(name: str) -> Any:
    known = {"name": "wistia/k2/j3", "backlog": "poll", "lane": "cb:https://a.example"}
    return known.get(name, 20_000 if name == "today" else "x:y")


def test_every_key_is_documented(documented_keys: Any):
    for where, key in made().items():
        assert [r.name for r in documented_keys if r.pattern.fullmatch(key)], (where, key)


def test_every_documented_key_is_made(documented_keys: Any):
    for row in documented_keys:
        assert any(row.pattern.fullmatch(key) for key in made().values()), row.name


def test_the_table_says_how_long_each_key_lives(documented_keys: Any):
    assert len(documented_keys) >= 20
    for row in documented_keys:
        assert row.lifetime, row.name
        assert row.type in ("hash", "list", "string", "zset", "stream", "set"), row.name


def test_the_keys_of_a_job_must_have_a_time_to_live(documented_keys: Any):
    promised = {row.name for row in documented_keys if row.promises_ttl}
    assert {"job:S/ID", "history:S/ID", "answer:S/ID", "seen:S:ID", "callback:ID"} <= promised


def test_all_keys_of_a_shard_share_one_slot():
    tags = {re.match(r"\{.*?\}", key).group() for key in made().values() if "{" in key}  # type: ignore[union-attr]
    assert tags == {"{rb:3}"}


def test_there_are_three_backlogs():
    assert BACKLOGS == ("ingest", "poll", "deliver")


def test_one_shard_holds_everything():
    assert {shard_of("s", str(n), 1) for n in range(100)} == {0}


def test_names_spread_over_shards_and_never_move():
    spread = [shard_of("s", str(n), 4) for n in range(400)]
    assert {n: spread.count(n) > 50 for n in range(4)} == dict.fromkeys(range(4), True)
    assert spread == [shard_of("s", str(n), 4) for n in range(400)]
    assert shard_of("a", "b/c", 1024) == shard_of("a", "b/c", 1024)


async def test_the_leak_check_finds_undocumented_keys(store: Store, leaks: Any):
    redis = store.connection.redis
    await redis.set("{rb:0}:surprise", "1")
    await redis.set("{rb:0}:seen:s:1", "1")
    await redis.set("{rb:0}:jobs", "not a zset")
    assert [line.split(": ")[0] for line in leaks()] == [
        "{rb:0}:jobs",
        "{rb:0}:seen:s:1",
        "{rb:0}:surprise",
    ]
    await redis.flushall()
