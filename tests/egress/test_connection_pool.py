"""The pool: how many connections are open, who waits, and what is closed when."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from time import monotonic

import pytest

from processor.egress import Egress, NetworkScope, Policy, connection_pool
from processor.errors import RequestFailed

from .server import Server, answers, between
from .site import OK, Site, SlowNames


class Gate:
    """A server that answers when it is told to, and knows how many connections it ever had."""

    def __init__(self):
        self.open, self.most, self.asked = 0, 0, asyncio.Semaphore(0)
        self.go = asyncio.Event()

    async def __call__(self, server, reader, writer, number):
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            while True:
                await server.request(reader, number)
                self.asked.release()
                await self.go.wait()
                writer.write(OK)
        finally:
            self.open -= 1


async def asked(gate, times):
    async with asyncio.timeout(10):
        for _ in range(times):
            await gate.asked.acquire()


async def test_an_origin_gets_half_of_the_pool_and_the_others_wait_for_it():
    gate = Gate()
    async with between(gate, limit=6) as (server, post):
        tasks = [asyncio.create_task(post()) for _ in range(20)]
        await asked(gate, 3)
        gate.go.set()
        assert {answer.status for answer in await asyncio.gather(*tasks)} == {200}
        assert (gate.most, server.connections, len(server.requests)) == (3, 3, 20)


async def test_a_pool_has_no_more_connections_than_its_limit():
    gate = Gate()
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(Server(gate)) for _ in range(5)]
        egress = await stack.enter_async_context(Egress(Policy(), limit=4))

        def post(server):
            return egress.request(
                "POST", server.url, headers={}, scope=NetworkScope.CONFIGURED, body_wanted=False
            )

        tasks = [asyncio.create_task(post(server)) for server in servers * 4]
        await asked(gate, 4)
        gate.go.set()
        await asyncio.gather(*tasks)
        assert gate.most <= 4


async def test_the_longest_idle_connection_makes_room_for_another_origin():
    serve = partial(answers, OK)
    async with Server(serve) as one, Server(serve) as two, Egress(Policy(), limit=1) as egress:
        for server in (one, two, one):
            await egress.request("GET", server.url, headers={}, scope=NetworkScope.CONFIGURED)
        await two.all_closed()
        assert (one.connections, two.connections) == (2, 1)


async def test_who_waits_too_long_for_a_place_is_told_so(monkeypatch):
    monkeypatch.setattr(connection_pool, "CONNECT_SECONDS", 0.2)
    gate = Gate()
    async with between(gate, limit=1) as (server, post):
        first = asyncio.create_task(post())
        await asked(gate, 1)
        with pytest.raises(RequestFailed, match="not sent: as many requests"):
            await post()
        with pytest.raises(RequestFailed, match=r"timed out after 0.1 s"):
            await post(timeout=0.1)
        gate.go.set()
        assert (await first).status == 200
        assert (await post()).status == 200  # no place was lost
        assert len(server.requests) == 2


async def test_the_time_to_connect_includes_the_wait_for_a_place(monkeypatch):
    monkeypatch.setattr(connection_pool, "CONNECT_SECONDS", 1.0)
    names = SlowNames({"hooks.example": ["127.0.0.1"]})
    gate = Gate()
    async with Server(gate) as one, Egress(Policy(), limit=1, resolver=names) as egress:

        def post(url):
            return egress.request("POST", url, headers={}, scope=NetworkScope.CONFIGURED)

        first = asyncio.create_task(post(one.url))
        await asked(gate, 1)
        asyncio.get_running_loop().call_later(0.7, gate.go.set)
        began = monotonic()
        with pytest.raises(RequestFailed, match="could not connect within"):
            await post("http://hooks.example:9/")
        assert names.asked == 1
        assert monotonic() - began < 1.5
        await first


@pytest.mark.parametrize("running", [True, False], ids=["running", "waiting"])
async def test_a_cancelled_request_gives_its_place_back(running):
    gate = Gate()
    async with between(gate, limit=1) as (server, post):
        tasks = [asyncio.create_task(post()) for _ in range(2)]
        await asked(gate, 1)
        tasks[0 if running else 1].cancel()
        gate.go.set()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert sorted(type(end).__name__ for end in ends) == ["CancelledError", "HttpResponse"]
        assert (await post()).status == 200
        assert server.connections == (2 if running else 1)


async def test_who_stops_waiting_for_the_pool_gives_the_place_of_the_origin_back():
    gate = Gate()
    async with Server(gate) as one, Server(gate) as two, Egress(Policy(), limit=1) as egress:

        def post(server):
            return egress.request(
                "POST", server.url, headers={}, scope=NetworkScope.CONFIGURED, timeout=5.0
            )

        running = asyncio.create_task(post(one))
        await asked(gate, 1)
        waiting = asyncio.create_task(post(two))
        await asyncio.sleep(0)
        waiting.cancel()
        gate.go.set()
        await asyncio.wait([running, waiting])
        assert (await post(two)).status == 200


async def test_a_closed_client_connects_to_nobody():
    async with Site() as site:
        async with Egress(Policy()) as egress:
            pass
        with pytest.raises(RequestFailed):
            await egress.request("GET", site.url, headers={}, scope=NetworkScope.CONFIGURED)
        assert await site.visits() == 0


async def test_a_client_may_be_opened_again():
    async with Site() as site:
        egress = Egress(Policy())
        for _ in range(2):
            async with egress:
                answer = await egress.request(
                    "GET", site.url, headers={}, scope=NetworkScope.CONFIGURED
                )
                assert answer.status == 200
        assert site.connections == 2


async def test_a_request_that_connects_while_the_client_closes_leaves_no_connection_behind():
    names = SlowNames({"hooks.example": ["127.0.0.1"]})
    async with Site() as site, Egress(Policy(), resolver=names) as egress:
        task = asyncio.create_task(
            egress.request(
                "GET",
                f"http://hooks.example:{site.port}/",
                headers={},
                scope=NetworkScope.CONFIGURED,
            )
        )
        await names.came.wait()
        await egress.close()
        names.go.set()
        await asyncio.wait([task])
        assert not egress._pools[NetworkScope.CONFIGURED]._open


async def test_an_idle_connection_is_closed_after_a_while(monkeypatch):
    monkeypatch.setattr(connection_pool, "KEEPALIVE_SECONDS", 0.2)

    async with between(partial(answers, OK)) as (server, post):
        await post()
        await server.all_closed()
        await post()
        assert server.connections == 2


async def test_a_connection_that_was_idle_too_long_is_not_used(monkeypatch):
    """Even if nobody had time to close it."""
    now = monotonic()
    monkeypatch.setattr(connection_pool, "monotonic", lambda: now)

    async with between(partial(answers, OK)) as (server, post):
        await post()
        now += connection_pool.KEEPALIVE_SECONDS - 0.1
        await post()
        assert server.connections == 1
        now += connection_pool.KEEPALIVE_SECONDS + 0.1
        await post()
        assert server.connections == 2


async def test_a_connection_that_was_used_in_between_is_closed_later(monkeypatch):
    now = monotonic()
    monkeypatch.setattr(connection_pool, "monotonic", lambda: now)

    async with Server(partial(answers, OK)) as server, Egress(Policy()) as egress:
        pool = egress._pools[NetworkScope.CONFIGURED]
        await egress.request("GET", server.url, headers={}, scope=NetworkScope.CONFIGURED)
        for later, is_open in ((3.0, True), (2.0, False)):
            now += later
            pool._sweep()
            assert (bool(pool._open), pool._sweeper is not None) == (is_open, is_open)


async def test_the_latest_of_the_idle_connections_is_used_first():
    """So those that are not needed any more become old, and are closed."""
    gate = Gate()
    async with between(gate) as (server, post):
        tasks = [asyncio.create_task(post()) for _ in range(3)]
        await asked(gate, 3)
        gate.go.set()
        await asyncio.gather(*tasks)
        for _ in range(5):
            await post()
        assert server.connections == 3
        assert len({number for number, _ in server.requests[3:]}) == 1


async def test_an_origin_is_forgotten_when_nothing_uses_it():
    async def serve(server, reader, writer, number):
        await server.request(reader, number)
        writer.write(OK)

    async with Server(serve) as server, Egress(Policy()) as egress:
        pool = egress._pools[NetworkScope.CONFIGURED]
        await egress.request("GET", server.url, headers={}, scope=NetworkScope.CONFIGURED)
        await server.all_closed()
        assert len(pool._origins) == 1
        egress._route.cache_clear()
        async with asyncio.timeout(10):
            while pool._open:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0)
        assert len(pool._origins) == 0


async def test_closing_the_client_ends_requests_in_flight_and_idle_connections():
    gate = Gate()
    async with Server(gate) as server, Egress(Policy()) as egress:

        def post():
            return asyncio.create_task(
                egress.request("POST", server.url, headers={}, scope=NetworkScope.CONFIGURED)
            )

        tasks = [post(), post()]
        await asked(gate, 2)
        gate.go.set()
        await asyncio.gather(*tasks)
        gate.go.clear()
        task = post()
        await asked(gate, 1)
        await egress.close()
        with pytest.raises(RequestFailed, match="connection closed before an answer"):
            await task
        gate.go.set()
        await server.all_closed()
