"""Each setting, right or clock of Redis that could lose work is found."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from processor.cli import redis_doctor
from processor.config import load
from processor.errors import ConfigError, MissingPermission, WrongCredentials, WrongRedisUrl
from processor.service.runtime.outage import Outage, wait_until_ready
from processor.service.runtime.redis_check import RedisCheck
from processor.store import Store
from processor.store.fleet import SCHEMA
from processor.store.keys import META
from processor.store.refusals import refusal
from processor.store.requirements import CLOCKS_APART, DIRECT_COMMANDS, Facts, problems
from processor.store.work_items import LaneLimits

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


def test_an_unknown_setting_is_not_a_problem_but_denied_info_is() -> None:
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


async def test_without_the_right_for_scripts_that_right_is_named(as_user: Any) -> None:
    store = as_user("~*", "+@all", "-evalsha")
    (problem, *_) = await store.requirements.problems()
    assert "+evalsha" in problem.detail
    with pytest.raises(MissingPermission):
        await store.fleet.join()


@pytest.mark.parametrize("right", ["type", "hset"])
async def test_a_right_that_a_script_lacks_is_named_whatever_the_version_of_redis(
    as_user: Any, right: str
) -> None:
    store = as_user("~*", "+@all", f"-{right}")
    with pytest.raises(MissingPermission, match=rf"(?i)\b{right}\b"):
        await store.fleet.join()


@pytest.mark.parametrize("key", ["rb:*", "{rb:0}:lanes:*"])
async def test_a_key_that_a_script_may_not_use_is_a_missing_permission(
    as_user: Any, key: str
) -> None:
    store = as_user(f"~{key}", "+@all")
    with pytest.raises(MissingPermission):
        await store.backlogs.claim(store.shards[0], "poll", 1, lambda _: LaneLimits(1))


@pytest.mark.parametrize(
    "words",
    [
        "ACL failure in script: User limited has no permissions to run the 'type' command",
        "The user executing the script can't run this command or subcommand",
        (
            "The user executing the script can't access at least one of the keys mentioned in the "
            "command arguments"
        ),
        "The user executing the script can't publish to the channel mentioned in the command",
        "The user executing the script is lacking the permissions for the command",
    ],
)
def test_the_words_of_each_version_of_redis_for_a_denied_command_are_known(words: str) -> None:
    error = ResponseError(f"{words} script: {40 * 'a'}, on @user_script:23.")
    assert isinstance(refusal(error), MissingPermission)
    assert str(refusal(error)).endswith(words)


def test_words_that_name_no_right_stay_an_internal_error() -> None:
    assert refusal(ResponseError("The user executing the script left")) is None


async def test_a_user_without_the_right_for_info_can_still_be_checked(as_user: Any) -> None:
    store = as_user("~*", "+@all", "-@dangerous")
    names = [problem.name for problem in await store.requirements.problems()]
    assert names[-1:] == ["rights"] or names == ["rights", "info"], names


async def test_the_documented_rights_are_sufficient_and_minimal(as_user: Any) -> None:
    store = as_user("~rb:*", "~{rb:*", *least_rights(Store("redis://x").requirements.in_scripts()))
    await store.check()
    assert [p.name for p in await store.requirements.problems() if p.lossy] == []
    await store.writable()
    await store.heartbeat("w", "x")


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
            await check.check()
            await check.check()
            assert "eviction" in [problem.name for problem in check.problems]
        finally:
            admin.config_set("maxmemory-policy", "noeviction")
        await check.check()
    wrong = [line["name"] for line in lines if line["event"] == "redis_misconfigured"]
    assert sorted(wrong) == sorted({"eviction", *(problem.name for problem in check.problems)})
    assert [line["name"] for line in lines if line["event"] == "redis_corrected"] == ["eviction"]


async def test_the_clocks_of_the_embedded_redis_and_ours_agree(store: Store) -> None:
    assert abs(await store.now() - time.time()) < CLOCKS_APART
    assert "clock" not in [problem.name for problem in await store.requirements.problems()]


def test_the_documented_rights_are_those_that_are_used(store: Store) -> None:
    page = Path("docs/operations.md").read_text("utf-8")
    block = page.partition("with `RULES` being\n")[2].partition("\nand `+select`")[0]
    used = set(least_rights(store.requirements.in_scripts()))
    assert set(block.split()) == used


async def test_without_the_right_for_time_that_right_is_named(as_user: Any) -> None:
    store = as_user("~*", "+@all", "-time")
    (problem, *_) = await store.requirements.problems()
    assert problem.name == "rights"
    assert "+time" in problem.detail


@pytest.mark.parametrize("rules", ["~theirs:*", "%R~*", "~rb:*"])
async def test_keys_that_are_denied_are_named_and_not_a_command(as_user: Any, rules: str) -> None:
    store = as_user(rules, "+@all")
    (problem, *_) = await store.requirements.problems()
    assert problem.name == "rights"
    assert problem.detail.endswith("ACL SETUSER … ~rb:* ~{rb:*")


@pytest.mark.parametrize("option", ["db=9999", "client_name=%0A"])
async def test_a_url_that_redis_refuses_is_a_wrong_setting(redis_url: str, option: str) -> None:
    store = Store(f"{redis_url.partition('?')[0]}?{option}")
    with pytest.raises(WrongRedisUrl, match=r": (name a database|leave client_name)"):
        await store.check()
    with pytest.raises(ConfigError, match=r"^REDIS_URL: "):
        await wait_until_ready(store, Outage("web"))
    await store.close()


@pytest.fixture
def doctor(monkeypatch: Any, tmp_path: Path) -> Any:
    """What doctor finds about the Redis of a URL."""

    async def rows(url: str) -> list[redis_doctor.Row]:
        monkeypatch.setenv("REDIS_URL", url)
        return await asyncio.to_thread(redis_doctor.check, load(None), tmp_path)

    return rows


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [("min-replicas-to-write", 1, "NOREPLICAS"), ("replicaof", "127.0.0.1 1", "name its master")],
)
async def test_doctor_says_why_a_redis_accepts_no_writes(
    doctor: Any, redis_url: str, setting: str, value: Any, named: str
) -> None:
    with Redis.from_url(redis_url) as admin:
        _set(admin, setting, value)
        try:
            rows = await doctor(redis_url)
        finally:
            _set(admin, setting, 0 if setting != "replicaof" else "no one")
    first, *others = rows
    assert first[:2] == ("redis", False)
    text = " ".join(detail for _, _, detail in rows)
    assert named in text
    assert "cannot serve" in text
    assert "does not answer" not in text
    assert "start that Redis" not in text
    assert all(name.startswith("redis ") for name, _, _ in others)


async def test_doctor_reports_a_redis_that_denies_a_needed_command(
    as_user: Any, doctor: Any, redis_url: str
) -> None:
    as_user("~*", "+@all", "-zadd")
    rows = await doctor(redis_url.replace("unix://", "unix://limited:pw@"))
    assert rows[0][:2] == ("redis", False)
    assert any("+zadd" in detail for _, _, detail in rows)


async def test_doctor_warns_of_an_older_store_that_a_start_migrates(
    store: Store, doctor: Any, redis_url: str
) -> None:
    await store.check()
    await store.connection.redis.hset(META, "schema", SCHEMA - 1)
    rows = {name: (ok, detail) for name, ok, detail in await doctor(redis_url)}
    assert rows["redis"][0]
    assert rows["redis schema"][0]
    assert f"schema {SCHEMA - 1}" in rows["redis schema"][1]
    assert "migrates it" in rows["redis schema"][1]


async def test_doctor_refuses_a_store_of_a_newer_version(
    store: Store, doctor: Any, redis_url: str
) -> None:
    await store.check()
    await store.connection.redis.hset(META, "schema", SCHEMA + 1)
    (row,) = await doctor(redis_url)
    assert row[:2] == ("redis", False)
    assert "run the version that wrote it" in row[2]


def _set(admin: Redis, setting: str, value: Any) -> None:
    if setting == "replicaof":
        admin.execute_command("REPLICAOF", *value.split())
    else:
        admin.config_set(setting, value)
