"""Rate limit of calls without a key, concurrency limit of large reads."""

import asyncio
from typing import Any

import pytest

from processor.errors import Overloaded
from processor.service.jobs import listing
from processor.web import rate_limit
from processor.web.rate_limit import (
    BURST,
    MAX_ADDRESSES,
    MAX_DELAY,
    RATE,
    KeylessRateLimit,
    LargeReadLimit,
)

from .calling import Web


def test_an_address_gets_a_burst_at_once_and_then_its_rate() -> None:
    calls = KeylessRateLimit()
    delays = [calls.delay("a", 0.0) for _ in range(BURST + 10)]
    assert delays[:BURST] == pytest.approx([0.0] * BURST)
    assert delays[BURST:] == pytest.approx([(n + 1) / RATE for n in range(10)])
    assert calls.delay("b", 0.0) == 0.0  # another address does not wait for this one
    assert calls.delay("a", 60.0) == 0.0  # and this delay is bounded


def test_no_response_is_delayed_longer_than_the_maximum() -> None:
    calls = KeylessRateLimit()
    delays = [calls.delay("a", 0.0) for _ in range(5000)]
    assert max(delays) == pytest.approx(MAX_DELAY)


def test_only_so_many_addresses_are_remembered() -> None:
    calls = KeylessRateLimit()
    for n in range(3 * MAX_ADDRESSES):
        calls.delay(str(n), 0.0)
    assert len(calls._next) == MAX_ADDRESSES


async def test_all_addresses_of_an_ipv6_network_count_as_one() -> None:
    calls = KeylessRateLimit()
    for host in ("2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::1", "2001:db8:0:1::1"):
        await calls.wait({"client": (host, 1)})
    assert len(calls._next) == 2


async def test_two_large_reads_run_at_once_and_others_time_out_with_503(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limit, "MAX_WAIT", 0.05)
    running = most = 0
    gate = asyncio.Event()

    async def read(_: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1

    limited = LargeReadLimit().limit(read)
    tasks = [asyncio.create_task(limited(None)) for _ in range(5)]  # type: ignore[arg-type]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert all(isinstance(task.exception(), Overloaded) for task in done)
    gate.set()
    await asyncio.wait(tasks)
    assert most == rate_limit.LARGE_READS
    assert sum(task.exception() is None for task in tasks) == rate_limit.LARGE_READS


async def test_a_page_of_jobs_is_cut_where_it_becomes_too_big(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE_BYTES", 2000)
    for n in range(12):
        await web.push(f"job-{n}", "running")
    first = (await web("GET", "/v1/jobs?limit=200")).json()
    assert 1 <= len(first["items"]) < 12
    assert first["next"]
    assert len(await web.items("/v1/jobs", limit=50)) == 12


async def test_calls_without_a_key_are_rate_limited_by_address(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    delayed = []

    async def wait(_: KeylessRateLimit, scope: Any) -> None:
        delayed.append(scope["path"])

    monkeypatch.setattr(KeylessRateLimit, "wait", wait)
    await web.without_key("GET", "/v1/jobs")
    await web("GET", "/readyz")
    await web("GET", "/healthz")
    await web("POST", "/hooks/feed", content=b"{}", headers={"content-type": "application/json"})
    assert delayed == ["/v1/jobs", "/readyz", "/healthz", "/hooks/feed"]
    await web("GET", "/v1/jobs")
    await web.push("1")
    assert len(delayed) == 4
