"""Bodies are read in turns; large bodies wait in a queue."""

import asyncio
from typing import Any

import pytest

from processor import large_body_queue
from processor.errors import Overloaded
from processor.large_body_queue import LargeBodyQueue, LargeBodySlot
from processor.web import read_scheduler
from processor.web.read_scheduler import ReadScheduler


class Reader:
    """A connection that waits for its turn, again and again."""

    def __init__(self, name: str, log: list[str]) -> None:
        """Write a name into a log at each turn."""
        self.name = name
        self.log = log

    def read_on(self) -> None:
        self.log.append(self.name)


async def test_addresses_are_read_in_rotation(wait_until: Any) -> None:
    turns, log = ReadScheduler(), list[str]()
    for number in range(3):
        turns.wait(Reader(f"a{number}", log), "a", 1)
    turns.wait(Reader("b0", log), "b", 1)
    await wait_until(lambda: len(log) == 4)
    assert log == ["a0", "b0", "a1", "a2"]


async def test_reading_has_a_rate_limit(wait_until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_scheduler, "READ_RATE", 1024 * 1024)
    turns, log = ReadScheduler(), list[str]()
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(4):
        turns.wait(Reader(str(number), log), "a", 64 * 1024)
    await wait_until(lambda: len(log) == 4)
    assert loop.time() - began > 0.2  # a quarter of a MiB had to be paid for


async def test_large_bodies_wait_for_each_other() -> None:
    turns = LargeBodyQueue(together=10)
    first, second, third = (LargeBodySlot(turns, "a") for _ in range(3))
    await first.acquire(8)
    waiting = [asyncio.create_task(second.acquire(8)), asyncio.create_task(third.acquire(2))]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)  # a small body does not overtake
    first.release()
    await asyncio.gather(*waiting)
    second.release()
    second.release()
    third.release()
    await LargeBodySlot(turns, "a").acquire(10)


async def test_large_bodies_of_addresses_go_in_rotation() -> None:
    turns, order = LargeBodyQueue(together=1), list[str]()

    async def one(name: str) -> None:
        turn = LargeBodySlot(turns, name[0])
        await turn.acquire(1)
        order.append(name)
        turn.release()

    holder = LargeBodySlot(turns, "x")
    await holder.acquire(1)
    tasks = [asyncio.create_task(one(name)) for name in ("a0", "a1", "a2", "b0")]
    await asyncio.sleep(0)
    holder.release()
    await asyncio.gather(*tasks)
    assert order == ["a0", "b0", "a1", "a2"]


async def test_a_large_body_without_a_slot_in_time_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_body_queue, "SLOT_TIMEOUT", 0.05)
    turns = LargeBodyQueue(together=1)
    holder, other = LargeBodySlot(turns, "a"), LargeBodySlot(turns, "a")
    await holder.acquire(1)
    with pytest.raises(Overloaded):
        await other.acquire(1)
    holder.release()
    await other.acquire(1)


async def test_a_canceled_body_leaves_the_queue() -> None:
    turns = LargeBodyQueue(together=1)
    holder, gone, other = (LargeBodySlot(turns, "a") for _ in range(3))
    await holder.acquire(1)
    leaving = asyncio.create_task(gone.acquire(1))
    staying = asyncio.create_task(other.acquire(1))
    await asyncio.sleep(0)
    leaving.cancel()
    holder.release()
    await staying
    assert leaving.cancelled() or leaving.cancelling()


async def test_a_slot_that_is_granted_while_it_is_released_is_given_back() -> None:
    """As when a request is cancelled in the turn of the event loop in which its slot comes free."""
    queue = LargeBodyQueue(together=10)
    holder, slot = LargeBodySlot(queue, "a"), LargeBodySlot(queue, "b")
    await holder.acquire(10)
    waiting = asyncio.create_task(slot.acquire(10))
    await asyncio.sleep(0)
    holder.release()  # grants it; `waiting` runs in the next turn
    slot.release()
    await waiting
    assert not slot.held
    await asyncio.wait_for(LargeBodySlot(queue, "c").acquire(10), 1)
