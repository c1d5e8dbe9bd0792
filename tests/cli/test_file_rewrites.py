"""The rewrites of the embedded Redis' file, which `ringback up` begins."""

import os
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from processor.cli import file_rewrites
from processor.cli.embedded_redis import EmbeddedRedis, find_server, prepare
from processor.cli.file_rewrites import MB, FileRewrites, children, file_in

from .waiting import until

ROWS = "for i = 1, 20000 do redis.call('SET', 'k' .. i, string.rep('x', 500)) end"


@pytest.fixture
def server(tmp_path: Path) -> Any:
    redis = EmbeddedRedis(tmp_path)
    redis.start()
    yield redis
    redis.kill()


@pytest.fixture
def rewrites(server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Of a file that is large with 1 MB, however much is written."""
    monkeypatch.setattr(file_rewrites, "WHEN_QUIET", (MB, 2.0))
    monkeypatch.setattr(file_rewrites, "ALWAYS", (MB, 2.0))
    monkeypatch.setattr(file_rewrites, "SHORTEST_LOOK", 0.0)
    return FileRewrites(server.setup, lambda: server.pid)


def rewrites_of(redis: Redis) -> int:
    return int(redis.info("persistence")["aof_rewrites"])


def test_a_file_that_has_grown_is_rewritten_at_a_low_priority(
    server: EmbeddedRedis, rewrites: FileRewrites, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "setpriority", lambda *args: given.append(args))
    with Redis.from_url(server.url) as redis:
        redis.config_set("rdb-key-save-delay", 100)  # µs a key: the child lives for 2 s
        rewrites.check()
        assert rewrites_of(redis) == 0
        redis.eval(ROWS, 0)
        rewrites.check()
        assert redis.info("persistence")["aof_rewrite_in_progress"]
        (child,) = children(server.pid)
        ours = os.getpriority(os.PRIO_PROCESS, 0)
        assert given == [(os.PRIO_PROCESS, child, ours + file_rewrites.NICE)]
        rewrites.check()  # not twice
        assert len(given) == 1


def test_a_file_is_rewritten_again_once_it_has_doubled(
    server: EmbeddedRedis, rewrites: FileRewrites
) -> None:
    with Redis.from_url(server.url) as redis:
        for count in (1, 2):
            redis.config_set("rdbcompression", "no")
            redis.eval(ROWS, 0)
            rewrites.check()
            until(lambda: not redis.info("persistence")["aof_rewrite_in_progress"])
            assert rewrites_of(redis) == count
            rewrites.check()
            assert rewrites_of(redis) == count


def test_a_backup_switches_rewrites_off(server: EmbeddedRedis, rewrites: FileRewrites) -> None:
    with Redis.from_url(server.url) as redis:
        redis.config_set("auto-aof-rewrite-percentage", 0)
        redis.eval(ROWS, 0)
        rewrites.check()
        assert rewrites_of(redis) == 0


def test_the_rewrite_after_a_long_backup_is_not_put_off_for_longer(
    server: EmbeddedRedis, rewrites: FileRewrites, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with Redis.from_url(server.url) as redis:
        redis.config_set("auto-aof-rewrite-percentage", 0)
        redis.eval(ROWS, 0)
        for _ in range(10):
            rewrites.check()
            now += file_rewrites.AGAIN
        redis.config_set("auto-aof-rewrite-percentage", 150)
        rewrites.check()
        assert redis.info("persistence")["aof_rewrite_in_progress"] or rewrites_of(redis) == 1


def test_without_redis_nothing_happens(
    server: EmbeddedRedis, rewrites: FileRewrites, tmp_path: Path
) -> None:
    with Redis.from_url(server.url) as redis:
        redis.eval(ROWS, 0)
    server.kill()
    rewrites.check()
    FileRewrites(prepare(tmp_path / "other", find_server()), lambda: None).check()


def test_a_rewrite_that_keeps_failing_is_tried_ever_more_seldom(
    server: EmbeddedRedis, rewrites: FileRewrites, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, tries = 1000.0, list[float]()

    def ask(_: Path, command: str) -> str:
        if command == "BGREWRITEAOF":
            tries.append(now)
        return ""

    monkeypatch.setattr(file_rewrites, "ask", ask)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with Redis.from_url(server.url) as redis:
        redis.eval(ROWS, 0)
    while len(tries) < 9:
        rewrites.check()
        now += 10.0
    pauses = [after - before for before, after in pairwise(tries)]
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_a_folder_that_cannot_be_read_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "redis.1.base.rdb").symlink_to(tmp_path / "redis.1.base.rdb")  # a loop
    assert file_in(tmp_path) is None


def test_a_rewrite_waits_for_a_quiet_moment_but_not_for_ever(
    server: EmbeddedRedis, rewrites: FileRewrites, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(file_rewrites, "ALWAYS", (60 * MB, 2.5))
    with Redis.from_url(server.url) as redis:
        rewrites.check()
        written = 0
        while not rewrites_of(redis) and not redis.info("persistence")["aof_rewrite_in_progress"]:
            redis.eval(ROWS, 0)
            written += 11 * MB
            now += 1.0  # 11 MB a second: too much
            rewrites.check()
        assert 60 * MB <= written <= 70 * MB
        until(lambda: not redis.info("persistence")["aof_rewrite_in_progress"])
        for _ in range(3):
            redis.eval(ROWS, 0)
            now += 1.0
            rewrites.check()
        assert rewrites_of(redis) == 1
        now += 1.0
        rewrites.check()  # nothing was written in this second
        until(lambda: rewrites_of(redis) == 2)


def test_two_looks_in_a_row_are_no_quiet_moment(
    server: EmbeddedRedis, rewrites: FileRewrites, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`up` looks whenever it wakes, also for a signal."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(file_rewrites, "ALWAYS", (60 * MB, 2.5))
    monkeypatch.setattr(file_rewrites, "SHORTEST_LOOK", 0.9)
    with Redis.from_url(server.url) as redis:
        rewrites.check()
        for _ in range(3):
            redis.eval(ROWS, 0)
            now += 1.0
            rewrites.check()
            now += 0.01
            rewrites.check()
        assert rewrites_of(redis) == 0
        now += 1.0
        rewrites.check()
        until(lambda: rewrites_of(redis) == 1)
