"""/v1/events: pages from the oldest, and a stream from now on."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from processor.cli.sse import Message, Reader
from processor.service.events import selection, tail
from processor.service.events.listener import MAX_UNREAD
from processor.service.events.tail import Tailer
from processor.store import events as log_events
from processor.store.events import Events, LoggedEvent
from processor.web import stream as streams

from .calling import Served, Web, refused

STREAM = {"accept": "text/event-stream"}
BAD_CURSORS = ["x", "!", "%00", "ü", base64.urlsafe_b64encode(b"1-1,1-1").decode()]
BAD_CURSORS += [
    base64.urlsafe_b64encode(place).decode()
    for place in (b"9" * 30 + b"-0", b"1-" + b"9" * 30, b"-1-0", b"%d-%d" % (2**64 - 1, 2**64 - 1))
]


class Stream:
    """Reads a stream, frame by frame; `start` is the cursor that it begins behind."""

    start = ""

    def __init__(self, answer: httpx.Response) -> None:
        """Begin behind the head."""
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def frame(self) -> list[str]:
        """The lines up to a blank one."""
        found: list[str] = []
        async with asyncio.timeout(5):
            async for line in self._lines:
                if not line:
                    return found
                found.append(line)
        raise EOFError

    async def message(self) -> Message:
        """The next frame, as the command line reads it."""
        lines = [line.encode() for line in await self.frame()]
        (found,) = Reader([*lines, b""])
        return found


@asynccontextmanager
async def stream(served: Served, path: str = "/v1/events", **headers: str) -> AsyncIterator[Stream]:
    async with served.client.stream("GET", path, headers=STREAM | headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        found = Stream(answer)
        retry, start = await found.frame()
        assert retry == "retry: 3000"
        found.start = start.removeprefix("id: ")
        yield found


async def a_week_passes(web: Web) -> None:
    """As far as the log knows, and the clock that trims it."""
    await web.context.store.events.trim(await web.context.store.now() + 8 * 86_400)


async def test_pages_list_all_events_in_order(web: Web) -> None:
    for number in range(4):
        await web.push(f"j{number}", "running")
        await web.push(f"j{number}", "succeeded")
    found = await web.items("/v1/events")
    assert [(e["type"], e["data"]["id"], e["data"]["sequence"]) for e in found] == [
        expected
        for n in range(4)
        for expected in (("job.started", f"j{n}", 1), ("job.succeeded", f"j{n}", 2))
    ]
    assert list(found[0]) == ["id", "type", "timestamp", "data"]
    assert len({event["id"] for event in found}) == 8
    for limit in (1, 3, 8, 9):
        assert await web.items("/v1/events", limit=limit) == found


@pytest.mark.parametrize("cursor", BAD_CURSORS)
async def test_a_bad_cursor_is_400(web: Web, cursor: str) -> None:
    query = {"after": cursor}
    assert "cursor" in refused(await web("GET", "/v1/events", params=query), 400)
    refused(await web("GET", "/v1/events", params=query, headers=STREAM), 400)
    refused(await web("GET", "/v1/events", headers=STREAM | {"last-event-id": "x"}), 400)


async def test_a_stream_sends_the_same_items_as_a_page(web: Web, served: Served) -> None:
    async with stream(served) as live:
        await web.push("1", "running")
        first = await live.message()
        await web.push("1", "failed", error={"code": "E1", "message": "line 1\nline 2"})
        last = await live.message()
    found = (await web("GET", "/v1/events")).json()["items"]
    for message, event in zip((first, last), found, strict=True):
        assert message.event == event["type"]
        assert httpx.Response(200, text=message.data).json() == event
    assert await web.items("/v1/events", after=first.id) == found[1:]


async def test_a_stream_is_from_now_on(web: Web, served: Served) -> None:
    await web.push("old", "succeeded")
    async with stream(served) as live:  # from here on no event is missed
        await web.push("new", "succeeded")
        assert '"new"' in (await live.message()).data


@pytest.mark.parametrize("how", ["after", "last-event-id", "both"])
async def test_a_stream_resumes_behind_a_cursor(web: Web, served: Served, how: str) -> None:
    for number in range(3):
        await web.push(f"j{number}", "succeeded")
    pages = [(await web("GET", "/v1/events?limit=1")).json()]
    pages.append(
        (await web("GET", "/v1/events", params={"limit": 1, "after": pages[0]["next"]})).json()
    )
    first, second = (page["next"] for page in pages)
    path = "/v1/events" if how == "last-event-id" else f"/v1/events?after={first}"
    headers = {} if how == "after" else {"last-event-id": second if how == "both" else first}
    async with stream(served, path, **headers) as resumed:
        await web.push("live", "succeeded")
        wanted = ["j2", "live"] if how == "both" else ["j1", "j2", "live"]
        for job in wanted:
            assert f'"id":"{job}"' in (await resumed.message()).data


async def test_a_trimmed_cursor_is_410_and_in_a_stream_a_gap(web: Web, served: Served) -> None:
    await web.push("1", "running")
    cursor = (await web("GET", "/v1/events?limit=1")).json()["next"]
    await web.push("2", "succeeded")
    await web.push("3", "succeeded")
    await a_week_passes(web)
    await web.push("4", "succeeded")
    refused(await web("GET", "/v1/events", params={"after": cursor}), 410)
    async with stream(served, f"/v1/events?after={cursor}") as resumed:
        gap = await resumed.message()
        assert (gap.event, gap.id) == ("gap", None)
        assert "trimmed" in gap.data
        assert '"4"' in (await resumed.message()).data
    assert [e["data"]["id"] for e in await web.items("/v1/events")] == ["4"]


@pytest.mark.parametrize("how", ["page", "stream"])
async def test_what_is_trimmed_while_a_caller_reads_is_not_skipped_in_silence(
    web: Web, served: Served, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for job in ("1", "2", "3"):
        await web.push(job, "succeeded")
    cursor = (await web("GET", "/v1/events?limit=1")).json()["next"]
    read, reads = Events.page, list[int]()

    async def slowly(*args: Any) -> list[LoggedEvent]:
        reads.append(1)
        if len(reads) == (1 if how == "page" else 2):
            await a_week_passes(web)
            await web.push("4", "succeeded")
        return await read(*args)

    monkeypatch.setattr(Events, "page", slowly)
    monkeypatch.setattr(streams, "MAX_EVENTS_READ", 1)
    if how == "page":
        refused(await web("GET", "/v1/events", params={"after": cursor}), 410)
        return
    async with stream(served, f"/v1/events?after={cursor}") as resumed:
        assert '"2"' in (await resumed.message()).data
        assert (await resumed.message()).event == "gap"
        assert '"4"' in (await resumed.message()).data


async def test_silence_is_filled_with_pings(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PING_INTERVAL", 0.05)
    async with stream(served) as quiet:
        assert await quiet.frame() == [": ping"]
        assert await quiet.frame() == [": ping"]


async def test_a_read_without_events_wakes_no_listener(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise every read would be a ping."""
    monkeypatch.setattr(tail, "BLOCK", 0.01)
    tailer = Tailer(web.context.store)
    async with tailer.listening() as listener:
        events = web.context.store.events
        await tailer._read_once(await events.end(), events.start())
        await web.push("1", "running")
        assert await listener.read(5)
    await tailer.close()


