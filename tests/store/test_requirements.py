"""What Redis must be: each setting, right and clock that could lose work is found."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs

from processor.errors import MissingPermission, WrongCredentials
from processor.service.redis_check import RedisCheck
from processor.store import Store
from processor.store.requirements import CLOCKS_APART, DIRECT_COMMANDS, Facts, problems

PASSWORD = "pw"

GOOD = {
    "redis_version": "8.2.3",
    "cluster_enabled": 0,
    "role": "master",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "maxmemory_policy": "noeviction",
    "evicted_keys": 0,
    "appendfsync": "everysec",
    "maxmemory": 1,
}


@pytest.mark.parametrize(
    ("field", "value", "name", "lossy"),
    [
        ("redis_version", "6.2.14", "version", True),
        ("cluster_enabled", 1, "cluster", True),
        ("role", "slave", "replica", True),
        ("aof_enabled", 0, "appendonly", True),
        ("aof_last_write_status", "err", "append_write", True),
        ("maxmemory_policy", "allkeys-lru", "eviction", True),
        ("maxmemory_policy", "volatile-ttl", "eviction", True),
        ("evicted_keys", 7, "evicted", True),
        ("appendfsync", "no", "appendfsync", False),
        ("maxmemory", 0, "maxmemory", False),
    ],
)
def test_each_wrong_setting_is_a_problem(field: str, value: Any, name: str, lossy: Any) -> None:
    assert problems(Facts(GOOD)) == []
    (problem,) = problems(Facts(GOOD | {field: value}))
    assert (problem.name, problem.lossy) == (name, lossy)


def test_what_redis_does_not_say_is_no_problem_but_that_it_does_not() -> None:
    assert [p.name for p in problems(Facts({}))] == ["info"]


@pytest.mark.parametrize(("ahead", "word"), [(600.0, "ahead of"), (-600.0, "behind")])
def test_clocks_that_differ_are_a_problem_that_says_which_way(ahead: float, word: str) -> None:
    (problem,) = problems(Facts(GOOD, ahead=ahead))
    assert problem.name == "clock"
    assert f"600 s {word}" in problem.detail
    assert problems(Facts(GOOD, ahead=CLOCKS_APART)) == []


def test_commands_that_are_denied_come_first_with_the_rules_that_allow_them() -> None:
    found = problems(Facts(GOOD | {"maxmemory": 0}, denied=("ZADD", "XINFO|STREAM")))
    assert [p.name for p in found] == ["rights", "maxmemory"]
    assert "+zadd +xinfo|stream" in found[0].detail


@pytest.fixture
async def as_user(store_of: Any, redis_url: str) -> AsyncIterator[Any]:
    """A store on the same Redis as a user with these rules."""
    stores: list[Store] = []
    with Redis.from_url(redis_url) as admin:

        def make(*rules: str, password: str = PASSWORD) -> Store:
            admin.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">pw", *rules)
            url = redis_url.replace("unix://", f"unix://limited:{password}@")
            stores.append(Store(url))
            return stores[-1]

        yield make
        for store in stores:
            await store.close()
        admin.execute_command("ACL", "DELUSER", "limited")


async def test_a_right_that_is_missing_is_named(as_user: Any) -> None:
    store = as_user("~*", "+@all", "-zadd", "-hset")
    found = await store.requirements.problems()
    assert found[0].name == "rights"
    assert "+hset" in found[0].detail
    assert "+zadd" in found[0].detail


async def test_without_scripts_at_all_the_right_is_named_too(as_user: Any) -> None:
    store = as_user("~*", "+@all", "-evalsha")
    (problem, *_) = await store.requirements.problems()
    assert "+evalsha" in problem.detail
    with pytest.raises(MissingPermission):
        await store.fleet.join()


async def test_a_user_who_may_not_ask_for_settings_can_still_be_checked(as_user: Any) -> None:
    store = as_user("~*", "+@all", "-@dangerous")
    names = [problem.name for problem in await store.requirements.problems()]
    assert names[-1:] == ["rights"] or names == ["rights", "info"], names


async def test_the_documented_rights_are_enough_and_the_least(as_user: Any) -> None:
    store = as_user("~rb:*", "~{rb:*", *least_rights(Store("redis://x").requirements.in_scripts()))
    await store.check()
    assert [p.name for p in await store.requirements.problems() if p.lossy] == []
    await store.writable()
    await store.beat("w", "x")


def least_rights(in_scripts: frozenset[str]) -> list[str]:
    return [f"+{command.lower()}" for command in sorted(DIRECT_COMMANDS | in_scripts)]


async def test_a_wrong_password_is_a_wrong_setting(as_user: Any) -> None:
    store = as_user("~*", "+@all", password="wrong")
    with pytest.raises(WrongCredentials, match="correct the user or password"):
        await store.check()


async def test_a_problem_is_logged_once_and_so_is_its_end(store: Store, redis_url: str) -> None:
    check = RedisCheck(store, "web")
    with capture_logs() as lines, Redis.from_url(redis_url) as admin:
        admin.config_set("maxmemory-policy", "allkeys-lru")
        try:
            await check.look()
            await check.look()
            assert "eviction" in [problem.name for problem in check.problems]
        finally:
            admin.config_set("maxmemory-policy", "noeviction")
        await check.look()
    wrong = [line["name"] for line in lines if line["event"] == "redis_misconfigured"]
    assert sorted(wrong) == sorted({"eviction", *(problem.name for problem in check.problems)})
    assert [line["name"] for line in lines if line["event"] == "redis_corrected"] == ["eviction"]


async def test_the_clocks_of_the_embedded_redis_and_ours_agree(store: Store) -> None:
    assert abs(await store.now() - time.time()) < CLOCKS_APART
    assert "clock" not in [problem.name for problem in await store.requirements.problems()]


def test_the_documented_rights_are_those_that_are_used(store: Store) -> None:
    page = Path("docs/operations.md").read_text("utf-8")
    block = page.partition("with `RULES` being\n")[2].partition("\nWithout `info`")[0]
    used = set(least_rights(store.requirements.in_scripts())) - {"+info"}
    assert set(block.split()) == used
