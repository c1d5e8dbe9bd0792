"""/mcp: the tools and resources on the wire of both eras."""

import asyncio
from typing import Any

import msgspec
import pytest

from processor.web.mcp import sentences
from processor.web.mcp.tools import TOOLS

from .agent import ACCEPT, VERSION, Agent, messages
from .calling import Web

READING = set(TOOLS) - {"watch_job", "create_group"}
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t"}}


@pytest.fixture
def agent(web: Web) -> Agent:
    return Agent(web)


@pytest.fixture(params=[True, False], ids=["stateless", "handshake"])
def either(web: Web, request: pytest.FixtureRequest) -> Agent:
    return Agent(web, stateless=request.param)


def said(result: Any) -> str:
    (block,) = result["content"]
    assert block["type"] == "text"
    return block["text"]


# --- the wire -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "got"),
    [("2025-06-18", "2025-06-18"), ("2025-11-25", "2025-11-25"), ("2024-11-05", "2025-11-25")],
)
async def test_a_handshake_settles_the_version(web: Web, wanted: str, got: str) -> None:
    found = await Agent(web, stateless=False).ask(
        "initialize", **HELLO | {"protocolVersion": wanted}
    )
    assert found["protocolVersion"] == got
    assert set(found["capabilities"]) == {"tools", "resources"}


async def test_a_stateless_client_discovers_the_server(agent: Agent) -> None:
    found = await agent.ask("server/discover")
    assert VERSION in found["supportedVersions"]
    assert found["resultType"] == "complete"
    assert found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "ringback"


async def test_a_notification_gets_no_answer(web: Web) -> None:
    body = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    answer = await web.client.post("/mcp", json=body)
    assert (answer.status_code, answer.content) == (202, b"")


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"{", -32700), (b"[]", -32600), (b'{"jsonrpc":"2.0","id":1,"result":{}}', -32600),
     (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600)],
)  # fmt: skip
async def test_what_is_not_one_message_is_refused(web: Web, content: bytes, code: int) -> None:
    answer = await web.client.post(
        "/mcp", content=content, headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_an_unknown_method_is_refused_in_both_eras(web: Web) -> None:
    assert await Agent(web).error("prompts/list") == (404, -32601)
    assert await Agent(web).error("ping") == (404, -32601)
    assert await Agent(web, stateless=False).error("prompts/list") == (200, -32601)
    assert await Agent(web, stateless=False).error("server/discover") == (200, -32601)


@pytest.mark.parametrize(
    "headers",
    [
        {"mcp-method": "tools/list"},
        {"mcp-name": "list_jobs"},
        {"mcp-protocol-version": "2025-11-25"},
    ],
)
async def test_headers_that_contradict_the_body_are_refused(agent: Agent, headers: Any) -> None:
    answer = await agent.send("tools/call", headers, name="list_sources")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)


async def test_a_name_may_be_in_base64(agent: Agent) -> None:
    headers = {"mcp-name": "=?base64?bGlzdF9zb3VyY2Vz?="}
    answer = await agent.send("tools/call", headers, name="list_sources")
    assert answer.status_code == 200


async def test_another_version_is_refused_with_ours(agent: Agent) -> None:
    meta = {"io.modelcontextprotocol/protocolVersion": "2027-01-01"}
    answer = await agent.send("tools/list", {"mcp-protocol-version": "2027-01-01"}, _meta=meta)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, -32022)
    assert VERSION in error["data"]["supported"]


async def test_only_a_bearer_may_call(web: Web) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"x-api-key": "a-key"}):
        request = web.client.build_request("POST", "/mcp", json={})
        del request.headers["authorization"]
        request.headers.update(headers)
        answer = await web.client.send(request)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost:8080", 200), ("https://ring.example", 200), ("http://evil.example", 403),
     ("http://localhost:9999", 403), ("null", 403), ("http://[::1", 403)],
)  # fmt: skip
async def test_a_page_that_is_not_ours_may_not_call(web_of: Any, origin: str, status: int) -> None:
    web = await web_of(RINGBACK_PUBLIC_URL="https://ring.example/hook")
    answer = await Agent(web, stateless=False).send("ping", {"origin": origin})
    assert answer.status_code == status