async def test_a_client_without_events_can_resume(web: Web, served: Served) -> None:
    async with stream(served) as cut:
        pass
    await web.push("meanwhile", "succeeded")
    async with stream(served, **{"last-event-id": cut.start}) as resumed:
        assert resumed.start == cut.start
        assert '"meanwhile"' in (await resumed.message()).data


async def test_who_is_not_woken_yet_when_the_log_is_replaced_starts_over(web: Web) -> None:
    tailer = Tailer(web.context.store)
    event = LoggedEvent("1", "evt_uid_1_final", "job.succeeded", b"{}", 0, "1-1")
    with ExitStack() as stack:
        waiters = [stack.enter_context(tailer.waiter(["uid"])) for _ in range(3 * tail.YIELD_EVERY)]
        waking = asyncio.create_task(tailer._dispatch([event]))
        await asyncio.sleep(0)
        assert {waiter.done.done() for waiter in waiters} == {True, False}
        waking.cancel()
        tailer.restart()
        assert all(waiter.done.done() for waiter in waiters)
    assert not tailer._waiters


def event_batch(number: int) -> list[LoggedEvent]:
    """One event, as the tailer dispatches it."""
    return [LoggedEvent(str(number), "evt", "job.started", b"{}", 0, f"{number}-1")]


async def test_a_listener_that_falls_behind_is_disconnected(web: Web) -> None:
    """It has its cursor; what it missed is in the log, and no longer here."""
    tailer = Tailer(web.context.store)
    async with tailer.listening() as listener:
        for number in range(MAX_UNREAD):
            listener.receive(event_batch(number))
        assert await listener.read(5) == event_batch(0)
        listener.receive(event_batch(MAX_UNREAD))
        assert await listener.read(5) == event_batch(1)
        for number in range(3):
            listener.receive(event_batch(number))
        assert await listener.read(5) is None
    await tailer.close()


async def test_dispatching_to_many_listeners_yields_to_other_tasks(web: Web) -> None:
    tailer = Tailer(web.context.store)
    async with AsyncExitStack() as stack:
        crowd = [
            await stack.enter_async_context(tailer.listening()) for _ in range(3 * tail.YIELD_EVERY)
        ]
        dispatching = asyncio.create_task(tailer._dispatch(event_batch(1)))
        turns = 0
        while not dispatching.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 3
        assert [await one.read(5) for one in crowd] == [event_batch(1)] * len(crowd)
    await tailer.close()


async def test_a_listener_beyond_the_limit_is_503(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "MAX_LISTENERS", 1)
    async with stream(served):
        refused(await served.client.get("/v1/events", headers=STREAM), 503)
        assert (await served.client.get("/v1/events")).status_code == 200


