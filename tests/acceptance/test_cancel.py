"""`cancel = true`: at its deadline a job expires at once, and is canceled at its provider."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from .conftest import hosted
from .feed import Caller
from .processes import free_port
from .provider import Provider
from .sink import Sink
from .system import WORKER, System
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(60)]

WITHIN = 20.0  # seconds
CALL = "/v1/predictions/1/cancel"


async def test_a_killed_worker_neither_loses_the_call_nor_holds_up_the_event(
    plan: Callable[..., System],
) -> None:
    port, may_answer = free_port(), asyncio.Event()

    async def tell(path: str) -> web.Response:
        if path == CALL:
            await may_answer.wait()
        return web.json_response({"id": "1", "status": "processing"})

    config = hosted("models", "replicate", port, "/v1") + "cancel = true\n"
    system = plan(config, RINGBACK_LEASE="2s").start_all()
    async with Caller(system.url) as caller, Sink() as sink, Provider(port, tell) as provider:
        await caller.subscribe(sink, "models")
        await caller.call("PUT", "/v1/jobs/models/1", {"deadline": "500ms"})
        await until(lambda: sink.calls, WITHIN, "job.expired")
        await until(lambda: calls(provider), WITHIN, "the call")
        system.children.pop("worker").kill()
        may_answer.set()
        system.start("second", *WORKER)
        await until_it(lambda: noted(caller), WITHIN, "the call in the history")
        assert len(calls(provider)) == 2  # the first one was not answered while its worker lived
        assert [call.event["type"] for call in sink.calls] == ["job.expired"]
    assert "Traceback" not in system.logs()


def calls(provider: Provider) -> list[str]:
    """The cancel calls so far."""
    return [path for _, path in provider.asked if path == CALL]


async def noted(caller: Caller) -> list[Any]:
    """What the history says of it."""
    lines = await caller.items("/v1/jobs/models/1/history")
    return [line for line in lines if line.get("ignored") == "cancel_sent"]
