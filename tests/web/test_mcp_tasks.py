"""/mcp: waits as tasks (io.modelcontextprotocol/tasks), and what clients listen to."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from processor.service.groups.wait_task import KEPT_ENDED
from processor.web.mcp import tasks
from processor.web.mcp.tools import TOOLS

from .agent import TASKS, Agent
from .calling import KEY, Served, Web

OTHER = "another-key-that-was-made-up"


@pytest.fixture
async def web(web_of: Any) -> Web:
    made: Web = await web_of(RINGBACK_API_KEYS=f"{KEY},{OTHER}")
    return made


@pytest.fixture
def agent(web: Web) -> Agent:
    return Agent(web, **TASKS)


async def wait_for(agent: Agent, *jobs: str, **more: Any) -> Any:
    """A task for jobs of `feed`, which are watched first."""
    for job in jobs:
        await agent.tool("watch_job", source="feed", id=job)
    if len(jobs) == 1:
        return await agent.tool("wait_for_job", source="feed", id=jobs[0], **more)
    return await agent.tool("wait_for_jobs", jobs=[f"feed/{job}" for job in jobs], **more)


async def test_a_wait_answers_with_a_task_at_once(agent: Agent) -> None:
    task = await wait_for(agent, "1")
    assert (task["resultType"], task["status"], task["ttlMs"]) == ("task", "working", None)
    assert "result" not in task
    assert "feed/1 is queued" in task["statusMessage"]
    assert "feed-1" in task["taskId"]
    assert len(task["taskId"]) >= 32
    found = await agent.ask("tasks/get", taskId=task["taskId"])
    assert (found["resultType"], found["status"]) == ("complete", "working")


@pytest.mark.parametrize(("state", "failed"), [("succeeded", False), ("failed", True)])
async def test_a_task_ends_with_what_the_plain_tool_would_say(
    agent: Agent,
    state: str,
    failed: bool,  # noqa: FBT001 -- pytest's
) -> None:
    task = await wait_for(agent, "1")
    await agent.web.push("1", state, result={"n": 1})
    found = await agent.ask("tasks/get", taskId=task["taskId"])
    plain = await Agent(agent.web).tool("wait_for_job", source="feed", id="1")
    assert found["status"] == "completed"
    assert found["result"]["isError"] is failed
    for field in ("content", "structuredContent", "isError"):
        assert found["result"][field] == plain[field]


async def test_a_task_of_a_job_that_has_ended_is_final_from_the_start(agent: Agent) -> None:
    await agent.web.push("1", "succeeded")
    task = await agent.tool("wait_for_job", source="feed", id="1")
    assert (task["resultType"], task["status"]) == ("task", "completed")
    assert (await agent.ask("tasks/get", taskId=task["taskId"]))["result"]["structuredContent"][
        "done"
    ]


async def test_tasks_for_several_jobs(agent: Agent) -> None:
    every, first = await wait_for(agent, "1", "2"), await wait_for(agent, "1", "2", mode="any")
    await agent.web.push("1", "succeeded")
    states = [
        (await agent.ask("tasks/get", taskId=task["taskId"]))["status"] for task in (every, first)
    ]
    assert states == ["working", "completed"]
    await agent.web.push("2", "succeeded")
    assert (await agent.ask("tasks/get", taskId=every["taskId"]))["status"] == "completed"


async def test_a_final_task_never_changes(agent: Agent) -> None:
    task = await wait_for(agent, "1")
    await agent.web.push("1", "failed")
    before = await agent.ask("tasks/get", taskId=task["taskId"])
    await agent.web.push("1", "succeeded", attempt=2)
    await agent.ask("tasks/cancel", taskId=task["taskId"])
    await agent.web("DELETE", "/v1/jobs/feed/1")
    assert await agent.ask("tasks/get", taskId=task["taskId"]) == before


async def test_those_who_end_a_task_at_the_same_time_agree(agent: Agent) -> None:
    task = await wait_for(agent, "1")
    await agent.web.push("1", "succeeded")
    ids = {"taskId": task["taskId"]}
    found = await asyncio.gather(
        *(agent.ask("tasks/get", **ids) for _ in range(8)), agent.ask("tasks/cancel", **ids)
    )
    assert len({json.dumps(one) for one in found[:8]}) == 1


async def test_cancel_ends_the_wait_and_not_the_job(agent: Agent) -> None:
    task = await wait_for(agent, "1")
    assert (await agent.ask("tasks/cancel", taskId=task["taskId"]))["resultType"] == "complete"
    await agent.web.push("1", "running")
    found = await agent.ask("tasks/get", taskId=task["taskId"])
    assert (found["status"], "result" in found) == ("cancelled", False)
    assert (await agent.web("GET", "/v1/jobs/feed/1")).json()["state"] == "running"


async def test_a_task_whose_job_was_deleted_is_an_error(agent: Agent) -> None:
    task = await wait_for(agent, "1")
    await agent.web("DELETE", "/v1/jobs/feed/1")
    found = await agent.ask("tasks/get", taskId=task["taskId"])
    assert (found["status"], found["result"]["isError"]) == ("completed", True)
    assert found["result"]["content"][0]["text"] == "Not watched any more: feed/1."


async def test_a_task_shows_the_jobs_that_are_left_when_one_was_deleted(agent: Agent) -> None:
    task = await wait_for(agent, "1", "2", "3")
    await agent.web.push("1", "succeeded")
    await agent.web("DELETE", "/v1/jobs/feed/2")
    result = (await agent.ask("tasks/get", taskId=task["taskId"]))["result"]
    shown = result["structuredContent"]
    assert (result["isError"], shown["done"]) == (True, False)
    assert [job["state"] for job in shown["jobs"]] == ["succeeded", "queued"]
    assert "feed/1 is succeeded; feed/3 is queued. Not watched any more: feed/2." in said(result)


async def test_a_wait_for_any_outlives_a_job_that_is_deleted(agent: Agent) -> None:
    task = await wait_for(agent, "1", "2", "3", mode="any")
    ids = {"taskId": task["taskId"]}
    await agent.web("DELETE", "/v1/jobs/feed/1")
    assert (await agent.ask("tasks/get", **ids))["status"] == "working"
    await agent.web.push("2", "succeeded")
    await agent.web("DELETE", "/v1/jobs/feed/3")
    result = (await agent.ask("tasks/get", **ids))["result"]
    assert (result["isError"], result["structuredContent"]["done"]) == (False, True)
    assert said(result) == "feed/2 succeeded. Not watched any more: feed/1, feed/3."


def said(result: Any) -> str:
    text: str = result["content"][0]["text"]
    return text


async def test_an_answer_that_is_too_large_is_kept_without_results(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processor.service.groups.wait_task.MAX_ANSWER", 100)
    task = await wait_for(agent, "1", "2")
    await agent.web.push("1", "failed")
    await agent.web.push("2", "succeeded")
    result = (await agent.ask("tasks/get", taskId=task["taskId"]))["result"]
    assert result["isError"]
    assert "left out" in result["content"][0]["text"]
    states = [job["state"] for job in result["structuredContent"]["jobs"]]
    assert states == ["failed", "succeeded"]


async def test_an_answer_that_is_too_large_says_where_the_result_is(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processor.service.groups.wait_task.MAX_ANSWER", 100)
    task = await wait_for(agent, "1")
    await agent.web.push("1", "succeeded", result={"n": 1})
    result = (await agent.ask("tasks/get", taskId=task["taskId"]))["result"]
    assert "feed/1 succeeded. Results are left out: get_job" in result["content"][0]["text"]


async def test_an_answer_is_kept_only_if_accepted_work_leaves_room(agent: Agent) -> None:
    store = agent.web.context.store
    redis, task = store.connection.redis, await wait_for(agent, "1")
    await agent.web.push("1", "succeeded", result={"n": 1})
    used, found = (await redis.info("memory"))["used_memory"], []
    try:
        for fullness, fields in ((0.95, {b"wait"}), (0.5, {b"wait", b"end"})):
            await redis.config_set("maxmemory", int(used / fullness))
            await store.memory.refresh_now()
            found.append(await agent.ask("tasks/get", taskId=task["taskId"]))
            (row,) = await stored(agent.web)
            assert set(row) == fields
    finally:
        await redis.config_set("maxmemory", 0)
    assert [one["status"] for one in found] == ["completed", "completed"]
    assert found[0]["result"] == found[1]["result"]


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_another_keys_task_is_as_unknown_as_any(agent: Agent, method: str) -> None:
    task = await wait_for(agent, "1")
    unknown = await agent.send(method, taskId="wait-feed-1-none")
    other = await agent.send(method, {"authorization": f"Bearer {OTHER}"}, taskId=task["taskId"])
    for answer in (unknown, other):
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602)
    assert KEY not in str(await stored(agent.web))
    assert (await agent.ask("tasks/update", taskId=task["taskId"]))["resultType"] == "complete"


async def stored(web: Web) -> Any:
    """Everything that is kept of tasks."""
    redis = web.context.store.connection.redis
    return [await redis.hgetall(key) for key in await redis.keys("*:task:*")]


async def test_only_a_client_that_declares_tasks_gets_them(web: Web) -> None:
    agent = Agent(web)
    task = await wait_for(Agent(web, **TASKS), "1")
    error = (await agent.send("tasks/get", taskId=task["taskId"])).json()["error"]
    assert error["code"] == -32021
    assert tasks.EXTENSION in error["data"]["requiredCapabilities"]["extensions"]
    plain = await agent.tool("wait_for_job", source="feed", id="1", timeout=0)
    assert plain["structuredContent"]["done"] is False
    old = Agent(web, stateless=False)
    assert await old.error("tasks/get", taskId=task["taskId"]) == (200, -32601)


async def test_what_is_no_wait_is_no_task(agent: Agent) -> None:
    for name in set(TOOLS) - {"wait_for_job", "wait_for_jobs"}:
        assert (await agent.tool(name))["resultType"] == "complete"
    refused = await agent.tool("wait_for_job", source="feed", id="unknown")
    assert refused["isError"]
    assert "watch_job" in refused["content"][0]["text"]


async def test_a_task_lives_as_long_as_its_job_and_a_day_once_it_has_ended(agent: Agent) -> None:
    await wait_for(agent, "1")
    redis = agent.web.context.store.connection.redis
    (task,) = await redis.keys("*:task:*")
    (job,) = await redis.keys("*:job:feed/1")
    assert abs(await redis.pttl(task) - await redis.pttl(job)) < 5_000
    await agent.tool("watch_job", source="feed", id="1", deadline="30d")
    (row,) = await stored(agent.web)
    task_id = task.decode().rpartition(":")[2]
    assert set(row) == {b"wait"}
    await agent.ask("tasks/get", taskId=task_id)
    assert abs(await redis.pttl(task) - await redis.pttl(job)) < 5_000
    await agent.web.push("1", "succeeded")
    await agent.ask("tasks/get", taskId=task_id)
    assert abs(await redis.pttl(task) - KEPT_ENDED * 1000) < 5_000


async def test_any_receiver_answers_also_after_a_restart(web_of: Any, settings_of: Any) -> None:
    settings = settings_of()
    first, second = Agent(await web_of(settings=settings), **TASKS), Agent(
        await web_of(settings=settings), **TASKS
    )  # fmt: skip
    task = await wait_for(first, "1")
    await first.web.push("1", "succeeded")
    found = [await one.ask("tasks/get", taskId=task["taskId"]) for one in (second, first)]
    assert found[0] == found[1]
    assert found[0]["status"] == "completed"


# --- listening ----------------------------------------------------------------------------


META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": TASKS,
}
HEADERS = {
    "accept": "text/event-stream",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "subscriptions/listen",
}


@asynccontextmanager
async def listening(served: Served, **wanted: Any) -> AsyncIterator[Callable[[], Any]]:
    """An open stream of subscriptions/listen: a call gives its next message."""
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": "sub", "method": "subscriptions/listen"}
    body["params"] = {"notifications": wanted, "_meta": META}
    async with served.client.stream("POST", "/mcp", json=body, headers=HEADERS) as answer:
        lines = answer.aiter_lines()

        async def read() -> Any:
            async with asyncio.timeout(10):
                async for line in lines:
                    if line.startswith("data: "):
                        return json.loads(line[6:])
            raise EOFError

        yield read


async def test_a_client_hears_of_resources_and_tasks(agent: Agent, served: Served) -> None:
    """The stream is another process's than the one where the task was made and the job ended."""
    task = (await wait_for(agent, "1"))["taskId"]
    uris = ["ringback://jobs/feed/1", "ringback://jobs/feed/unknown"]
    async with listening(served, resourceSubscriptions=uris, taskIds=[task, "unknown"]) as read:
        ack = await read()
        assert ack["method"] == "notifications/subscriptions/acknowledged"
        named = ack["params"]["notifications"]
        assert named == {"resourceSubscriptions": uris[:1], "taskIds": [task]}
        await agent.web.push("1", "succeeded")
        heard = [await read(), await read()]
        by_method = {one["method"]: one["params"] for one in heard}
        assert by_method["notifications/resources/updated"]["uri"] == uris[0]
        ended = by_method["notifications/tasks"]
        assert (ended["taskId"], ended["status"]) == (task, "completed")
        assert ended["result"]["structuredContent"]["jobs"][0]["state"] == "succeeded"
        for params in by_method.values():
            assert params["_meta"] == {"io.modelcontextprotocol/subscriptionId": "sub"}
        served.task.cancel()
        assert (await read())["result"]["resultType"] == "complete"