async def test_without_redis_a_stream_is_a_503_at_once(web_of: Any) -> None:
    web = await web_of(away=True)
    refused(await web("GET", "/v1/events", headers=STREAM), 503)
    refused(await web("GET", "/v1/events"), 503)


SELECTED = [
    ({"source": "feed"}, ["1", "2"]),
    ({"source": "asked"}, []),
    ({"type": "job.succeeded"}, ["2"]),
    ({"type": ["job.started", "job.completed"]}, ["1", "2"]),
    ({"job": "feed/2"}, ["2"]),
    ({"job": "feed/2", "type": "job.started"}, []),
]


@pytest.mark.parametrize(("query", "jobs"), SELECTED)
async def test_events_are_selected_by_source_type_and_job(
    web: Web, served: Served, query: dict[str, Any], jobs: list[str]
) -> None:
    path = str(httpx.URL("/v1/events", params=query))
    async with stream(served, path) as found:
        await web.push("1", "running")
        await web.push("2", "succeeded")
        for how in ({}, {"newest": "true"}):
            answer = await web("GET", "/v1/events", params=query | how)
            assert [e["data"]["id"] for e in answer.json()["items"]] == jobs
        items = [json.loads((await found.message()).data) for _ in jobs]
    assert [item["data"]["id"] for item in items] == jobs


async def test_the_newest_events_come_with_the_oldest_of_them_first(web: Web) -> None:
    for number in range(4):
        await web.push(str(number), "running")
    found = await web("GET", "/v1/events", params={"newest": "true", "limit": 3})
    assert [e["data"]["id"] for e in found.json()["items"]] == ["1", "2", "3"]
    assert found.json()["next"] is None
    assert len(await web.items("/v1/events", newest="true")) == 4


@pytest.mark.parametrize("query", [{}, {"source": "feed"}])
async def test_a_page_is_full_even_if_large_events_are_read_one_by_one(
    web: Web, monkeypatch: Any, query: dict[str, Any]
) -> None:
    monkeypatch.setattr(log_events, "PIECE", 1)
    for number in range(5):
        await web.push(str(number), "running")
    for how in ({}, {"newest": "true"}, {}):
        answer = await web("GET", "/v1/events", params=query | how)
        assert [e["data"]["id"] for e in answer.json()["items"]] == ["0", "1", "2", "3", "4"]
    answer = await web("GET", "/v1/events", params=query | {"newest": "true", "limit": 2})
    assert [e["data"]["id"] for e in answer.json()["items"]] == ["3", "4"]


async def test_a_selection_reads_past_other_events(web: Web, monkeypatch: Any) -> None:
    monkeypatch.setattr(selection, "PIECE", 2)
    for number in range(7):
        await web.push(str(number), "succeeded" if number in (0, 5) else "running")
    query = {"type": "job.completed", "limit": 1}
    assert [e["data"]["id"] for e in await web.items("/v1/events", **query)] == ["0", "5"]
    for limit, jobs in ((1, ["5"]), (2, ["0", "5"])):
        answer = await web("GET", "/v1/events", params=query | {"newest": "true", "limit": limit})
        assert [e["data"]["id"] for e in answer.json()["items"]] == jobs
    monkeypatch.setattr(selection, "MAX_SCANNED", 2)  # a page may be short, and go on
    assert [e["data"]["id"] for e in await web.items("/v1/events", **query)] == ["0", "5"]


async def test_a_stream_of_selected_events_resumes_behind_the_others(
    web: Web, served: Served, monkeypatch: Any
) -> None:
    monkeypatch.setattr(streams, "PING_INTERVAL", 0.0)
    async with stream(served, "/v1/events?source=asked") as found:
        await web.push("1", "running")
        frame = await found.frame()
        while frame[0] in (": ping", f"id: {found.start}"):
            frame = await found.frame()
    (event,) = await web.items("/v1/events")
    after = await web("GET", "/v1/events", params={"after": frame[0].removeprefix("id: ")})
    assert (event["data"]["id"], after.json()["items"]) == ("1", [])


BAD_SELECTIONS = ["type=job.lost", "newest=yes", "job=", "job=1", "job=/1", "job=feed/", "limit=0"]


@pytest.mark.parametrize("headers", [{}, STREAM], ids=["page", "stream"])
@pytest.mark.parametrize("query", BAD_SELECTIONS)
async def test_a_bad_selection_is_refused(web: Web, query: str, headers: dict[str, str]) -> None:
    answer = await web("GET", f"/v1/events?{query}", headers=headers)
    assert query.partition("=")[0] in refused(answer, 422)


async def test_the_newest_events_are_not_those_after_a_cursor(web: Web) -> None:
    assert "newest" in refused(await web("GET", "/v1/events?newest=true&after=x"), 422)


async def test_a_media_type_has_no_case(served: Served) -> None:
    async with stream(served, accept="Text/Event-Stream"):
        pass
