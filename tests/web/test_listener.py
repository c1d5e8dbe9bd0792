"""The server's main loop: it dates the answers, and ends when it is stopped."""

import asyncio
from typing import Any

import uvicorn

from processor.web.body_budget import BodyBudget
from processor.web.connection_limit import ConnectionLimit
from processor.web.listener import Listener, ListeningServer
from processor.web.process_limits import ProcessLimits
from processor.web.read_scheduler import ReadScheduler


async def test_the_server_dates_its_answers_until_it_is_stopped(wait_until: Any) -> None:
    limits = ProcessLimits(BodyBudget(), ReadScheduler(), ConnectionLimit(1), lambda _: None)
    server = ListeningServer(uvicorn.Config(lambda: None, log_config=None), Listener(limits, []))
    server.config.load()
    running = asyncio.create_task(server.main_loop())
    await wait_until(lambda: b"date" in dict(server.server_state.default_headers))
    server.server_state.default_headers = []
    await wait_until(lambda: b"date" in dict(server.server_state.default_headers))
    assert not running.done()
    server.stop()
    await running