async def test_other_methods_are_405(web: Web) -> None:
    for method in ("GET", "DELETE"):
        answer = await web.client.request(method, "/mcp")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


# --- tools --------------------------------------------------------------------------------


async def test_the_tools_are_listed(either: Agent) -> None:
    tools = {tool["name"]: tool for tool in (await either.ask("tools/list"))["tools"]}
    assert list(tools) == list(TOOLS)
    assert {n for n, t in tools.items() if t["annotations"]["readOnlyHint"]} == READING
    for tool in tools.values():
        assert tool["inputSchema"]["type"] == "object"
        assert "$ref" not in str(tool)
    assert tools["wait_for_job"]["inputSchema"]["required"] == ["source", "id"]


async def test_a_tool_answers_as_the_call_of_its_name(either: Agent) -> None:
    web = either.web
    args = {"source": "asked", "id": "a/b", "metadata": {"n": 1}, "deadline": "2h"}
    watched = await either.tool("watch_job", **args)
    job = (await web("GET", "/v1/jobs/asked/a%2Fb")).json()
    assert watched["structuredContent"] == job
    assert (job["metadata"], watched["isError"]) == ({"n": 1}, False)
    assert "asked/a/b" in said(watched)
    assert "wait_for_job" in said(watched)
    found = await either.tool("get_job", source="asked", id="a/b")
    assert found["structuredContent"] == job
    listed = await either.tool("list_jobs", source="asked", state="queued", limit=5)
    assert listed["structuredContent"] == (await web("GET", "/v1/jobs")).json()
    assert "asked/a/b" in said(listed)
    sources = await either.tool("list_sources")
    assert sources["structuredContent"] == (await web("GET", "/v1/sources")).json()
    assert "wistia" in said(sources)
    await web.push("7")
    history = await either.tool("job_history", source="feed", id="7")
    assert history["structuredContent"] == (await web("GET", "/v1/jobs/feed/7/history")).json()
    jobs = ["asked/a/b", {"source": "feed", "id": "7"}]
    group = await either.tool("create_group", jobs=jobs, policy="fail_fast", metadata={"n": 1})
    shown = group["structuredContent"]
    assert shown == (await web("GET", f"/v1/groups/{shown['id']}")).json()
    assert (shown["policy"], shown["counts"]["total"]) == ("fail_fast", 2)


async def test_jobs_are_listed_as_the_tool_says_by_their_deadlines(agent: Agent) -> None:
    for job, deadline in (("1", "2h"), ("2", "3h"), ("3", "1h")):
        await agent.tool("watch_job", source="feed", id=job, deadline=deadline)
    found = await agent.tool("list_jobs")
    assert [job["id"] for job in found["structuredContent"]["items"]] == ["2", "1", "3"]
    assert "latest deadline first" in TOOLS["list_jobs"].description


@pytest.mark.parametrize("tool", ["watch_job", "wait_for_job", "get_job", "job_history"])
async def test_an_unknown_source_leads_to_the_list_of_sources(either: Agent, tool: str) -> None:
    """An agent that is told to call watch_job would call it again and again."""
    refused = await either.tool(tool, source="unknown", id="1")
    assert refused["isError"]
    assert "No source 'unknown'" in said(refused)
    assert said(refused).endswith(" list_sources names the sources.")


@pytest.mark.parametrize("state", ["failed", "canceled"])
async def test_a_job_that_did_not_succeed_is_an_error(either: Agent, state: str) -> None:
    await either.web.push("1", state)
    for tool in ("get_job", "wait_for_job", "watch_job"):
        found = await either.tool(tool, source="feed", id="1")
        assert found["isError"], tool
        assert state in said(found)
    found = await either.tool("wait_for_jobs", jobs=["feed/1"])
    assert found["isError"]
    assert not (await either.tool("list_jobs"))["isError"]


