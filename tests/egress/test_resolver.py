"""Names whose servers never answer do not stop the lookups of other names."""

import asyncio
import itertools
import socket
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from processor.egress import resolver
from processor.egress.resolver import CachingResolver, SystemResolver

from .site import Names, SlowNames, info

FOUND = [info("127.0.0.1", 443)]
HOUR = 3600.0
NEVER_IN_TIME = socket.gaierror(-3, "Temporary failure in name resolution")


class Servers:
    """Name servers of ours in place of the system's: those of a silent domain do not answer."""

    def __init__(self):
        """All answer; `release` ends the silence."""
        self.silent, self.asked, self.release = set(), [], threading.Event()

    def getaddrinfo(self, host, port, **_):
        self.asked.append(host)
        if any(host.endswith(domain) for domain in self.silent):
            self.release.wait(20)
            raise NEVER_IN_TIME
        return [info("127.0.0.1", port)]


@pytest.fixture
def servers(monkeypatch):
    servers = Servers()
    monkeypatch.setattr(socket, "getaddrinfo", servers.getaddrinfo)
    yield servers
    servers.release.set()


@pytest.fixture
def clock(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(resolver, "monotonic", lambda: clock[0])
    return clock


def lookups(names, hosts):
    return [asyncio.create_task(names.resolve(host, 443)) for host in hosts]


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)


async def give_up(tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_silent_domain_does_not_stop_other_domains(servers):
    servers.silent.add(".silent.example")
    names = CachingResolver(SystemResolver())
    waiting = lookups(names, (f"n{n}.silent.example" for n in range(200)))
    await until(lambda: len(servers.asked) >= resolver._PER_DOMAIN)
    async with asyncio.timeout(3):
        assert await names.resolve("good.example.com", 443) == FOUND
    assert len(servers.asked) == resolver._PER_DOMAIN + 1
    await give_up(waiting)


async def test_a_lookup_that_nobody_waits_for_any_more_is_not_started(servers):
    servers.silent.add("n.silent.example")
    names = CachingResolver(SystemResolver())
    waiting = lookups(names, (f"{n}.n.silent.example" for n in range(20)))
    await until(lambda: len(servers.asked) == resolver._PER_DOMAIN)
    await give_up(waiting)
    assert len(names._lookups) == resolver._PER_DOMAIN
    servers.release.set()
    assert await names.resolve("good.silent.example", 443) == FOUND
    assert len(servers.asked) == resolver._PER_DOMAIN + 1
    await until(lambda: not names._lookups)


async def test_a_name_is_not_looked_up_twice_at_a_time_however_long_it_takes(clock):
    slow = SlowNames({"hooks.example": ["127.0.0.1"]})
    names = CachingResolver(slow)
    tasks = lookups(names, ["hooks.example"])
    await slow.came.wait()
    await give_up(tasks)
    for _ in range(5):
        clock[0] += 11.0
        tasks += lookups(names, ["hooks.example"])
        await asyncio.sleep(0)
    slow.go.set()
    assert await asyncio.gather(*tasks[1:]) == [FOUND] * 5
    assert slow.asked == 1


async def test_names_that_resolved_before_do_not_wait_behind_names_that_never_did(servers, clock):
    names = CachingResolver(SystemResolver())
    await names.resolve("good.co.example", 443)
    clock[0] += 11.0
    servers.silent |= {f".silent{n}.example" for n in range(40)} | {".bad.co.example"}
    hosts = [f"{n}.silent{m}.example" for m in range(40) for n in range(4)]
    waiting = lookups(names, [*(f"{n}.bad.co.example" for n in range(8)), *hosts])
    await until(lambda: len(servers.asked) == 1 + resolver._THREADS)
    assert await names.resolve("good.co.example", 443) == FOUND
    assert servers.asked[-1] == "good.co.example"
    await give_up(waiting)


async def test_a_name_that_resolved_within_the_hour_keeps_its_address_while_nobody_answers(
    servers, clock, monkeypatch
):
    monkeypatch.setattr(resolver, "_PATIENCE_SECONDS", 0.05)
    names = CachingResolver(SystemResolver())
    hosts = [f"{n}.domain{m}.example" for m in range(12) for n in range(4)]
    for host in [*hosts, "good.example.com"]:
        await names.resolve(host, 443)
    clock[0] += 11.0
    servers.silent.add(".example")
    waiting = [task for _ in range(2) for task in lookups(names, hosts)]
    await until(lambda: len(servers.asked) == 49 + resolver._THREADS)  # all are taken
    async with asyncio.timeout(3):
        assert await names.resolve("good.example.com", 443) == FOUND
        assert await asyncio.gather(*waiting) == [FOUND] * 96
    assert len(names._lookups) == resolver._THREADS
    servers.release.set()
    await until(lambda: not names._lookups)
    clock[0] += HOUR
    with pytest.raises(OSError, match="Temporary failure"):
        await names.resolve(hosts[0], 443)


async def test_a_name_that_does_not_exist_any_more_loses_its_address(clock):
    names = Names({"hooks.example": ["127.0.0.1"]})
    caching = CachingResolver(names)
    await caching.resolve("hooks.example", 443)
    names.table["hooks.example"] = socket.gaierror(-2, "Name or service not known")
    clock[0] += 11.0
    with pytest.raises(socket.gaierror):
        await caching.resolve("hooks.example", 443)
    assert not caching._answers


async def test_a_late_failure_forgets_no_newer_answer(clock):
    """Lookups of a name never overlap, however they end and whoever gives up."""
    running, most, failing = 0, 0, itertools.cycle([True, False])

    class Late:
        async def resolve(self, host, port):  # noqa: ARG002
            nonlocal running, most
            running += 1
            most = max(most, running)
            fails = next(failing)
            await asyncio.sleep(0.01)
            running -= 1
            if fails:
                raise NEVER_IN_TIME
            return FOUND

    names = CachingResolver(Late())
    for _ in range(10):
        clock[0] += 11.0
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(0.004):
                await names.resolve("hooks.example", 443)
    await until(lambda: not names._lookups)
    assert most == 1


async def test_nothing_is_kept_of_a_domain_whose_lookups_ended():
    names = CachingResolver(Names({f"{n}.example": ["127.0.0.1"] for n in range(9)}))
    for number in range(9):
        await names.resolve(f"{number}.example", 443)
    await until(lambda: not names._domains)
    assert not names._lookups


EXIT = """
import asyncio, socket, time
from processor.egress.resolver import CachingResolver, SystemResolver

socket.getaddrinfo = lambda *_, **__: time.sleep(60)

async def main():
    try:
        async with asyncio.timeout(0.1):
            await CachingResolver(SystemResolver()).resolve("silent.example", 443)
    except TimeoutError:
        print("gave up")

asyncio.run(main())
"""


def test_a_process_ends_without_waiting_for_slow_names():
    ended = subprocess.run(
        [sys.executable, "-c", EXIT], capture_output=True, text=True, timeout=30, check=True
    )
    assert (ended.stdout, ended.stderr) == ("gave up\n", "")
