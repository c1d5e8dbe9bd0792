"""JSON-RPC messages of MCP, of both eras: read, checked, answered. No I/O.

Handshake: `initialize` first; versions 2025-06-18 and 2025-11-25. Stateless: each request says in
`_meta` which version and capabilities it has, and repeats method and name as headers; 2026-07-28.
Source: modelcontextprotocol.io/specification, read on 2026-11-28.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

HANDSHAKE = ("2025-06-18", "2025-11-25")
STATELESS = "2026-07-28"
VERSIONS = (STATELESS, *reversed(HANDSHAKE))

PREFIX = "io.modelcontextprotocol/"
VERSION, CAPABILITIES = f"{PREFIX}protocolVersion", f"{PREFIX}clientCapabilities"
SERVER_INFO = f"{PREFIX}serverInfo"

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND = -32700, -32600, -32601
INVALID_PARAMS, INTERNAL_ERROR = -32602, -32603
HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION = -32020, -32021, -32022

STATUS = {METHOD_NOT_FOUND: 404, INTERNAL_ERROR: 500}
"""The HTTP status of an error, if it is not 400."""

NAMES = {
    "tools/call": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
"""Methods whose header `Mcp-Name` repeats a parameter; not all clients send it with a task's."""


class McpError(Exception):
    """A request that gets a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class Message(msgspec.Struct, frozen=True):
    """A request; without an id a notification."""

    jsonrpc: Literal["2.0"]
    method: str
    id: int | str | None = None
    params: dict[str, Any] | None = None

    @property
    def args(self) -> dict[str, Any]:
        """The parameters."""
        return self.params or {}

    @property
    def meta(self) -> dict[str, Any]:
        """The `_meta` of the parameters."""
        found = self.args.get("_meta")
        return found if isinstance(found, dict) else {}

    def text(self, name: str) -> str:
        """A parameter that must be a text."""
        value = self.args.get(name)
        if not isinstance(value, str):
            raise McpError(INVALID_PARAMS, f"params.{name}: send a text")
        return value


def read_message(document: Any) -> Message:
    """A decoded body; McpError if it is not one message."""
    try:
        return msgspec.convert(document, Message)
    except msgspec.ValidationError as error:
        raise McpError(INVALID_REQUEST, f"Send one JSON-RPC request: {error}") from None


def is_stateless(message: Message, headers: Mapping[str, str]) -> bool:
    """Whether a request is of the stateless era; McpError if it contradicts itself or us."""
    header, version = headers.get("mcp-protocol-version"), message.meta.get(VERSION)
    if version is None and header in (None, *HANDSHAKE):
        return False
    if message.id is not None:
        _check_headers(message, headers)
    if (version or header) != STATELESS:
        supported = {"supported": list(VERSIONS), "requested": version or header}
        raise McpError(UNSUPPORTED_VERSION, "This server has other versions", supported)
    return True


def _check_headers(message: Message, headers: Mapping[str, str]) -> None:
    meta = message.meta
    if not isinstance(meta.get(VERSION), str) or not isinstance(meta.get(CAPABILITIES), dict):
        raise McpError(INVALID_PARAMS, f"params._meta: needs {VERSION!r} and {CAPABILITIES!r}")
    expected = {"mcp-protocol-version": meta[VERSION], "mcp-method": message.method}
    name = message.args.get(NAMES.get(message.method, ""))
    if name is not None and ("mcp-name" in headers or not message.method.startswith("tasks/")):
        expected["mcp-name"] = name
    for header, value in expected.items():
        if _decoded(headers.get(header, "")) != value:
            raise McpError(HEADER_MISMATCH, f"Header {header} is not what the body says: {value!r}")


def _decoded(header: str) -> str | None:
    """A header's text, which is in base64 if it has other characters than ASCII."""
    if not (header.startswith("=?base64?") and header.endswith("?=")):
        return header
    try:
        return base64.b64decode(header[9:-2], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def declares(message: Message, extension: str) -> bool:
    """Whether the client of a stateless request has an extension."""
    extensions = message.meta.get(CAPABILITIES, {}).get("extensions")
    return isinstance(extensions, dict) and extension in extensions


def result(message: Message, value: dict[str, Any], server: Any) -> dict[str, Any]:
    """The answer to a request; `server` names us in a stateless one."""
    if server is not None:
        meta = {SERVER_INFO: server, **value.get("_meta", {})}
        value = {"resultType": "complete", **value, "_meta": meta}
    return {"jsonrpc": "2.0", "id": message.id, "result": value}


def refusal(request_id: int | str | None, error: McpError) -> dict[str, Any]:
    """The answer to a request that gets an error."""
    shown = {"code": error.code, "message": str(error)}
    if error.data is not None:
        shown["data"] = error.data
    return {"jsonrpc": "2.0", "id": request_id, "error": shown}


def notification(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """A message that gets no answer."""
    return {"jsonrpc": "2.0", "method": method, "params": params}
