"""Items of many callers are written together, and thousands of one caller in slices."""

import asyncio

import pytest

from processor.store.group_commit import MAX_BYTES, MAX_ITEMS, SLICE, GroupCommit


class Writer:
    """Writes after a moment, and records the batches."""

    def __init__(self) -> None:
        """Nothing was written yet."""
        self.batches: list[list[int]] = []
        self.fails = 0

    async def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        await asyncio.sleep(0)
        if self.fails:
            self.fails -= 1
            raise OSError(28, "no room")
        return [-item for item in items]


async def test_every_caller_gets_the_results_of_its_own_items() -> None:
    write = Writer()
    batch = GroupCommit(write)
    ones = [asyncio.create_task(batch.add(number)) for number in range(1, 50)]
    many = asyncio.create_task(batch.add_all(range(1000, 2000)))
    assert await asyncio.gather(*ones) == [-n for n in range(1, 50)]
    assert await many == [-n for n in range(1000, 2000)]
    assert await batch.add_all([]) == []
    assert len(write.batches) < 12


async def test_a_small_push_does_not_wait_for_a_large_one() -> None:
    write = Writer()
    batch = GroupCommit(write)
    large = [asyncio.create_task(batch.add_all(range(25_000))) for _ in range(5)]
    await asyncio.sleep(0.001)
    began = len(write.batches)
    await batch.add(1)
    assert len(write.batches) - began <= 2
    assert not any(task.done() for task in large)
    await asyncio.gather(*large)


async def test_small_pushes_do_not_delay_a_large_one() -> None:
    write = Writer()
    batch = GroupCommit(write)
    large = asyncio.create_task(batch.add_all(range(10 * SLICE)))
    small = {asyncio.create_task(batch.add(1)) for _ in range(20 * MAX_ITEMS)}
    await large
    assert any(not task.done() for task in small)
    await asyncio.gather(*small)


async def test_a_write_is_bounded_in_count_and_in_bytes() -> None:
    write = Writer()
    batch = GroupCommit(write, lambda item: item)
    third = MAX_BYTES // 3
    await asyncio.gather(
        batch.add_all([third] * 7 * SLICE),
        *(batch.add(third) for _ in range(20)),
        *(batch.add(1) for _ in range(3 * MAX_ITEMS)),
        batch.add(2 * MAX_BYTES),
    )
    assert max(map(len, write.batches)) <= MAX_ITEMS
    assert all(sum(one) <= MAX_BYTES for one in write.batches if len(one) > 1)


async def test_a_failed_write_fails_for_its_callers() -> None:
    write = Writer()
    write.fails = 1
    batch = GroupCommit(write)
    lost = asyncio.create_task(batch.add_all(range(10 * SLICE)))
    await asyncio.sleep(0)
    late = asyncio.create_task(batch.add(5))
    with pytest.raises(OSError, match="no room"):
        await lost
    assert await late == -5
    assert sum(map(len, write.batches)) < 2 * SLICE  # the rest of it comes again anyway


async def test_what_callers_add_once_they_are_answered_goes_with_what_came_meanwhile() -> None:
    write = Writer()
    batch = GroupCommit(write)

    async def twice() -> None:
        await batch.add(1)
        await batch.add(3)

    again = asyncio.create_task(twice())
    await asyncio.sleep(0)
    await asyncio.gather(again, batch.add(2))
    assert write.batches == [[1], [2, 3]]


async def test_an_item_alone_is_written_at_once() -> None:
    write = Writer()
    batch = GroupCommit(write)
    await batch.add(1)
    assert await batch.add(2) == -2
    assert write.batches == [[1], [2]]
