"""MCP's two TypeScript SDKs watch, wait, read resources and go on after a restart of the server, over
HTTP and over stdio.

They are where `make setup` puts them if there is npm.
"""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from processor.web.mcp.resources import TEMPLATES
from processor.web.mcp.tools import TOOLS

from .conftest import standard
from .feed import Caller, push
from .processes import KEY
from .system import WEB, System
from .test_agents import stdio
from .waiting import until_it

NODE = shutil.which("node")
MODULES = Path(sys.prefix, "npm", "node_modules")
SDKS = [MODULES / "@modelcontextprotocol" / name for name in ("sdk", "client")]
pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        NODE is None or not all(sdk.exists() for sdk in SDKS), reason="needs node and MCP's SDKs"
    ),
]
CALLS = Path(__file__).with_name("agent_calls.js")
STATELESS = "2026-07-28"
VERSIONS = {
    "sdk": "2025-11-25",
    "handshake": "2025-11-25",
    "auto": STATELESS,
    "stateless": STATELESS,
}
HANDSHAKE = [client for client, version in VERSIONS.items() if version != STATELESS]


class Agent:
    """A client in Node that is connected."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Take its process."""
        self._process = process

    async def __call__(self, *words: Any) -> Any:
        """The result of a call; RuntimeError for an error."""
        found = await self.send(list(words))
        if "error" in found:
            raise RuntimeError(found["error"])
        return found["result"]

    async def send(self, words: Any) -> Any:
        """Write a line, and read one."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        stdin.write(json.dumps(words).encode() + b"\n")
        await stdin.drain()
        line = await stdout.readline()
        assert line, (await self._process.communicate())[1]
        return json.loads(line)

    async def works(self) -> bool:
        """Whether a call is answered."""
        try:
            return bool(await self("resources"))  # which no client caches
        except RuntimeError:
            return False


@pytest.fixture
def system(plan: Callable[..., System]) -> System:
    return plan(standard("feed")).start_all()


@asynccontextmanager
async def agent(system: System, client: str, over: str) -> AsyncIterator[Agent]:
    """Connect a client, until the block ends."""
    process = await asyncio.create_subprocess_exec(
        str(NODE), str(CALLS), limit=2**20, env={"NODE_PATH": str(MODULES), "PATH": os.environ["PATH"]},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    server = stdio(system) if over == "stdio" else {"url": f"{system.url}/mcp", "key": KEY}
    ours = Agent(process)
    try:
        assert await ours.send(server | {"client": client}) == {"result": "connected"}
        yield ours
        await process.communicate(b"")  # the end of its input
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("over", ["http", "stdio"])
@pytest.mark.parametrize("client", VERSIONS)
async def test_a_client_waits_also_after_a_restart(system: System, client: str, over: str) -> None:
    name = {"source": "feed", "id": "a/b"}
    uri = "ringback://jobs/feed/a%2Fb"
    async with agent(system, client, over) as ask, Caller(system.url) as caller:
        if (client, over) != ("sdk", "stdio"):  # which does not tell
            assert await ask("version") == VERSIONS[client]
        assert await ask("tools") == list(TOOLS)
        assert await ask("templates") == [template["uriTemplate"] for template in TEMPLATES]
        assert (await ask("call", "watch_job", name))["structured"]["state"] == "queued"
        assert await ask("resources") == [uri]
        early = await ask("call", "wait_for_job", name | {"timeout": 1})
        assert (early["failed"], early["structured"]["done"]) == (False, False)
        assert "feed/a/b is queued" in early["progress"][0]
        system.children["web"].end()
        system.start("web", *WEB)
        await until_it(ask.works, 40, "the same client goes on after the restart")
        if client not in HANDSHAKE:
            await ask("listen", uri)
        assert await caller.push(push("feed", "a/b", "failed", error={"message": "no"})) == 202
        late = await ask("call", "wait_for_job", name)
        assert (late["failed"], late["structured"]["done"]) == (True, True)
        assert (await ask("read", uri))["state"] == "failed"
        if client not in HANDSHAKE:

            async def told() -> bool:
                return bool(await ask("updated") == [uri])

            await until_it(told, 20, "the client hears of the event")