async def test_a_result_is_in_the_words(either: Agent) -> None:
    await either.web.push("1", "succeeded", result={"url": "https://a.example/"})
    assert '{"url":"https://a.example/"}' in said(
        await either.tool("get_job", source="feed", id="1")
    )


def test_sentences_decode_no_results() -> None:
    """Those of hundreds of jobs would take long."""
    job = b'{"source":"feed","id":"1","state":"succeeded","metadata":{},"result":{"n": 1}}'
    document = sentences.read(b'{"done":true,"jobs":[%b]}' % job)
    assert type(document["jobs"][0]["result"]) is msgspec.Raw
    assert sentences.wait(document) == 'feed/1 succeeded. Its result: {"n":1}'


@pytest.mark.parametrize(
    ("tool", "args", "status", "word"),
    [
        ("get_job", {"source": "feed", "id": "unknown"}, 404, "watch_job"),
        ("wait_for_job", {"source": "feed", "id": "unknown"}, 404, "watch_job"),
        ("wait_for_jobs", {"jobs": ["feed/unknown"]}, 404, "watch_job"),
        ("wait_for_jobs", {"jobs": ["feed"]}, 422, "jobs[0]"),
        ("wait_for_jobs", {"jobs": []}, 422, "jobs"),
        ("wait_for_job", {"source": "feed", "id": "1", "timeout": 46}, 422, "timeout"),
        ("watch_job", {"source": "nowhere", "id": "1"}, 404, "nowhere"),
        ("watch_job", {"source": "feed", "id": ".."}, 422, "id"),
        ("watch_job", {"source": "feed", "id": "1", "colour": 1}, 422, "colour"),
        ("watch_job", {"source": "feed", "id": "1", "deadline": "soon"}, 422, "deadline"),
        ("watch_job", {"source": "feed"}, 422, "id"),
        ("list_jobs", {"state": "odd"}, 422, "state"),
        ("list_jobs", {"cursor": "odd"}, 400, "cursor"),
        ("create_group", {"jobs": ["feed/1", "nowhere/2"]}, 422, "jobs[1]"),
        ("create_group", {"jobs": [{"source": "feed"}]}, 422, "jobs"),
        ("create_group", {"jobs": ["feed/1"], "policy": "odd"}, 422, "policy"),
    ],
)
async def test_a_refused_call_is_an_error_with_its_problem(
    agent: Agent, tool: str, args: Any, status: int, word: str
) -> None:
    found = await agent.tool(tool, **args)
    assert (found["isError"], found["structuredContent"]["status"]) == (True, status)
    assert word in said(found)


async def test_arguments_that_are_no_object_are_an_error(agent: Agent) -> None:
    found = await agent.ask("tools/call", name="list_jobs", arguments=[1])
    assert (found["isError"], found["structuredContent"]["status"]) == (True, 422)


async def test_an_unknown_tool_is_a_json_rpc_error(agent: Agent) -> None:
    assert await agent.error("tools/call", name="run_job") == (400, -32602)
    assert await agent.error("tools/call", name=7) == (400, -32020)


async def test_a_redis_that_is_away_is_an_error_to_try_again(web_of: Any) -> None:
    found = await Agent(await web_of(away=True)).send("tools/call", name="list_jobs")
    assert found.status_code == 503 or found.json()["result"]["isError"]


# --- waits --------------------------------------------------------------------------------


async def test_a_wait_ends_when_the_job_does(either: Agent, wait_until: Any) -> None:
    web = either.web
    await either.tool("watch_job", source="feed", id="1")
    waiting = asyncio.create_task(either.tool("wait_for_job", source="feed", id="1"))
    await wait_until(lambda: waiters(web))
    await web.push("1", "succeeded")
    found = (await waiting)["structuredContent"]
    assert (found["done"], found["jobs"][0]["state"], "next" in found) == (True, "succeeded", False)


