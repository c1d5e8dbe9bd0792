"""SIGTERM ends every process in order; a wrong configuration ends it at once."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from .conftest import EGRESS, standard
from .feed import Caller, Push, push
from .processes import BEARER, Child, free_port
from .sink import Call, Sink
from .system import CLOCK, WEB, WORKER, System
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(60)]

SLOW = 2.0  # seconds that the subscriber takes to answer
WEB_DRAINS = 10.0  # seconds until `ringback up` would kill the web process


async def test_no_accepted_push_is_lost_and_every_process_exits_with_0(
    plan: Callable[..., System],
) -> None:
    async def slowly(_: Call) -> web.Response:
        await asyncio.sleep(SLOW)
        return web.Response()

    system = plan(standard("feed")).start_all()
    accepted: set[str] = set()
    async with Caller(system.url) as caller, Sink(slowly) as sink:
        await caller.subscribe(sink, "feed")
        senders = [asyncio.create_task(_send_until_refused(caller, n, accepted)) for n in range(8)]
        half = await _half_a_push(system.port)
        await until(lambda: len(accepted) > 200, 10, "load")
        system.children["web"].terminate()
        await asyncio.gather(*senders)
        assert await half() == b"HTTP/1.1 202 Accepted"
        accepted.add("half")
        assert await asyncio.to_thread(system.children["web"].wait) == 0
        assert sink.calls
        for name in ("worker", "clock"):
            system.children[name].terminate()
        for name in ("worker", "clock"):
            assert await asyncio.to_thread(system.children[name].wait) == 0, name
        begun = {call.job for call in sink.calls}
        system.start_all()
        await until(lambda: sink.jobs >= accepted, 20, "a callback for every accepted push")
    tries = [call.job for call in sink.calls]
    assert {job for job in begun if tries.count(job) > 1} == set()  # they were let finish
    assert "Traceback" not in system.logs()


async def test_the_signal_that_has_up_reload_ends_no_other_process(
    plan: Callable[..., System],
) -> None:
    system = plan("").start_all()
    for child in system.children.values():
        await until(partial(_ignores_reload, child.pid), 20, "a process that has started")
        os.kill(child.pid, signal.SIGUSR1)
        child.terminate()
    assert [child.wait() for child in system.children.values()] == [0, 0, 0]


def _ignores_reload(pid: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    ignored = int(next(line for line in lines if line.startswith("SigIgn:")).split()[1], 16)
    return bool(ignored >> (signal.SIGUSR1 - 1) & 1)


async def _send_until_refused(caller: Caller, sender: int, accepted: set[str]) -> None:
    number = 0
    while True:
        job = f"{sender}-{number}"
        try:
            if await caller.push(push("feed", job, "succeeded")) == 202:
                accepted.add(job)
        except aiohttp.ClientConnectorError:
            return  # nobody listens any more
        except aiohttp.ClientError:
            pass  # an idle connection was closed: nothing was promised
        number += 1


async def _half_a_push(port: int, sent: int = 10) -> Callable[[], asyncio.Future[bytes]]:
    """Send so many bytes of a push's body; gives what sends the rest and reads the status line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    one = push("feed", "half", "succeeded")
    body = one.body.encode()
    writer.write(_head(one) + body[:sent])
    await writer.drain()

    async def rest() -> bytes:
        writer.write(body[sent:])
        line = (await reader.readline()).strip()
        writer.close()
        return line

    return lambda: asyncio.ensure_future(rest())


