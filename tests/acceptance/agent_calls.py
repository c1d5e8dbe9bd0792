"""Agents' clients call Ringback; run by test_agents.py in an environment that has them.

On standard input JSON: {"client": one of CLIENTS, "url" and "key", or "command", "env" and "folder"
for stdio, "tool", "arguments"}. On standard output JSON: the protocol version, the names of the
tools, the result of the tool, and the messages of its progress.
"""

import asyncio
import json
import sys
from typing import Any, ClassVar, Literal

import httpx2
import mcp_types
from fastmcp import Client as FastClient
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from fastmcp_tasks.client import TasksClientExtension
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import Field

TASKS = "io.modelcontextprotocol/tasks"
request = json.load(sys.stdin)
seen: list[str] = []


async def progress(_: float, __: float | None, message: str | None) -> None:
    seen.append(message or "")


def transport() -> Any:
    if command := request.get("command"):
        return stdio_client(
            StdioServerParameters(
                command=command[0], args=command[1:], env=request["env"], cwd=request["folder"]
            )
        )
    headers = {"authorization": f"Bearer {request['key']}"}
    return streamable_http_client(
        request["url"], http_client=httpx2.AsyncClient(headers=headers, timeout=90)
    )


def shown(version: str, tools: list[str], result: Any) -> dict[str, Any]:
    words = [block.text for block in result.content]
    failed = result.is_error
    return {"version": version, "tools": tools, "failed": failed, "words": words,
            "structured": result.structured_content, "progress": seen}  # fmt: skip


class Created(mcp_types.Result):
    """The answer to a call that became a task."""

    result_type: Literal["task"] = Field(alias="resultType")
    task_id: str = Field(alias="taskId")


class State(mcp_types.Result):
    """The answer to tasks/get."""

    status: str
    result: dict[str, Any] | None = None


class GetParams(mcp_types.RequestParams):
    """Which task."""

    task_id: str = Field(serialization_alias="taskId")


class GetTask(mcp_types.Request[GetParams, Literal["tasks/get"]]):
    """tasks/get."""

    method: Literal["tasks/get"] = "tasks/get"
    params: GetParams
    name_param: ClassVar[str | None] = "taskId"


class Tasks(ClientExtension):
    """Polls a task until it ends, also while the server restarts."""

    identifier = TASKS

    def claims(self) -> Any:
        return [ResultClaim(result_type="task", model=Created, resolve=self.finish)]

    async def finish(self, task: Created, context: ClaimContext) -> Any:
        seen.append(task.task_id)
        while True:
            await asyncio.sleep(0.2)
            ask = GetTask(params=GetParams(task_id=task.task_id))
            try:
                found = await context.session.send_request(ask, State)
            except MCPError as error:  # the server is away
                if error.code == mcp_types.INVALID_PARAMS:
                    raise
                continue
            if found.status == "completed":
                return mcp_types.CallToolResult.model_validate(found.result)


async def official(mode: str, *extensions: ClientExtension) -> Any:
    async with Client(transport(), mode=mode, extensions=list(extensions)) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool(
            request["tool"], request["arguments"], progress_callback=progress
        )
        return shown(client.protocol_version, tools, result)


async def resumed() -> Any:
    """Ask about a task with a new connection each time: the client does not survive a lost one."""
    task: Any = None
    while True:
        await asyncio.sleep(0.2)
        try:
            async with Client(transport(), extensions=[Tasks()]) as client:
                call = client.session.call_tool
                task = task or await call(request["tool"], request["arguments"], allow_claimed=True)
                ask = GetTask(params=GetParams(task_id=task.task_id))
                found = await client.session.send_request(ask, State)
                version = client.protocol_version
        except (MCPError, httpx2.HTTPError, ExceptionGroup):  # the server is away
            continue
        if found.status == "completed":
            return shown(version, [], mcp_types.CallToolResult.model_validate(found.result))


async def fast() -> Any:
    if command := request.get("command"):
        over: Any = StdioTransport(
            command[0], command[1:], env=request["env"], cwd=request["folder"]
        )
    else:
        headers = {"authorization": f"Bearer {request['key']}"}
        over = StreamableHttpTransport(request["url"], headers=headers)
    async with FastClient(over, extensions=[TasksClientExtension()]) as client:
        tools = [tool.name for tool in await client.list_tools()]
        result = await client.call_tool(
            request["tool"], request["arguments"], raise_on_error=False, progress_handler=progress
        )
        return shown(client.session.protocol_version, tools, result)


async def agents_sdk() -> Any:
    """The session of the OpenAI Agents SDK, as docs/agents.md makes it; it needs no model."""
    from agents.mcp import (  # noqa: PLC0415 -- takes seconds, which the other clients need not wait
        MCPServerStdio,
        MCPServerStreamableHttp,
    )

    patience = {"client_session_timeout_seconds": 60}
    server: Any
    if command := request.get("command"):
        program = {"command": command[0], "args": command[1:]}
        where = {"env": request["env"], "cwd": request["folder"]}
        server = MCPServerStdio(params=program | where, **patience)
    else:
        headers = {"Authorization": f"Bearer {request['key']}"}
        server = MCPServerStreamableHttp(
            params={"url": request["url"], "headers": headers}, **patience
        )
    async with server:
        tools = [tool.name for tool in await server.list_tools()]
        result = await server.call_tool(request["tool"], request["arguments"])
        return shown(server.session.protocol_version, tools, result)


CLIENTS = {
    "agents": agents_sdk,
    "stateless": lambda: official("2026-07-28"),
    "auto": lambda: official("auto"),
    "task": lambda: official("auto", Tasks()),
    "resumed": resumed,
    "handshake": lambda: official("legacy"),
    "fastmcp": fast,
}
json.dump(asyncio.run(CLIENTS[request["client"]]()), sys.stdout)
