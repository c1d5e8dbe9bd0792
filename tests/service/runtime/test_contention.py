"""Changes that get in each other's way are made one after the other."""

import asyncio

import pytest

from processor.errors import Contention
from processor.service.runtime import contention
from processor.service.runtime.contention import until_committed


class Counter:
    """A number that many add one to: each reads it, and writes unless it was changed meanwhile."""

    value = 0

    async def add(self) -> tuple[bool, int]:
        """One attempt."""
        read = self.value
        await asyncio.sleep(0)
        if self.value != read:
            return False, 0
        self.value = read + 1
        return True, self.value


async def test_callers_that_change_the_same_all_succeed() -> None:
    counter, turn = Counter(), asyncio.Lock()
    added = await asyncio.gather(*(until_committed("job", turn, counter.add) for _ in range(50)))
    assert sorted(added) == list(range(1, 51))


async def test_a_change_that_others_always_beat_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contention, "FIRST_PAUSE", 0.0)
    tries: list[int] = []

    async def beaten() -> tuple[bool, None]:
        tries.append(1)
        return False, None

    with pytest.raises(Contention, match="changing this group at the same time; try again"):
        await until_committed("group", asyncio.Lock(), beaten)
    assert len(tries) == contention.MAX_TRIES
