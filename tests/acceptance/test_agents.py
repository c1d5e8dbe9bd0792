"""The official Python client of MCP, FastMCP's and that of the OpenAI Agents SDK wait for jobs: over
HTTP and over stdio, in each version of the protocol, with and without tasks, and while the server
restarts.

They are where `make test` puts them: in an environment of their own, `.venv-agents`.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from redis import Redis

from processor.web.mcp.tools import TOOLS

from .conftest import standard
from .feed import Caller, push
from .processes import KEY
from .system import WEB, System
from .waiting import until, until_it

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-agents" / "bin" / "python"
READY = ROOT / ".venv-agents" / ".ready"
CALLS = ROOT / "tests" / "acceptance" / "agent_calls.py"
pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not READY.exists(), reason="needs the agents' clients: `make agents`"),
]
VERSIONS = {
    "stateless": "2026-07-28",
    "auto": "2026-07-28",
    "task": "2026-07-28",
    "handshake": "2025-11-25",
    "fastmcp": "2026-07-28",
    "agents": "2026-07-28",
}


@pytest.fixture
def system(plan: Callable[..., System]) -> System:
    return plan(standard("feed")).start_all()


def run(words: dict[str, Any]) -> Any:
    """One client that calls one tool; the environment has nothing of ours."""
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(
        [str(PYTHON), str(CALLS)],
        input=json.dumps(words).encode(), capture_output=True, timeout=100, check=False, env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def stdio(system: System) -> dict[str, Any]:
    """How a client starts `ringback mcp`."""
    words = ["-m", "processor.cli", "mcp", "--url", system.url, "--key", KEY]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return {"command": [sys.executable, *words], "env": env, "folder": str(ROOT)}


async def call(system: System, client: str, over: str, tool: str, **arguments: Any) -> Any:
    server = stdio(system) if over == "stdio" else {"url": f"{system.url}/mcp", "key": KEY}
    words = server | {"client": client, "tool": tool, "arguments": arguments}
    return await asyncio.to_thread(run, words)


@pytest.mark.parametrize("over", ["http", "stdio"])
async def test_clients_wait_for_a_job(system: System, over: str) -> None:
    watched = await asyncio.gather(
        *(call(system, client, over, "watch_job", source="feed", id=client) for client in VERSIONS)
    )
    for client, found in zip(VERSIONS, watched, strict=True):
        assert found["version"] == VERSIONS[client], client
        assert (found["failed"], found["tools"]) == (False, list(TOOLS))
        assert found["structured"]["state"] == "queued"
    waits = asyncio.gather(
        *(
            call(system, client, over, "wait_for_job", source="feed", id=client)
            for client in VERSIONS
        )
    )
    async with Caller(system.url) as caller:
        for client in VERSIONS:
            assert await caller.push(push("feed", client, "failed", error={"message": "no"})) == 202
    for client, found in zip(VERSIONS, await waits, strict=True):
        assert (found["failed"], found["structured"]["done"]) == (True, True), client
        assert found["structured"]["jobs"][0]["state"] == "failed"
        assert "no" in found["words"][0]
    with Redis.from_url(system.redis.url) as redis:
        kept = {client for client in VERSIONS if redis.keys(f"*:task:wait-feed-{client}-*")}
    assert kept == {"task", "fastmcp"}


@pytest.mark.parametrize(
    ("client", "over"), [("resumed", "http"), ("task", "stdio"), ("fastmcp", "stdio")]
)
async def test_a_task_outlives_a_restart_of_the_server(
    system: System, client: str, over: str
) -> None:
    await call(system, "auto", over, "watch_job", source="feed", id="1")
    waiting = asyncio.ensure_future(
        call(system, client, over, "wait_for_job", source="feed", id="1")
    )
    with Redis.from_url(system.redis.url) as redis:
        await until(lambda: waiting.done() or redis.keys("*:task:*"), 40, "the task is kept")
    assert not waiting.done(), await waiting
    system.children["web"].end()
    system.start("web", *WEB)
    async with Caller(system.url) as caller:
        await until_it(caller.serves, 20, "the receiver answers")
        assert await caller.push(push("feed", "1", "succeeded")) == 202
    found = await waiting
    assert (found["failed"], found["structured"]["done"]) == (False, True)


PAGE = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
(SCRIPT,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(STDIO,) = re.findall(r"`(StdioServerParameters\(.*?\))`", PAGE, re.DOTALL)


@pytest.mark.parametrize("over", ["http", "stdio"])
async def test_the_agent_on_the_page_waits_for_its_job(over: str, system: System) -> None:
    stdio = STDIO.replace('"mcp"]', f'"mcp", "--url", "{system.url}"]')
    script = SCRIPT.replace('"encoder"', '"feed"').replace("http://127.0.0.1:8080", system.url)
    if over == "stdio":
        script = script.replace("Client(http)", f"Client({stdio})")
        script = script.replace("import Client\n", "import Client, StdioServerParameters\n", 1)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {"PATH": path, "HOME": os.environ.get("HOME", "/"), "RINGBACK_API_KEY": KEY}
    command = [str(PYTHON), "-c", script]
    waiting = asyncio.create_task(
        asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, check=False)
    )
    async with Caller(system.url) as caller:

        async def watched() -> bool:
            return waiting.done() or (await caller.call("GET", "/v1/jobs/feed/42"))[0] == 200

        await until_it(watched, 60, "the agent watches its job")
        assert await caller.push(push("feed", "42", "succeeded")) == 202
    done = await waiting
    assert done.stdout.decode() == "feed/42 succeeded.\n", done.stderr.decode()


class Model:
    """Stands in for a model of OpenAI's API: it calls the wait once, and then says what came of it."""

    def __init__(self) -> None:
        """Nothing was asked."""
        self.inputs: list[Any] = []

    async def answer(self, request: web.Request) -> web.Response:
        """One turn."""
        self.inputs.append((await request.json())["input"])
        arguments = json.dumps({"source": "encoder", "id": "42"})
        call = {
            "type": "function_call",
            "call_id": "1",
            "name": "wait_for_job",
            "arguments": arguments,
        }
        text = {"type": "output_text", "text": "It has ended.", "annotations": []}
        said = {"type": "message", "id": "m", "role": "assistant", "content": [text]}
        output = [call if len(self.inputs) == 1 else said]
        return web.json_response({"id": "r", "object": "response", "output": output})


