"""Backups: each copy that docs/operations.md describes is restored by the commands that it shows."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from processor.cli.embedded_redis import EmbeddedRedis
from processor.errors import ConfigError

from .waiting import until

PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Backups\n")[2].partition("\n## ")[0]
RESTORE = dict(
    zip(
        ("appendonlydir", "dump.rdb"),
        re.findall(r"^```sh\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL),
        strict=True,
    )
)
JOBS = {f"job-{number}".encode() for number in range(20)}
PATH = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def server(tmp_path: Path):
    """The Redis of `ringback up`, in the folder where the commands of the page are run."""
    server = EmbeddedRedis(tmp_path / ".ringback")
    server.start()
    yield server
    server.kill()


def bgsave(client: Redis) -> None:
    client.bgsave()
    until(lambda: not client.info("persistence")["rdb_bgsave_in_progress"])  # type: ignore[index]
    assert client.info("persistence")["rdb_last_bgsave_status"] == "ok"  # type: ignore[index]


@pytest.mark.parametrize("copied", RESTORE)
def test_a_copy_is_restored_as_the_page_says(
    server: EmbeddedRedis, copied: str, tmp_path: Path, shell: Any
) -> None:
    files = tmp_path / ".ringback" / "redis"
    (tmp_path / "backup").mkdir()
    with Redis.from_url(server.url) as client:
        client.mset(dict.fromkeys(JOBS, "before"))
        if copied == "dump.rdb":
            bgsave(client)
            shutil.copy(files / copied, tmp_path / "backup")
        else:
            client.config_set("auto-aof-rewrite-percentage", 0)
            shutil.copytree(files / copied, tmp_path / "backup" / copied)
        client.flushall()
        client.set("later", 1)
    server.stop()
    shell(RESTORE[copied], PATH)
    EmbeddedRedis(tmp_path / ".ringback")  # as `ringback up` does, which refuses a dump alone
    server.start()
    with Redis.from_url(server.url) as client:
        assert set(client.keys()) == JOBS  # type: ignore[arg-type]
        client.set("after", 1)
    server.kill()
    server.start()
    with Redis.from_url(server.url) as client:
        assert set(client.keys()) == JOBS | {b"after"}  # type: ignore[arg-type]


def test_a_dump_that_redis_would_ignore_is_refused(server: EmbeddedRedis, tmp_path: Path) -> None:
    """With an append-only file Redis loads no dump: it would start with an empty store."""
    data = tmp_path / ".ringback"
    with Redis.from_url(server.url) as client:
        client.set("job", "done")
        bgsave(client)
    server.stop()
    shutil.rmtree(data / "redis" / "appendonlydir")
    with pytest.raises(ConfigError, match=r"redis/dump\.rdb: .* start empty.*Backups"):
        EmbeddedRedis(data)


def test_the_embedded_redis_never_gets_there_by_itself(
    server: EmbeddedRedis, tmp_path: Path
) -> None:
    """Neither an end nor FLUSHALL writes a dump, and one of BGSAVE is beside the other files."""
    data = tmp_path / ".ringback"
    with Redis.from_url(server.url) as client:
        client.set("job", "done")
        client.flushall()
        client.set("job", "done")
    server.stop()
    assert not (data / "redis" / "dump.rdb").exists()
    server.start()
    with Redis.from_url(server.url) as client:
        bgsave(client)
    server.kill()
    assert (data / "redis" / "dump.rdb").exists()
    EmbeddedRedis(data)
    server.start()
    with Redis.from_url(server.url) as client:
        assert client.get("job") == b"done"
