"""The methods of both eras, and who answers them."""

from collections.abc import Awaitable, Callable, Mapping
from importlib import metadata
from typing import Any

from processor.web.mcp import resources, tasks, tools
from processor.web.mcp.exchange import Exchange
from processor.web.mcp.listen import listen
from processor.web.mcp.messages import HANDSHAKE, METHOD_NOT_FOUND, VERSIONS, McpError

Method = Callable[[Exchange], Awaitable[dict[str, Any]]]

LISTEN = "subscriptions/listen"  # its response is a stream
FRESH = {"ttlMs": 0, "cacheScope": "private"}
STABLE = {"ttlMs": 3_600_000, "cacheScope": "private"}  # it changes with our version
INSTRUCTIONS = (
    "Ringback follows jobs that run at other services, and says when they end. Hand a wait to it "
    "instead of asking in a loop: watch_job once, then wait_for_job until `done`."
)


def server_info() -> dict[str, str]:
    """Our name and version."""
    try:
        version = metadata.version("ringback")
    except metadata.PackageNotFoundError:
        version = "0"
    return {"name": "ringback", "title": "Ringback", "version": version}


SERVER = server_info()


async def _initialize(exchange: Exchange) -> dict[str, Any]:
    wanted = exchange.message.args.get("protocolVersion")
    return {
        "protocolVersion": wanted if wanted in HANDSHAKE else HANDSHAKE[-1],
        "capabilities": {"tools": {}, "resources": {}},
        "serverInfo": SERVER,
        "instructions": INSTRUCTIONS,
    }


async def _discover(_: Exchange) -> dict[str, Any]:
    return {
        "supportedVersions": list(VERSIONS),
        "capabilities": {
            "tools": {},
            "resources": {"subscribe": True},
            "extensions": {tasks.EXTENSION: {}},
        },
        "instructions": INSTRUCTIONS,
        **STABLE,
    }


async def _ping(_: Exchange) -> dict[str, Any]:
    return {}


async def _tools(_: Exchange) -> dict[str, Any]:
    return {"tools": tools.listed(), **STABLE}


async def _call(exchange: Exchange) -> dict[str, Any]:
    return await (tasks.start if tasks.wanted(exchange) else tools.call)(exchange)


async def _resources(exchange: Exchange) -> dict[str, Any]:
    return {**await resources.listed(exchange), **FRESH}


async def _templates(_: Exchange) -> dict[str, Any]:
    return {"resourceTemplates": resources.TEMPLATES, **STABLE}


async def _read(exchange: Exchange) -> dict[str, Any]:
    return {**await resources.read(exchange), **FRESH}


BOTH: Mapping[str, Method] = {
    "tools/list": _tools,
    "tools/call": _call,
    "resources/list": _resources,
    "resources/templates/list": _templates,
    "resources/read": _read,
}
WITH_HANDSHAKE: Mapping[str, Method] = {"initialize": _initialize, "ping": _ping, **BOTH}
STATELESS: Mapping[str, Method] = {
    "server/discover": _discover,
    LISTEN: listen,
    "tasks/get": tasks.get,
    "tasks/update": tasks.update,
    "tasks/cancel": tasks.cancel,
    **BOTH,
}


async def answer(exchange: Exchange) -> dict[str, Any]:
    """The result of a request; McpError if there is none."""
    methods = STATELESS if exchange.stateless else WITH_HANDSHAKE
    method = methods.get(exchange.message.method)
    if method is None:
        raise McpError(METHOD_NOT_FOUND, f"No method {exchange.message.method!r} in this version")
    return await method(exchange)


def streams(exchange: Exchange) -> bool:
    """Whether the response may have notifications before its answer."""
    message = exchange.message
    if message.method == LISTEN:
        return exchange.stateless
    if message.method != "tools/call" or message.meta.get("progressToken") is None:
        return False
    return tools.find(message.text("name")).waits and not tasks.wanted(exchange)