async def test_a_client_hears_of_a_group_and_of_a_task_that_has_ended(
    agent: Agent, served: Served
) -> None:
    await agent.web("POST", "/v1/groups", {"id": "g", "jobs": ["feed/1", "feed/2"]})
    task = (await wait_for(agent, "1"))["taskId"]
    await agent.web.push("1", "succeeded")
    uri = "ringback://groups/g"
    async with listening(served, resourceSubscriptions=[uri], taskIds=[task]) as read:
        assert (await read())["params"]["notifications"]["taskIds"] == [task]
        assert (await read())["params"]["status"] == "completed"
        await agent.web.push("2", "succeeded")
        assert (await read())["params"]["uri"] == uri


async def test_a_client_hears_once_that_a_task_has_ended(agent: Agent, served: Served) -> None:
    """Whatever its jobs do before and after, and however many of them end together."""
    jobs = [str(number) for number in range(5)]
    both = [(await wait_for(agent, *jobs))["taskId"], (await wait_for(agent, "last"))["taskId"]]
    async with listening(served, taskIds=both) as read:
        assert (await read())["params"]["notifications"] == {"taskIds": both}
        for state in ("running", "succeeded"):
            for job in jobs:
                await agent.web.push(job, state)
        assert (await read())["params"]["taskId"] == both[0]
        await agent.web.push("0", "running", attempt=2)
        await agent.web.push("0", "succeeded", attempt=2)
        await agent.web.push("last", "succeeded")
        assert (await read())["params"]["taskId"] == both[1]
        served.task.cancel()
        assert "result" in await read()