def _head(one: Push) -> bytes:
    fields = one.headers | {"Host": "x", "Content-Length": str(len(one.body.encode()))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST /hooks/feed HTTP/1.1\r\n{lines}\r\n".encode()


async def test_a_push_that_is_on_its_way_when_web_ends_is_answered(
    plan: Callable[..., System],
) -> None:
    system = plan(standard("feed")).start_all()
    new, used = [await asyncio.open_connection("127.0.0.1", system.port) for _ in range(2)]
    assert await _answer(*used, "first") == [b"HTTP/1.1 202 Accepted"]
    web = system.children["web"]
    web.terminate()
    await until(lambda: not _listens(system.port), 10, "the end of the listener")
    for job, line in (("new", new), ("used", used)):
        answer = await _answer(*line, job)
        assert answer == [b"HTTP/1.1 202 Accepted", b"connection: close"]
        line[1].close()
    assert await asyncio.to_thread(web.wait) == 0


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, job: str
) -> list[bytes]:
    """Push on an open connection: the status line, and whether it is the last answer."""
    one = push("feed", job, "running")
    writer.write(_head(one) + one.body.encode())
    lines = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).split(b"\r\n")
    length = next(int(line[16:]) for line in lines if line.startswith(b"content-length: "))
    await reader.readexactly(length)
    return [lines[0], *(line for line in lines if line.startswith(b"connection: "))]


async def test_web_answers_who_waits_and_lets_streams_go(plan: Callable[..., System]) -> None:
    system = plan(standard("feed")).start_all()
    stream = {"Accept": "text/event-stream"}
    async with (
        Caller(system.url) as caller,
        aiohttp.ClientSession(headers=BEARER) as session,
        session.get(f"{system.url}/v1/events", headers=stream) as events,
    ):
        assert (await caller.call("PUT", "/v1/jobs/feed/job", {}))[0] == 201
        waiter = asyncio.create_task(caller.call("GET", "/v1/jobs/feed/job?wait=60"))
        await events.content.readuntil(b"\n\n")
        await caller.get("/v1/jobs/feed/job?wait=0.2")  # so the waiter has been read
        began = time.monotonic()
        system.children["web"].terminate()
        code = await asyncio.to_thread(system.children["web"].wait)
        took = time.monotonic() - began
        status, job = await waiter
        assert code == 0
        assert took < WEB_DRAINS
        assert (status, job["state"]) == (200, "queued")
        assert await events.content.read() == b""  # it ended in order


async def test_who_waits_for_redis_at_its_start_ends_in_order_too(
    plan: Callable[..., System],
) -> None:
    system = plan(standard("feed"))
    system.redis.kill()
    for name, words in (("web", WEB), ("worker", WORKER), ("clock", CLOCK)):
        system.start(name, *words)
    children = system.children.values()
    await until(lambda: all("redis_unavailable" in c.log() for c in children), 20, "patience")
    for child in children:
        child.terminate()
    codes = {child.name: await asyncio.to_thread(child.wait, 10) for child in children}
    assert codes == dict.fromkeys(codes, 0)


async def test_a_receiver_logs_an_outage_of_redis_at_its_start_once(
    plan: Callable[..., System],
) -> None:
    system = plan(standard("feed"))
    system.redis.kill()
    receiver = system.start("web", *WEB)
    await until(lambda: "redis_unavailable" in receiver.log(), 20, "a receiver without Redis")
    system.redis.start()
    await until(lambda: "redis_recovered" in receiver.log(), 20, "a receiver with Redis")
    assert receiver.log().count("redis_unavailable") == 1


async def test_a_push_whose_body_does_not_end_is_refused_when_web_ends(
    plan: Callable[..., System],
) -> None:
    system = plan(standard("feed")).start_all()
    half, none = await _half_a_push(system.port), await _half_a_push(system.port, 0)
    receiver = system.children["web"]
    receiver.terminate()
    assert await asyncio.to_thread(receiver.wait) == 0
    assert [await half(), await none()] == [b"HTTP/1.1 503 Service Unavailable"] * 2
    assert '"level": "error"' not in receiver.log()


@pytest.mark.parametrize("words", [WEB, WORKER, CLOCK], ids=["web", "worker", "clock"])
def test_a_wrong_configuration_is_one_line_and_exit_2(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text(EGRESS + '[sources.wrong]\nprovider = "nobody"\n')
    child = Child(words, tmp_path / "log", {"RINGBACK_CONFIG": str(file), "PORT": str(free_port())})
    try:
        assert child.wait(20) == 2
    finally:
        child.end()
    (line,) = child.log().splitlines()
    assert str(file) in line
    assert "sources.wrong.provider" in line
