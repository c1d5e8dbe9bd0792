"""Retention can be set within bounds, and Redis' keys live that long."""

import subprocess
import sys
from typing import Any

import pytest

from processor.config import load
from processor.errors import ConfigError
from processor.model import Retention
from processor.service.runtime.process import open_context
from processor.store import Store
from processor.store.change import Change, NewEvent
from processor.store.jobs import name_of
from processor.store.work_items import LaneLimits, Settlement, WorkItem

DAY = 86_400.0
BRIEF = Retention(jobs=6 * DAY, events=DAY, events_count=2, deliveries=2 * DAY, seen=3 * DAY)


def test_the_defaults_of_retention_are_unchanged():
    assert load(None, {}).keep == Retention()


async def test_settings_of_retention_reach_the_store():
    names = ("JOBS", "EVENTS", "EVENTS_COUNT", "DELIVERIES", "SEEN", "WAITING")
    values = ("6d", "24h", "5000", "2d", "72h", "2000")
    environ = {f"RINGBACK_KEEP_{n}": v for n, v in zip(names, values, strict=True)}
    settings = load(None, environ)
    assert settings.keep == Retention(6 * DAY, DAY, 5000, 2 * DAY, 3 * DAY, 2000)
    async with open_context(settings) as ours:
        assert ours.store.jobs._keep == ours.store.events._keep == settings.keep
        assert ours.store.backlogs._keep == ours.store.subscriptions._keep == settings.keep
        assert ours.store.keep == settings.keep


WRONG = [
    ({"JOBS": "4d"}, "RINGBACK_KEEP_JOBS: 4d is out of bounds; write 5d to 3650d"),
    ({"JOBS": "3651d"}, "RINGBACK_KEEP_JOBS: 3651d is out of bounds"),
    ({"JOBS": "long"}, "RINGBACK_KEEP_JOBS: "),
    ({"EVENTS": "59m"}, "RINGBACK_KEEP_EVENTS: 59m is out of bounds; write 1h to 7d"),
    ({"EVENTS": "8d"}, "RINGBACK_KEEP_EVENTS: 8d is out of bounds"),
    ({"EVENTS_COUNT": "999"}, "RINGBACK_KEEP_EVENTS_COUNT"),
    ({"WAITING": "999"}, "RINGBACK_KEEP_WAITING"),
    ({"DELIVERIES": "1h"}, "RINGBACK_KEEP_DELIVERIES: 1h is out of bounds; write 1d to 365d"),
    ({"SEEN": "59m"}, "RINGBACK_KEEP_SEEN: 59m is out of bounds"),
    ({"SEEN": "31d"}, "RINGBACK_KEEP_SEEN: 31d is longer than RINGBACK_KEEP_JOBS, 30d"),
    ({"JOBS": "6d"}, "RINGBACK_KEEP_SEEN: 7d is longer than RINGBACK_KEEP_JOBS, 6d"),
]


@pytest.mark.parametrize(("given", "words"), WRONG)
def test_a_retention_out_of_bounds_is_refused_with_the_remedy(given: dict[str, str], words: str):
    with pytest.raises(ConfigError) as error:
        load(None, {f"RINGBACK_KEEP_{name}": value for name, value in given.items()})
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_process_ends_with_2_and_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "workers"],
        env={"RINGBACK_KEEP_SEEN": "31d", "PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "RINGBACK_KEEP_SEEN" in done.stderr


@pytest.fixture
def brief(store_of: Any) -> Store:
    return store_of(keep=BRIEF)  # type: ignore[no-any-return]


async def lives(store: Store, key: str) -> float:
    return float(await store.connection.redis.pttl(key)) / 1000


async def test_jobs_are_kept_so_long_after_their_deadline(brief: Store, job_of: Any):
    keys, now = brief.shards[0], await brief.now()
    job = job_of(created_at=now, deadline_at=now + DAY)
    change = Change(job, "", save=True, renew=True)
    assert await brief.jobs.commit(keys, "0", [change]) == [True]
    assert await lives(brief, keys.job(name_of(job))) == pytest.approx(7 * DAY, abs=5)
    (found,) = await brief.jobs.read(keys, [name_of(job)])
    assert await brief.jobs.delete(keys, job, found.version)
    assert await lives(brief, keys.job(name_of(job))) == pytest.approx(3 * DAY, abs=5)


async def test_dedupe_marks_are_kept_so_long(brief: Store, update_of: Any):
    keys = brief.shards[0]
    assert await brief.inbox.accept(keys, [("p1", update_of())]) == [True]
    assert await lives(brief, keys.seen("s", "p1")) == pytest.approx(3 * DAY, abs=5)


async def test_the_log_keeps_so_many_events_and_so_long(brief: Store, job_of: Any):
    keys, now = brief.shards[0], await brief.now()
    for name in ("a", "b", "c"):
        event = NewEvent(name, "job.started", b"{}", ())
        await brief.jobs.commit(keys, "0", [Change(job_of(), "", save=False, events=[event])])
    await brief.events.trim(now)
    assert [e.id for e in await brief.events.page(brief.events.start(), 9)] == ["b", "c"]
    await brief.events.trim(now + DAY + 60)
    assert await brief.events.page(brief.events.start(), 9) == []


async def test_ended_deliveries_are_listed_so_long(brief: Store, job_of: Any):
    keys = brief.shards[0]
    put = WorkItem("deliver", "sub_1", "e.sub_1", 0.0, b"{}")
    change = Change(job_of(), "", save=False, events=[NewEvent("e", "job.started", b"{}", (put,))])
    await brief.jobs.commit(keys, "0", [change])
    (claim,) = await brief.backlogs.claim(keys, "deliver", 9, lambda _: LaneLimits(9))
    await brief.backlogs.settle(
        [Settlement(claim, event="e", target="sub_1", record=b"{}", delivered=True)]
    )
    assert await lives(brief, keys.delivered("sub_1")) == pytest.approx(2 * DAY, abs=5)