async def test_the_script_for_the_openai_agents_sdk_waits_for_its_job(
    plan: Callable[..., System],
) -> None:
    """With a stand-in for the model."""
    system = plan(standard("encoder")).start_all()
    (script,) = re.findall(r"^```text\n(import asyncio.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    model, app = Model(), web.Application()
    app.router.add_post("/v1/responses", model.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    env = {
        "PATH": os.environ["PATH"],
        "RINGBACK_API_KEY": KEY,
        "OPENAI_API_KEY": "made-up",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{runner.addresses[0][1]}/v1",
        "OPENAI_AGENTS_DISABLE_TRACING": "1",
    }
    async with Caller(system.url) as caller:
        await caller.call("PUT", "/v1/jobs/encoder/42", {})
        process = await asyncio.create_subprocess_exec(
            str(PYTHON), "-c", script.replace("http://127.0.0.1:8080", system.url),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=env,
        )  # fmt: skip
        await until(lambda: model.inputs or process.returncode is not None, 60, "the first turn")
        assert await caller.push(push("encoder", "42", "succeeded")) == 202
        printed, errors = await process.communicate()
    await runner.cleanup()
    assert printed.decode() == "It has ended.\n", errors.decode()
    assert "encoder/42 succeeded." in json.dumps(model.inputs[1])


async def test_a_plain_wait_answers_within_its_time(system: System) -> None:
    """Progress comes meanwhile."""
    await call(system, "auto", "http", "watch_job", source="feed", id="1")
    found = await call(system, "auto", "http", "wait_for_job", source="feed", id="1", timeout=1)
    assert (found["failed"], found["structured"]["done"]) == (False, False)
    assert "feed/1 is queued" in found["progress"][0]
