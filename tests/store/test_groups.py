"""The event log read with Redis alone, by the example that docs/events.md shows."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from processor.store import Store
from processor.store.change import Change, NewEvent
from processor.store.keys import Keys

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
GROUP = "billing"
WEEK = 7 * 86_400.0
Seen = list[tuple[str, str, Any]]


def block(language: str, word: str) -> str:
    """The block of the page in this language that contains a word."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (found,) = [text for text in blocks if word in text]
    return str(found)


@pytest.fixture(scope="module")
def shown() -> Any:
    """What the example defines."""
    names: dict[str, Any] = {}
    exec(block("python", "def step"), names)  # noqa: S102 -- our own page
    return SimpleNamespace(**names)


@pytest.fixture(params=[None, 2])
def redis_of(request: pytest.FixtureRequest, redis_url: str) -> Iterator[Callable[[], Redis]]:
    """Makes connections for consumers, with redis-py's default protocol and the documented one."""
    made: list[Redis] = []

    def make(**options: Any) -> Redis:
        made.append(Redis.from_url(redis_url, protocol=request.param, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


async def publish(store: Store, job: Any, *names: str) -> None:
    """Commit an event of each name, with its name as the body."""
    for name in names:
        event = NewEvent(name, "job.started", json.dumps(name).encode(), ())
        change = Change(job, "", save=False, events=[event])
        assert await store.jobs.commit(store.shards[0], "0", [change]) == [True]


class DeadError(Exception):
    """A consumer's process is gone."""


def one_that_dies(seen: Seen, after: int) -> Callable[..., None]:
    """A handler that is killed before it acknowledges what it read."""

    def handle(*event: Any) -> None:
        if len(seen) == after:
            raise DeadError
        seen.append(event)

    return handle


async def test_events_of_a_dead_consumer_are_claimed_by_another(
    store: Store, job_of: Any, shown: Any, redis_of: Any
):
    names = [f"e{n:03}" for n in range(300)]
    dying, living = redis_of(), redis_of()
    shown.join(dying, GROUP)
    shown.join(living, GROUP)  # the second finds it there
    await publish(store, job_of("j"), *names)
    first, second = Seen(), Seen()
    assert shown.step(living, GROUP, "b", lambda *e: second.append(e), wait=1) == []
    with pytest.raises(DeadError):
        shown.step(dying, GROUP, "a", one_that_dies(first, 40), wait=1)
    dying.close()
    shown.step(living, GROUP, "b", lambda *e: second.append(e), idle=60_000, wait=1)
    assert [e[0] for e in second] == names[:100] + names[200:], "a minute has not gone by"
    shown.step(living, GROUP, "b", lambda *e: second.append(e), idle=0, wait=1)
    assert [e[0] for e in first] == names[100:140]
    assert [e[0] for e in second[200:]] == names[140:200]
    assert second[0] == ("e000", "job.started", "e000")
    assert living.xpending(shown.LOG, GROUP)["pending"] == 0


async def test_an_entry_has_the_fields_that_are_documented(
    store: Store, keys: Keys, job_of: Any, redis_of: Any
):
    table = re.search(r"\| field of an entry in Redis .*?\n\n", PAGE, re.DOTALL)
    assert table
    await publish(store, job_of("j"), "e")
    ((_, fields),) = redis_of().xrange(keys.log)
    assert [name.decode() for name in fields] == re.findall(r"^\| `(\w+)`", table[0], re.MULTILINE)


async def test_each_group_gets_every_event_in_order(
    store: Store, job_of: Any, shown: Any, redis_of: Any
):
    redis, names = redis_of(), [f"e{n}" for n in range(9)]
    await publish(store, job_of("j"), *names)
    for group in ("billing", "search"):
        shown.join(redis, group)
        seen = Seen()
        shown.step(redis, group, "a", lambda *e, seen=seen: seen.append(e), wait=1)
        assert [event[0] for event in seen] == names


async def test_a_group_notices_events_that_were_trimmed_unread(
    store: Store, keys: Keys, job_of: Any, shown: Any, redis_of: Any
):
    redis = redis_of()
    shown.join(redis, GROUP)
    await publish(store, job_of("j"), "read", "held")
    assert not shown.missed(redis, GROUP)
    with pytest.raises(DeadError):
        shown.step(redis, GROUP, "a", one_that_dies([], 0), wait=1)
    held = [entry["message_id"] for entry in redis.xpending_range(keys.log, GROUP, "-", "+", 9)]
    await store.events.trim(await store.now() + 2 * WEEK)
    assert not shown.missed(redis, GROUP), "it had them"
    assert shown.step(redis, GROUP, "a", print, idle=0, wait=1) == held, "but never did them"
    await publish(store, job_of("j"), "unread")
    await store.events.trim(await store.now() + 2 * WEEK)
    assert shown.missed(redis, GROUP)


async def test_a_group_created_after_a_trim_has_missed_nothing(
    store: Store, job_of: Any, shown: Any, redis_of: Any
):
    redis = redis_of()
    await publish(store, job_of("j"), "old")
    await store.events.trim(await store.now() + 2 * WEEK)
    shown.join(redis, GROUP)
    assert not shown.missed(redis, GROUP)


@pytest.fixture
def user(redis_of: Any) -> Iterator[dict[str, str]]:
    """The user that the page shows, as options of a connection."""
    admin = redis_of()
    admin.execute_command(*block("text", "ACL SETUSER").split())
    yield {"username": "billing", "password": "PASSWORD"}
    admin.acl_deluser("billing")


async def test_the_documented_user_may_consume_and_do_nothing_else(
    store: Store, job_of: Any, shown: Any, redis_of: Any, user: dict[str, str]
):
    keys, redis, seen = store.shards[0], redis_of(**user), Seen()
    await publish(store, job_of("j"), "e")
    shown.join(redis, GROUP)
    assert not shown.missed(redis, GROUP)
    shown.step(redis, GROUP, "a", lambda *e: seen.append(e), idle=0, wait=1)
    assert [event[0] for event in seen] == ["e"]
    for call in (
        lambda: redis.xadd(keys.log, {"id": "mine"}),
        lambda: redis.xtrim(keys.log, maxlen=0),
        lambda: redis.delete(keys.log),
        lambda: redis.hgetall(keys.subs),
        lambda: redis.get(keys.job("s/j")),
    ):
        with pytest.raises(NoPermissionError):
            call()
