"""Waits of one client hold a connection each; other calls do not wait for it."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ringback import AsyncRingback, Ringback

from .scripted_server import Holding

WAITS = 130  # more than httpx's own limit of 100 connections


@pytest.fixture
def holding() -> Iterator[Holding]:
    made = Holding()
    yield made
    made.close()


def test_a_call_is_answered_while_many_threads_wait(holding: Holding) -> None:
    with Ringback(holding.url, "key") as client, ThreadPoolExecutor(WAITS) as pool:
        waits = [pool.submit(client.wait, "encoder", "1", 30) for _ in range(WAITS)]
        try:
            assert holding.holds(WAITS)
            assert client.get("encoder", "1").succeeded
        finally:
            holding.release()
        assert all(wait.result().succeeded for wait in waits)


async def test_a_call_is_answered_while_many_tasks_wait(holding: Holding) -> None:
    async with AsyncRingback(holding.url, "key") as client, asyncio.TaskGroup() as group:
        waits = [group.create_task(client.wait("encoder", "1", 30)) for _ in range(WAITS)]
        try:
            assert await asyncio.to_thread(holding.holds, WAITS)
            assert (await client.get("encoder", "1")).succeeded
        finally:
            holding.release()
    assert all(wait.result().succeeded for wait in waits)
