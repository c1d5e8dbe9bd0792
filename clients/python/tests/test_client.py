"""Both clients against a real server."""

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import ringback
from ringback import AsyncRingback, Ringback

from .conftest import KEY, Server

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(90)]


class Blocking:
    """Calls the asynchronous client as if it blocked, so that one test is for both."""

    def __init__(self, url: str, key: str) -> None:
        self._runner = asyncio.Runner()
        self._client = self._runner.run(self._made(url, key))

    async def _made(self, url: str, key: str) -> AsyncRingback:
        return AsyncRingback(url, key)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Call a method to its end."""

        def call(*args: Any, **more: Any) -> Any:
            found = getattr(self._client, name)(*args, **more)
            if inspect.isasyncgen(found):
                return self._each(found)
            return self._runner.run(found)

        return call

    def _each(self, found: Any) -> Any:
        try:
            while True:
                yield self._runner.run(anext(found))
        except StopAsyncIteration:
            return
        finally:
            self._runner.run(found.aclose())

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


@pytest.fixture(params=[Ringback, Blocking])
def client_of(request: pytest.FixtureRequest) -> Any:
    made: list[Any] = []

    def make(url: str, key: str = KEY) -> Any:
        made.append(request.param(url, key))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(client_of: Any, shared: Server) -> Any:
    return client_of(shared.url)


def soon(call: Callable[[], None], seconds: float = 0.5) -> threading.Timer:
    timer = threading.Timer(seconds, call)
    timer.start()
    return timer


def test_a_job_is_watched_and_waited_for(client: Any, shared: Server, job: str) -> None:
    watched = client.watch("encoder", job, metadata={"batch": 7}, deadline="1h")
    assert (watched.id, watched.state, watched.metadata) == (job, "queued", {"batch": 7})
    timer = soon(lambda: shared.push(job, "succeeded", result={"url": "x"}))
    done = client.wait("encoder", job, timeout=30)
    timer.join()
    assert (done.finished, done.succeeded, done.result) == (True, True, {"url": "x"})
    assert done.finished_at is not None
    assert client.get("encoder", job) == done
    assert [entry["state"] for entry in client.history("encoder", job)] == ["succeeded"]
    assert job in [found.id for found in client.jobs(source="encoder", state="succeeded")]


def test_a_failed_job_is_an_answer_and_no_error(client: Any, shared: Server, job: str) -> None:
    client.watch("encoder", job)
    shared.push(job, "failed", error={"code": "E1", "message": "no"})
    done = client.wait("encoder", job, timeout=30)
    assert (done.state, done.succeeded) == ("failed", False)
    assert done.error == {"code": "E1", "message": "no"}


def test_a_wait_whose_time_is_over_has_the_last_state(client: Any, job: str) -> None:
    client.watch("encoder", job)
    with pytest.raises(ringback.Timeout) as caught:
        client.wait("encoder", job, timeout=0.5)
    assert caught.value.job is not None
    assert caught.value.job.state == "queued"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda c: c.get("encoder", "nobody"), ringback.NotFound),
        (lambda c: c.watch("nowhere", "1"), ringback.NotFound),
        (lambda c: c.watch("encoder", "1", deadline="soon"), ringback.Invalid),
        (lambda c: c.subscribe("http://10.0.0.1/"), ringback.Invalid),
        (lambda c: next(c.events(types=["job.sucseeded"])), ringback.Invalid),
    ],
    ids=["job", "source", "value", "URL", "type"],
)
def test_errors_have_their_class(client: Any, call: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        call(client)
    assert isinstance(caught.value, ringback.RingbackError)
    assert caught.value.detail
    assert caught.value.status in {404, 422}


def test_a_wrong_key_is_unauthorized(client_of: Any, shared: Server) -> None:
    with pytest.raises(ringback.Unauthorized, match="; set RINGBACK_API_KEY, or give key="):
        client_of(shared.url, "wrong").get("encoder", "1")


def test_several_jobs_are_waited_for_in_one_call(client: Any, shared: Server, job: str) -> None:
    names = [f"{job}-{number}" for number in range(3)]
    for name in names:
        client.watch("encoder", name)
    wanted = [f"encoder/{name}" for name in names]
    shared.push(names[1], "failed")
    first = client.wait_many(wanted, mode="any", timeout=30)
    assert [found.state for found in first] == ["queued", "failed", "queued"]
    with pytest.raises(ringback.Timeout) as caught:
        client.wait_many(wanted, timeout=0.5)
    assert [found.id for found in caught.value.jobs] == names
    shared.push(names[0], "succeeded")
    shared.push(names[2], "succeeded")
    done = client.wait_many(wanted, timeout=30)
    assert [found.state for found in done] == ["succeeded", "failed", "succeeded"]


def test_a_group_is_created_and_waited_for(client: Any, shared: Server, job: str) -> None:
    jobs = [f"encoder/{job}-a", f"encoder/{job}-b"]
    made = client.group(jobs, id=f"group {job}", metadata={"batch": 7})
    assert client.group(jobs, id=f"group {job}", metadata={"batch": 7}) == made
    assert (made.state, made.counts["pending"]) == ("running", 2)
    with pytest.raises(ringback.Timeout) as caught:
        client.wait_group(made.id, timeout=0.5)
    assert caught.value.group is not None
    shared.push(f"{job}-a", "succeeded")
    shared.push(f"{job}-b", "failed")
    done = client.wait_group(made.id, timeout=30)
    assert (done.state, done.finished, done.succeeded) == ("partial", True, False)
    with pytest.raises(ringback.Conflict):
        client.group(jobs, id=f"group {job}")


def test_a_subscription_has_its_secret(client: Any) -> None:
    made = client.subscribe("https://one.example/hooks", events=["job.completed"])
    assert made.id.startswith("sub_")
    assert made.secret.startswith("whsec_")


def test_events_come_as_they_happen(client: Any, shared: Server, job: str) -> None:
    client.watch("encoder", job)
    timer = soon(lambda: shared.push(job, "succeeded"), 1.0)
    event = next(e for e in client.events(types=["job.completed"]) if e.data["id"] == job)
    timer.join()
    assert event.cursor
    assert event.id.startswith("evt_")
    shared.push(job + "-2", "succeeded")
    later = next(client.events(after=event.cursor, types=["job.succeeded"]))
    assert later.data["id"] == job + "-2"


def test_a_wait_outlives_a_restart_of_the_server(client_of: Any, server: Server, job: str) -> None:
    client = client_of(server.url)
    client.watch("encoder", job)

    def restart() -> None:
        server.stop()
        server.start()
        server.push(job, "succeeded")

    restarting = soon(restart)
    assert client.wait("encoder", job, timeout=60).succeeded
    restarting.join()


def test_without_a_server_calls_that_may_be_repeated_are(client_of: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("ringback.calls.TRY_FOR", 1.0)
    client = client_of("http://127.0.0.1:1")
    began = time.monotonic()
    with pytest.raises(ringback.Unavailable):
        client.get("encoder", "1")
    assert time.monotonic() - began >= 0.5
    with pytest.raises(ringback.Unavailable):
        client.subscribe("https://one.example/")


def test_both_clients_take_the_same_arguments() -> None:
    names = [name for name, _ in inspect.getmembers(Ringback, inspect.isfunction)]
    for name in filter(lambda name: not name.startswith("_"), names):
        ours = inspect.signature(getattr(Ringback, name))
        theirs = inspect.signature(getattr(AsyncRingback, name))
        assert ours.parameters == theirs.parameters, name
