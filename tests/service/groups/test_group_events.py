"""Who gets `group.completed`: filters, replays, formats, and no turn among a job's events."""

from typing import Any

import pytest

from processor.event_types import GROUP_COMPLETED
from processor.group import event_id

from ..desk import Desk

FILTERS: list[tuple[dict[str, Any], bool]] = [
    ({"events": [GROUP_COMPLETED]}, True),
    ({"events": ["job.completed"]}, False),
    ({"events": [GROUP_COMPLETED], "sources": ["other"]}, True),  # one member is enough
    ({"events": [GROUP_COMPLETED], "sources": ["hints"]}, False),
    ({"events": [GROUP_COMPLETED], "providers": ["lab"]}, True),
    ({"events": [GROUP_COMPLETED], "providers": ["dropper"]}, False),
    ({"events": [GROUP_COMPLETED], "metadata": {"batch": 7}}, True),
    ({"events": [GROUP_COMPLETED], "metadata": {"batch": 8}}, False),
]


async def complete(desk: Desk, **request: Any) -> str:
    """Have a group of two sources complete; the id of its event."""
    group, _ = await desk.bench.group("lab/1", "other/2", metadata={"batch": 7}, **request)
    await desk.bench.push(id="1", status="succeeded")
    await desk.bench.push("other", id="2", status="succeeded")
    return event_id(group)


def of_groups(desk: Desk) -> list[str]:
    return [event for event in desk.subscriber.got if event.startswith("evt_g")]


@pytest.mark.parametrize(("wanted", "gets"), FILTERS)
async def test_an_event_of_a_group_goes_to_who_names_it(desk: Desk, wanted: Any, gets: Any):
    await desk.subscribe(**wanted)
    event = await complete(desk)
    await desk.deliver()
    assert of_groups(desk) == ([event] if gets else [])


@pytest.mark.parametrize(("wanted", "gets"), FILTERS)
async def test_a_replay_applies_the_same_filter(desk: Desk, wanted: Any, gets: Any):
    event = await complete(desk)
    made = await desk.subscribe(**wanted, since="1h")
    await desk.deliver()
    assert of_groups(desk) == ([event] if gets else [])
    await desk.replay(made)
    await desk.deliver()
    assert len(of_groups(desk)) == gets


@pytest.mark.parametrize(("source", "gets"), [("lab", 1), ("other", 1), ("hints", 0)])
async def test_a_replay_of_one_source_has_the_groups_of_its_jobs(
    desk: Desk, source: str, gets: int
):
    await complete(desk)
    made = await desk.subscribe(events=[GROUP_COMPLETED])
    assert await desk.replay(made, source=source) == (gets, 0, 0, 0)


async def test_the_event_of_a_group_takes_no_turn(desk: Desk):
    """An ordered subscription gets it, although an event of the job waits to be sent again."""
    await desk.subscribe(events=["job.completed", GROUP_COMPLETED], ordered=True)
    desk.subscriber.status = 500
    await desk.bench.group("lab/1")
    await desk.bench.accept(id="1", status="succeeded")
    await desk.bench.ingest()
    await desk.round()
    assert await desk.waiting() == 2
    assert len(of_groups(desk)) == 1


async def test_a_callback_of_a_group_is_called_once(desk: Desk):
    back = {"callback_url": desk.subscriber.url}
    event = await complete(desk, **back)
    await desk.deliver()
    assert desk.subscriber.got == [event]