def waiters(web: Web) -> int:
    """How many jobs are waited for."""
    (restart,) = web.context.store.at_replacement
    return len(restart.__self__._waiters)  # type: ignore[attr-defined] # the tailer's method


async def test_a_wait_that_is_over_says_how_to_go_on(either: Agent) -> None:
    await either.tool("watch_job", source="feed", id="1")
    await either.tool("watch_job", source="feed", id="2")
    one = await either.tool("wait_for_job", source="feed", id="1", timeout=0.01)
    two = await either.tool("wait_for_jobs", jobs=["feed/1", "feed/2"], timeout=0)
    for found, tool in ((one, "wait_for_job"), (two, "wait_for_jobs")):
        assert (found["isError"], found["structuredContent"]["done"]) == (False, False)
        assert f"call {tool} again" in found["structuredContent"]["next"]
        assert found["structuredContent"]["next"] in said(found)


async def test_a_wait_for_any_ends_with_the_first(agent: Agent) -> None:
    await agent.web.push("1", "succeeded")
    await agent.tool("watch_job", source="feed", id="2")
    found = await agent.tool("wait_for_jobs", jobs=["feed/1", "feed/2", "feed/1"], mode="any")
    assert found["structuredContent"]["done"]
    assert [job["state"] for job in found["structuredContent"]["jobs"]] == ["succeeded", "queued"]


async def test_progress_comes_while_a_wait_is_open(either: Agent) -> None:
    await either.tool("watch_job", source="feed", id="1")
    args = {"source": "feed", "id": "1", "timeout": 0.05}
    answer = await either.send(
        "tools/call", name="wait_for_job", arguments=args, _meta={"progressToken": "p"}
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    *progress, result = messages(answer)
    assert progress[0]["method"] == "notifications/progress"
    assert progress[0]["params"]["progressToken"] == "p"
    assert "feed/1 is queued" in progress[0]["params"]["message"]
    assert result["result"]["structuredContent"]["done"] is False


async def test_a_refused_wait_with_progress_is_the_same_error(either: Agent) -> None:
    args = {"source": "feed", "id": "unknown"}
    answer = await either.send(
        "tools/call", name="wait_for_job", arguments=args, _meta={"progressToken": 1}
    )
    assert messages(answer)[-1]["result"]["structuredContent"]["status"] == 404


async def test_a_client_without_streams_gets_json(agent: Agent) -> None:
    await agent.web.push("1", "succeeded")
    args, meta = {"source": "feed", "id": "1"}, {"progressToken": 1}
    headers = {"accept": ACCEPT.partition(",")[0]}
    answer = await agent.send(
        "tools/call", headers, name="wait_for_job", arguments=args, _meta=meta
    )
    assert answer.json()["result"]["structuredContent"]["done"]


# --- resources ----------------------------------------------------------------------------


async def test_jobs_and_groups_are_resources(either: Agent) -> None:
    await either.tool("watch_job", source="feed", id="a/b")
    await either.web("POST", "/v1/groups", {"id": "g/1", "jobs": ["feed/a/b"]})
    templates = (await either.ask("resources/templates/list"))["resourceTemplates"]
    assert {t["uriTemplate"] for t in templates} == {
        "ringback://jobs/{source}/{id}", "ringback://groups/{id}"
    }  # fmt: skip
    (row,) = (await either.ask("resources/list"))["resources"]
    for uri, path in (
        (row["uri"], "/v1/jobs/feed/a%2Fb"),
        ("ringback://groups/g%2F1", "/v1/groups/g%2F1"),
    ):
        (content,) = (await either.ask("resources/read", uri=uri))["contents"]
        assert content["uri"] == uri
        assert content["text"].encode() == (await either.web("GET", path)).content


@pytest.mark.parametrize(
    "uri",
    ["ringback://jobs/feed/unknown", "ringback://groups/unknown", "ringback://x", "http://a/"],
)
async def test_an_unknown_resource_is_refused(agent: Agent, uri: str) -> None:
    assert await agent.error("resources/read", uri=uri) == (400, -32602)
