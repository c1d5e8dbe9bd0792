"""The clients: `Ringback` blocks, `AsyncRingback` is awaited; both do the same."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx

from ringback import calls
from ringback.calls import Away, Flow, Patience, Pause, Request
from ringback.event_stream import MessageReader
from ringback.model import Event, Group, Job, Subscription
from ringback.settings import find_server

Value = TypeVar("Value")
Mode = Literal["all", "any"]

STREAM_TIMEOUT = httpx.Timeout(15.0, read=45.0)  # seconds; the server pings every 15
# Each wait holds a connection. With httpx's own limit of 100 other calls would wait for one of them, and
# fail as if the server were away.
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)
EVENTS = "/v1/events"
EVENT_STREAM = {"accept": "text/event-stream"}


def _options(url: str | None, key: str | None) -> dict[str, Any]:
    server = find_server(url, key)
    headers = {"authorization": f"Bearer {server.key}"} if server.key else {}
    # No proxy sees what goes to this machine; redirects, which could send the key elsewhere, are
    # not followed.
    return {
        "base_url": server.url,
        "headers": headers,
        "trust_env": not server.local,
        "limits": LIMITS,
    }


def _sent(request: Request) -> dict[str, Any]:
    content = {} if request.body is None else {"json": request.body}
    return {"params": request.params, "timeout": request.timeout, **content}


class Ringback:
    """Calls a server. Close it, or use it in a `with`.

    Without arguments: RINGBACK_URL (else loopback, port 8080) and RINGBACK_API_KEY (else, on this
    machine, the key that `ringback up` made). Errors are RingbackError. While the server is away,
    GET, PUT and waits are tried again for 30 s. A `timeout` holds also then: it ends in Timeout, whose
    `__cause__` says why the last try failed, at most 5 s late.
    """

    def __init__(self, url: str | None = None, key: str | None = None) -> None:
        self._http = httpx.Client(**_options(url, key))

    def __enter__(self) -> Self:
        """Close it at the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def watch(
        self,
        source: str,
        id: str,  # noqa: A002 -- its name in the API
        *,
        params: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        deadline: str | None = None,
        poll: bool | Mapping[str, str] | None = None,
        callback_url: str | None = None,
        callback_secret: str | None = None,
    ) -> Job:
        """Watch a job; repeating it is safe. Durations are texts such as `30s`, `5m`, `24h`."""
        fields = {"params": params, "metadata": metadata, "deadline": deadline, "poll": poll}
        callback = {"callback_url": callback_url, "callback_secret": callback_secret}
        return self._run(calls.watch(source, id, **fields, **callback))

    def wait(self, source: str, id: str, timeout: float | None = None) -> Job:  # noqa: A002
        """A job once it has finished, in whichever way; Timeout (with `.job`) after so many seconds."""
        return self._run(calls.wait(source, id, timeout))

    def wait_many(
        self, jobs: Sequence[str], mode: Mode = "all", timeout: float | None = None
    ) -> list[Job]:
        """Jobs (`source/id`) once all, or one of them, have finished; Timeout has `.jobs`."""
        return self._run(calls.wait_many(jobs, mode, timeout))

    def get(self, source: str, id: str) -> Job:  # noqa: A002
        """A job as it is."""
        return self._run(calls.get(source, id))

    def jobs(self, source: str | None = None, state: str | None = None) -> Iterator[Job]:
        """All jobs, those with the latest deadline first; pages are read as needed."""
        cursor: str | None = None
        while True:
            params = {"source": source, "state": state}
            page, cursor = self._run(calls.page_of_jobs(params, cursor))
            yield from page
            if cursor is None:
                return

    def history(self, source: str, id: str) -> list[Mapping[str, Any]]:  # noqa: A002
        """What happened to a job, oldest first."""
        return self._run(calls.history(source, id))

    def group(
        self,
        jobs: Sequence[str | Mapping[str, Any]] = (),
        *,
        id: str | None = None,  # noqa: A002
        policy: Literal["all", "fail_fast"] | None = None,
        open: bool | None = None,  # noqa: A002
        metadata: Mapping[str, Any] | None = None,
        deadline: str | None = None,
        callback_url: str | None = None,
        callback_secret: str | None = None,
    ) -> Group:
        """Create a group of jobs (`source/id`), which are watched; one callback tells of all."""
        fields = {"id": id, "policy": policy, "open": open, "metadata": metadata}
        callback = {"callback_url": callback_url, "callback_secret": callback_secret}
        return self._run(calls.group(jobs=list(jobs), deadline=deadline, **fields, **callback))

    def wait_group(self, id: str, timeout: float | None = None) -> Group:  # noqa: A002
        """A group once it has ended; Timeout (with `.group`) after so many seconds."""
        return self._run(calls.wait_group(id, timeout))

    def subscribe(
        self,
        url: str,
        *,
        events: Sequence[str] | None = None,
        sources: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        secret: str | None = None,
    ) -> Subscription:
        """Create a subscription; its `secret` verifies the callbacks, and is shown only now."""
        fields = {"events": events, "sources": sources, "metadata": metadata, "secret": secret}
        return self._run(calls.subscribe(url, **fields))

    def events(
        self, after: str | None = None, types: Iterable[str] | None = None
    ) -> Iterator[Event]:
        """Events from now on, or after a cursor, for ever; reconnects where it was.

        `types` are those of a subscription: `job.completed` is all four that end a job.
        EventsTrimmed if the log does not reach back so far; Unavailable after 30 s without the
        server, with what it said last.
        """
        reader, wanted = MessageReader(after), calls.selected(types)
        patience = Patience()
        while True:
            away: Away | None = None
            try:
                with self._http.stream(
                    "GET", EVENTS, **_streamed(wanted, reader.last_id)
                ) as answer:
                    if calls.is_stream(answer):
                        reader.begin()
                        for data in answer.iter_bytes():
                            patience.renew()
                            for message in reader.feed(data):
                                yield calls.event_of(message, reader.last_id)
                    else:
                        answer.read()
                        away = calls.away_by(answer)
            except httpx.RequestError as error:
                away = Away(calls.unanswered(f"GET {EVENTS}", error))
            time.sleep(patience.pause(away))

    def _run(self, flow: Flow[Value]) -> Value:
        """Do what a call asks for."""
        answer: Any = None
        error: Exception | None = None
        while True:
            try:
                step = flow.throw(error) if error else flow.send(answer)
            except StopIteration as done:
                value: Value = done.value
                return value
            answer, error = None, None
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                continue
            try:
                answer = self._http.request(step.method, step.path, **_sent(step))
            except httpx.RequestError as failure:
                error = failure


