"""The whole document, put together from the tables."""

from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec

from processor.web.openapi.operations import OPERATIONS, Answer, Operation
from processor.web.openapi.parameters import parameters
from processor.web.openapi.schemas import SCHEMAS
from processor.web.openapi.webhooks import webhooks
from processor.web.problems import MEDIA_TYPE

SCHEMA = "#/components/schemas/{name}"
KEY = "key"
ALWAYS = (500, 503)
KEYED = (401,)

REFUSALS = {
    400: "Not JSON, unreadable, or a cursor that this server did not give",
    401: "No valid key; of a push: its signature does not hold",
    404: "No such thing",
    408: "The body did not come in time",
    409: "Not possible for this thing",
    410: "What is behind this cursor was trimmed; start again without it",
    413: "The body has more than 1 MiB; of a push: more than its profile or source allows",
    415: "Not `application/json`; of a push: compressed, or not a type that the provider sends",
    422: "A value or key that means nothing here",
    500: "Our fault; `request_id` finds its line in the log",
    503: "Redis is away or nearly full, or this process is; call again",
}
HEADERS = {
    401: ("WWW-Authenticate", "`Bearer`, where a key is needed"),
    503: ("Retry-After", "Seconds until it is worth calling again"),
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
        "One of `RINGBACK_API_KEYS`, or the key that `ringback up` made. Only reading the mirror "
        'of a source with `mirror = "open"` needs none'
    ),
}


def _paths() -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _call(operation)
    return paths


def _call(operation: Operation) -> dict[str, Any]:
    good = {str(status): _answer(answer) for status, answer in operation.answers.items()}
    refusals = {*operation.refusals, *ALWAYS, *(() if operation.open else KEYED)}
    if "default" in good:
        refusals.clear()
    bad = {str(s): {"$ref": f"#/components/responses/refused{s}"} for s in sorted(refusals)}
    call = {
        "operationId": operation.id,
        "summary": operation.says,
        "parameters": [{"$ref": f"#/components/parameters/{p}"} for p in operation.parameters],
        "responses": bad | good,
    }
    if operation.body:
        schema = _schema(operation.body)
        call["requestBody"] = {"required": True, "content": {"application/json": schema}}
    return call | ({"security": []} if operation.open else {})


def _answer(answer: Answer) -> dict[str, Any]:
    content = {media: {"schema": schema} for media, schema in answer.other.items()}
    if answer.shape:
        content["application/json"] = _schema(answer.shape, many=answer.many)
    return {"description": answer.says} | ({"content": content} if content else {})


def _schema(shape: Any, *, many: bool = False) -> dict[str, Any]:
    one = shape if isinstance(shape, dict) else {"$ref": SCHEMA.format(name=shape.__name__)}
    return {"schema": _page(one) if many else one}


def _page(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": one},
            "next": {"type": ["string", "null"], "description": "The cursor behind this page"},
        },
        "required": ["items", "next"],
    }


def _refusal(status: int) -> dict[str, Any]:
    body = {MEDIA_TYPE: {"schema": {"$ref": SCHEMA.format(name="Problem")}}}
    refusal: dict[str, Any] = {"description": REFUSALS[status], "content": body}
    if status in HEADERS:
        name, says = HEADERS[status]
        refusal["headers"] = {name: {"description": says, "schema": {"type": "string"}}}
    return refusal