async def test_a_client_hears_of_a_task_whose_job_was_deleted(agent: Agent, served: Served) -> None:
    task = (await wait_for(agent, "1"))["taskId"]
    async with listening(served, taskIds=[task]) as read:
        await read()
        await agent.web("DELETE", "/v1/jobs/feed/1")
        heard = (await read())["params"]
    assert (heard["taskId"], heard["result"]["isError"]) == (task, True)


async def test_a_client_hears_of_a_job_that_was_deleted_and_is_watched_again(
    agent: Agent, served: Served
) -> None:
    task = (await wait_for(agent, "1"))["taskId"]
    async with listening(served, taskIds=[task]) as read:
        await read()
        await agent.web("DELETE", "/v1/jobs/feed/1")
        await agent.tool("watch_job", source="feed", id="1")
        await agent.web.push("1", "succeeded")
        heard = (await read())["params"]
    assert (heard["taskId"], heard["status"]) == (task, "completed")


async def test_a_task_that_is_forgotten_does_not_end_the_stream(
    agent: Agent, served: Served
) -> None:
    both = [(await wait_for(agent, job))["taskId"] for job in "12"]
    async with listening(served, taskIds=both) as read:
        await read()
        redis = agent.web.context.store.connection.redis
        await redis.delete(*await redis.keys(f"*:task:{both[0]}"))
        await agent.web.push("1", "succeeded")
        await agent.web.push("2", "succeeded")
        assert (await read())["params"]["taskId"] == both[1]


async def test_a_stream_that_cannot_read_a_task_ends_with_an_error(
    agent: Agent, served: Served
) -> None:
    task = (await wait_for(agent, "1"))["taskId"]
    async with listening(served, taskIds=[task]) as read:
        await read()
        redis = agent.web.context.store.connection.redis
        (key,) = await redis.keys("*:task:*")
        await redis.set(key, "no wait", keepttl=True)
        await agent.web.push("1", "succeeded")
        assert (await read())["error"]["code"] == -32603
        await redis.delete(key)


@pytest.mark.parametrize("wanted", [{"taskIds": "one"}, {"resourceSubscriptions": [1]}])
async def test_an_odd_filter_is_refused(served: Served, wanted: Any) -> None:
    async with listening(served, **wanted) as read:
        assert (await read())["error"]["code"] == -32602


async def test_listening_needs_a_client_that_reads_streams(agent: Agent) -> None:
    answer = await agent.send(
        "subscriptions/listen", {"accept": "application/json"}, notifications={}
    )
    assert answer.status_code == 406
