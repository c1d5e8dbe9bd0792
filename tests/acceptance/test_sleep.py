"""A machine that slept goes on with the right time."""

from collections.abc import Callable
from pathlib import Path

import pytest

from . import asleep
from .conftest import standard
from .feed import Caller, push
from .sink import Sink
from .system import System
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(60)]

WAKES_WITHIN = 15.0  # seconds until everybody has asked Redis for its time again


async def test_pushes_are_taken_and_callbacks_are_not_stale_after_a_sleep(
    plan: Callable[..., System], tmp_path: Path
) -> None:
    slept = tmp_path / "slept"
    system = plan(standard("feed"))
    for name, module in (
        ("web", "processor.web"),
        ("worker", "workers"),
        ("clock", "workers.clock"),
    ):
        system.start(name, str(Path(asleep.__file__)), module, str(slept))
    system.wait_until_ready()
    async with Caller(system.url) as caller, Sink() as sink:
        await caller.subscribe(sink, "feed")
        assert await caller.push(push("feed", "before", "succeeded")) == 202
        await until(lambda: sink.jobs == {"before"}, 5, "the callback before the sleep")
        slept.touch()

        async def taken() -> bool:
            return await caller.push(push("feed", "after", "succeeded")) == 202

        await until_it(taken, WAKES_WITHIN, "a push that is not called too new")
        await until(lambda: "after" in sink.jobs, WAKES_WITHIN, "a callback that is not too old")
