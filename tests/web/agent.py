"""Calls of /mcp as agents make them, in both eras."""

import itertools
import json
from typing import Any

from .calling import Web

VERSION = "2026-07-28"
PREFIX = "io.modelcontextprotocol/"
TASKS = {"extensions": {f"{PREFIX}tasks": {}}}
NAMES = {"tools/call": "name", "resources/read": "uri"}
ACCEPT = "application/json, text/event-stream"
_numbers = itertools.count(1)


class Agent:
    """A client of one application; `stateless` is its era, `capabilities` are what it declares."""

    def __init__(self, web: Web, *, stateless: bool = True, **capabilities: Any) -> None:
        self.web, self.stateless, self.capabilities = web, stateless, capabilities

    async def send(self, method: str, headers: Any = None, **params: Any) -> Any:
        """The response to one request."""
        body: dict[str, Any] = {"jsonrpc": "2.0", "id": next(_numbers), "method": method}
        body["params"], named = params, {"accept": ACCEPT}
        if self.stateless:
            meta = {"protocolVersion": VERSION, "clientCapabilities": self.capabilities}
            params["_meta"] = {f"{PREFIX}{k}": v for k, v in meta.items()} | params.get("_meta", {})
            named |= {"mcp-protocol-version": VERSION, "mcp-method": method}
            named["mcp-name"] = str(params.get(NAMES.get(method, "taskId"), ""))
        return await self.web.client.post("/mcp", json=body, headers=named | (headers or {}))

    async def ask(self, method: str, **params: Any) -> Any:
        """The result of one request."""
        answer = await self.send(method, **params)
        assert answer.status_code == 200, answer.text
        return messages(answer)[-1]["result"]

    async def error(self, method: str, **params: Any) -> tuple[int, int]:
        """The status and code of a refusal."""
        answer = await self.send(method, **params)
        return answer.status_code, messages(answer)[-1]["error"]["code"]

    async def tool(self, name: str, **arguments: Any) -> Any:
        """The result of a tool."""
        return await self.ask("tools/call", name=name, arguments=arguments)


def messages(answer: Any) -> list[Any]:
    """The messages of a response, as JSON or as a stream."""
    if answer.headers["content-type"].startswith("application/json"):
        return [answer.json()]
    lines = answer.text.splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
