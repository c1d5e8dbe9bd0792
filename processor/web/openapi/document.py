"""The OpenAPI document, built from the tables."""

from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec

from processor.web.openapi.operations import OPERATIONS, Operation, Response
from processor.web.openapi.parameters import parameters
from processor.web.openapi.schemas import SCHEMAS
from processor.web.openapi.webhooks import webhooks
from processor.web.problems import MEDIA_TYPE

SCHEMA = "#/components/schemas/{name}"
KEY = "key"
ALWAYS = (500, 503)
KEYED = (401,)

REFUSALS = {
    400: "Not JSON, unreadable, or a cursor that this server did not return",
    401: "No valid key; for a push: the signature is not valid",
    404: "Not found",
    408: "The body did not arrive in time",
    409: "Not possible in its present state",
    410: "The events after this cursor were trimmed; start again without it",
    413: (
        "The body has more than 1 MiB (of a group: 4 MiB); for a push: more than its profile or "
        "source allows"
    ),
    415: "Not `application/json`; for a push: compressed, or not a type that the provider sends",
    422: "An unknown or invalid value or key",
    500: "Internal error; its line in the log has the same `request_id`",
    503: "Redis is unavailable or nearly full, or this process is overloaded; try again",
}
HEADERS = {
    401: ("WWW-Authenticate", "`Bearer`, if a key is needed"),
    503: ("Retry-After", "Seconds until the next try"),
}


@cache
def document() -> dict[str, Any]:
    """The document; it is the same for every server."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ringback",
            "summary": "Calls you back when the job is done",
            "version": version("ringback"),
        },
        "servers": [{"url": "/"}],
        "security": [{KEY: []}],
        "paths": _paths(),
        "webhooks": webhooks(),
        "components": {
            "schemas": msgspec.json.schema_components(SCHEMAS, ref_template=SCHEMA)[1],
            "parameters": parameters(),
            "responses": {f"refused{status}": _refusal(status) for status in REFUSALS},
            "securitySchemes": {KEY: _BEARER},
        },
    }


_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": (
        "One of `RINGBACK_API_KEYS`, or the key that `ringback up` created. Reading the mirror "
        'of a source with `mirror = "open"` needs no key'
    ),
}


def _paths() -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _call(operation)
    return paths


def _call(operation: Operation) -> dict[str, Any]:
    good = {str(status): _response(response) for status, response in operation.responses.items()}
    refusals = {*operation.refusals, *ALWAYS, *(() if operation.open else KEYED)}
    if "default" in good:
        refusals.clear()
    bad = {str(s): {"$ref": f"#/components/responses/refused{s}"} for s in sorted(refusals)}
    call = {
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": [{"$ref": f"#/components/parameters/{p}"} for p in operation.parameters],
        "responses": bad | good,
    }
    if operation.body:
        schema = _schema(operation.body)
        call["requestBody"] = {
            "required": operation.body_required,
            "content": {"application/json": schema},
        }
    return call | ({"security": []} if operation.open else {})


def _response(response: Response) -> dict[str, Any]:
    content = {media: {"schema": schema} for media, schema in response.other.items()}
    if response.schema:
        content["application/json"] = _schema(response.schema, many=response.many)
    return {"description": response.description} | ({"content": content} if content else {})


def _schema(shape: Any, *, many: bool = False) -> dict[str, Any]:
    item = shape if isinstance(shape, dict) else {"$ref": SCHEMA.format(name=shape.__name__)}
    return {"schema": _page(item) if many else item}


def _page(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": item},
            "next": {"type": ["string", "null"], "description": "The cursor of the next page"},
        },
        "required": ["items", "next"],
    }


def _refusal(status: int) -> dict[str, Any]:
    body = {MEDIA_TYPE: {"schema": {"$ref": SCHEMA.format(name="Problem")}}}
    refusal: dict[str, Any] = {"description": REFUSALS[status], "content": body}
    if status in HEADERS:
        name, description = HEADERS[status]
        refusal["headers"] = {name: {"description": description, "schema": {"type": "string"}}}
    return refusal
