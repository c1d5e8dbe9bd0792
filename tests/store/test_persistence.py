"""Whether what Redis answered is in its file, and what is logged about a slow disk."""

import asyncio

import pytest
from structlog.testing import capture_logs

from processor.errors import Overloaded, StoreUnavailable
from processor.store import Store, persistence
from processor.store.persistence import CALM, SLOW, Disk, File, has_all

BUSY = File(syncing=True, waiting=True, forced=3)


@pytest.mark.parametrize(
    ("now", "written"),
    [
        (BUSY, False),
        (File(syncing=True, waiting=False, forced=3), True),
        (File(syncing=False, waiting=True, forced=3), True),  # the waiting write is newer
        (File(syncing=True, waiting=True, forced=4), True),  # the waiting write is newer
    ],
)
def test_everything_is_written_unless_a_sync_has_postponed_it(now: File, written: bool):  # noqa: FBT001 -- drawn
    assert has_all(BUSY, now) is written


INFO = b"""# Persistence\r
loading:0\r
aof_enabled:1\r
aof_last_bgrewrite_status:err\r
aof_last_write_status:ok\r
aof_buffer_length:70\r
aof_pending_bio_fsync:1\r
aof_delayed_fsync:3\r
"""


@pytest.mark.parametrize(
    ("info", "file"),
    [
        (INFO, BUSY),
        (INFO.replace(b"status:ok", b"status:err"), BUSY._replace(broken=True)),
        (INFO.replace(b"fsync:1", b"fsync:0"), BUSY._replace(syncing=False)),
        (INFO.replace(b"length:70", b"length:0"), BUSY._replace(waiting=False)),
        (b"master_replid:a1\r\nmaster_replid2:b2\r\n" + INFO, BUSY._replace(history=b"a1")),
        (b"aof_enabled:0\r\naof_last_write_status:err\r\n", File()),
        (b"", File()),
    ],
)
def test_the_text_of_info_is_parsed(info: bytes, file: File):
    assert File.of(info) == file


class Answers:
    """Answers to `INFO`, one after the other; the last one repeats."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch, *files: File) -> None:
        """Take them."""
        self.files, self.asked = list(files), 0
        monkeypatch.setattr(store.persistence, "_file", self.next)

    async def next(self) -> File:
        """The next one."""
        self.asked += 1
        return self.files.pop(0) if self.files[1:] else self.files[0]


async def test_it_waits_until_the_sync_has_ended(store: Store, monkeypatch: pytest.MonkeyPatch):
    answers = Answers(store, monkeypatch, BUSY, BUSY, File(syncing=False, waiting=True, forced=3))
    await store.persistence.written(None)
    assert answers.asked == 4  # what waited is written behind the third answer


async def test_many_callers_together_read_the_state_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    """Once for the first caller, and once for all that came after that read began."""
    answers, first = Answers(store, monkeypatch, File()), asyncio.Event()
    ask = answers.next

    async def slow() -> File:
        first.set()
        await asyncio.sleep(0)
        return await ask()

    monkeypatch.setattr(store.persistence, "_file", slow)
    early = asyncio.create_task(store.persistence.written(None))
    await first.wait()
    await asyncio.gather(early, *(store.persistence.written(None) for _ in range(100)))
    assert answers.asked == 2


async def test_a_cancelled_caller_does_not_end_the_wait_of_others(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    Answers(store, monkeypatch, BUSY, File())
    one, other = (asyncio.create_task(store.persistence.written(None)) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    await other
    assert not other.cancelled()


async def test_a_file_that_cannot_be_written_is_an_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    Answers(store, monkeypatch, File(broken=True))
    with pytest.raises(StoreUnavailable, match="append-only file"):
        await store.persistence.written(None)


async def test_a_wait_for_the_file_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch):
    Answers(store, monkeypatch, BUSY)
    monkeypatch.setattr(persistence, "LONGEST", 0.05)
    with pytest.raises(Overloaded, match="too slow"):
        await store.persistence.written(None)


async def test_the_next_caller_reads_again_after_a_failure(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    Answers(store, monkeypatch, File(broken=True), File())
    with pytest.raises(StoreUnavailable):
        await store.persistence.written(None)
    await store.persistence.written(None)


def logged(*notes: tuple[float, int, float]) -> list[str]:
    """The events that are logged for notes (waited, forced, now)."""
    disk = Disk()
    with capture_logs() as lines:
        for note in notes:
            disk.note(*note)
    return [line["event"] for line in lines]


def test_a_slow_disk_and_its_recovery_are_logged_once():
    slow, quick = (SLOW, 0), (0.01, 0)
    assert logged((*quick, 0.0)) == []
    assert logged((*slow, 0.0), (*slow, 1.0)) == ["redis_disk_slow"]
    assert logged((*slow, 0.0), (*quick, CALM - 1)) == ["redis_disk_slow"]
    both = ["redis_disk_slow", "redis_disk_recovered"]
    assert logged((*slow, 0.0), (*quick, CALM), (*quick, CALM + 1)) == both
    assert logged((*slow, 0.0), (*quick, CALM), (*slow, CALM + 1)) == [*both, "redis_disk_slow"]


def test_a_write_during_a_sync_is_a_slow_disk_too():
    assert logged((0.0, 5, 0.0), (0.0, 5, 1.0)) == []
    assert logged((0.0, 5, 0.0), (0.0, 6, 1.0)) == ["redis_disk_slow"]
    assert logged((0.0, 5, 0.0), (0.0, 0, 1.0), (0.0, 1, 2.0)) == [
        "redis_disk_slow"
    ]  # it restarted


async def test_the_answer_of_a_real_redis_is_parsed(store: Store):
    await store.persistence.written(None)
    await store.persistence.check_disk()
    assert await store.persistence.delayed() == 0
