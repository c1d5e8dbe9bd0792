"""Places for requests: who waits longest gets the next one, and a cancelled request keeps none."""

import asyncio

import pytest

from processor.egress.places import Places


async def some_turns():
    for _ in range(3):
        await asyncio.sleep(0)


async def test_places_go_to_those_who_wait_longest():
    places, entered = Places(2), []

    async def enter(name):
        await places.wait()
        entered.append(name)

    tasks = [asyncio.create_task(enter(name)) for name in "abcd"]
    await some_turns()
    assert (entered, places.free) == (["a", "b"], 0)
    places.leave()
    assert places.free == 0  # it is c's already, though c has not noticed yet
    await some_turns()
    assert entered == ["a", "b", "c"]
    for _ in range(3):
        places.leave()
    await asyncio.gather(*tasks)
    assert (entered, places.free) == (["a", "b", "c", "d"], 2)


@pytest.mark.parametrize("late", [False, True], ids=["while it waits", "when it has its place"])
async def test_a_cancelled_request_takes_no_place(late):
    places = Places(1)
    await places.wait()
    first, second = (asyncio.create_task(places.wait()) for _ in range(2))
    await some_turns()
    if late:
        places.leave()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    if not late:
        places.leave()
    await second
    assert places.free == 0
    places.leave()
    assert places.free == 1