class AsyncRingback:
    """The same as `Ringback`, for asyncio. Close it, or use it in an `async with`."""

    def __init__(self, url: str | None = None, key: str | None = None) -> None:
        self._http = httpx.AsyncClient(**_options(url, key))

    async def __aenter__(self) -> Self:
        """Close it at the end."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def watch(
        self,
        source: str,
        id: str,  # noqa: A002
        *,
        params: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        deadline: str | None = None,
        poll: bool | Mapping[str, str] | None = None,
        callback_url: str | None = None,
        callback_secret: str | None = None,
    ) -> Job:
        """Watch a job; repeating it is safe. Durations are texts such as `30s`, `5m`, `24h`."""
        fields = {"params": params, "metadata": metadata, "deadline": deadline, "poll": poll}
        callback = {"callback_url": callback_url, "callback_secret": callback_secret}
        return await self._run(calls.watch(source, id, **fields, **callback))

    async def wait(self, source: str, id: str, timeout: float | None = None) -> Job:  # noqa: A002, ASYNC109
        """A job once it has finished, in whichever way; Timeout (with `.job`) after so many seconds."""
        return await self._run(calls.wait(source, id, timeout))

    async def wait_many(
        self,
        jobs: Sequence[str],
        mode: Mode = "all",
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> list[Job]:
        """Jobs (`source/id`) once all, or one of them, have finished; Timeout has `.jobs`."""
        return await self._run(calls.wait_many(jobs, mode, timeout))

    async def get(self, source: str, id: str) -> Job:  # noqa: A002
        """A job as it is."""
        return await self._run(calls.get(source, id))

    async def jobs(self, source: str | None = None, state: str | None = None) -> AsyncIterator[Job]:
        """All jobs, those with the latest deadline first; pages are read as needed."""
        cursor: str | None = None
        while True:
            params = {"source": source, "state": state}
            page, cursor = await self._run(calls.page_of_jobs(params, cursor))
            for job in page:
                yield job
            if cursor is None:
                return

    async def history(self, source: str, id: str) -> list[Mapping[str, Any]]:  # noqa: A002
        """What happened to a job, oldest first."""
        return await self._run(calls.history(source, id))

    async def group(
        self,
        jobs: Sequence[str | Mapping[str, Any]] = (),
        *,
        id: str | None = None,  # noqa: A002
        policy: Literal["all", "fail_fast"] | None = None,
        open: bool | None = None,  # noqa: A002
        metadata: Mapping[str, Any] | None = None,
        deadline: str | None = None,
        callback_url: str | None = None,
        callback_secret: str | None = None,
    ) -> Group:
        """Create a group of jobs (`source/id`), which are watched; one callback tells of all."""
        fields = {"id": id, "policy": policy, "open": open, "metadata": metadata}
        callback = {"callback_url": callback_url, "callback_secret": callback_secret}
        flow = calls.group(jobs=list(jobs), deadline=deadline, **fields, **callback)
        return await self._run(flow)

    async def wait_group(self, id: str, timeout: float | None = None) -> Group:  # noqa: A002, ASYNC109
        """A group once it has ended; Timeout (with `.group`) after so many seconds."""
        return await self._run(calls.wait_group(id, timeout))

    async def subscribe(
        self,
        url: str,
        *,
        events: Sequence[str] | None = None,
        sources: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        secret: str | None = None,
    ) -> Subscription:
        """Create a subscription; its `secret` verifies the callbacks, and is shown only now."""
        fields = {"events": events, "sources": sources, "metadata": metadata, "secret": secret}
        return await self._run(calls.subscribe(url, **fields))

    async def events(
        self, after: str | None = None, types: Iterable[str] | None = None
    ) -> AsyncIterator[Event]:
        """Events from now on, or after a cursor, for ever; reconnects where it was.

        `types` are those of a subscription: `job.completed` is all four that end a job.
        EventsTrimmed if the log does not reach back so far; Unavailable after 30 s without the
        server, with what it said last.
        """
        reader, wanted = MessageReader(after), calls.selected(types)
        patience = Patience()
        while True:
            away: Away | None = None
            try:
                async with self._http.stream(
                    "GET", EVENTS, **_streamed(wanted, reader.last_id)
                ) as answer:
                    if calls.is_stream(answer):
                        reader.begin()
                        async for data in answer.aiter_bytes():
                            patience.renew()
                            for message in reader.feed(data):
                                yield calls.event_of(message, reader.last_id)
                    else:
                        await answer.aread()
                        away = calls.away_by(answer)
            except httpx.RequestError as error:
                away = Away(calls.unanswered(f"GET {EVENTS}", error))
            await asyncio.sleep(patience.pause(away))

    async def _run(self, flow: Flow[Value]) -> Value:
        """Do what a call asks for."""
        answer: Any = None
        error: Exception | None = None
        while True:
            try:
                step = flow.throw(error) if error else flow.send(answer)
            except StopIteration as done:
                value: Value = done.value
                return value
            answer, error = None, None
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                continue
            try:
                answer = await self._http.request(step.method, step.path, **_sent(step))
            except httpx.RequestError as failure:
                error = failure


def _streamed(types: Sequence[str], after: str | None) -> dict[str, Any]:
    params = calls.given(type=types, after=after)
    return {"params": params, "headers": EVENT_STREAM, "timeout": STREAM_TIMEOUT}
