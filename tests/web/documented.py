"""Compares a response with /openapi.json: a response that it does not describe is an error."""

import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

from processor.web import openapi

AT_ROOT = ("/xrpc/", "/final/xrpc/")
Call = tuple[str, dict[str, Any]]  # the path as documented, and the operation


def check(method: str, raw_path: str, answer: httpx.Response) -> str | None:
    """See that an answer is one that is documented; the documented path, if there is one."""
    found = call(method, raw_path)
    if found is None and answer.is_success:  # `mirror_root`: the same as below /mirror/{source}
        found = call(method, f"/mirror/source{raw_path}") if raw_path.startswith(AT_ROOT) else None
    if found is None:
        assert answer.status_code in (401, 404, 405), answer
        return None
    path, operation = found
    responses = operation["responses"]
    described = responses.get(str(answer.status_code), responses.get("default"))
    assert described, f"{method} {path}: {answer.status_code} is not documented"
    content = resolve(described).get("content", {})
    if not content:
        assert answer.content == b""
        return path
    mime = answer.headers["content-type"].partition(";")[0]
    media = content.get(mime, content.get("*/*"))
    assert media is not None, f"{method} {path}: {answer.status_code} of {mime} is not documented"
    if mime.endswith("json") and mime in content:
        name = f"{method} {path} {answer.status_code} {mime}"
        validator(name, media["schema"])(answer.json())
    return path


def call(method: str, raw_path: str) -> Call | None:
    """Which operation a request is."""
    for path, pattern in paths().items():
        if pattern.fullmatch(raw_path):
            operation = openapi.document()["paths"][path].get(method.lower())
            return operation and (path, operation)
    return None


@cache
def paths() -> dict[str, re.Pattern[str]]:
    """Every documented path, and what matches it; only the mirror's has slashes in a parameter."""

    def pattern(path: str) -> str:
        anything = "(?!final/).*" if path == "/mirror/{source}/{path}" else ".*"
        return re.escape(path).replace(r"\{path\}", anything)

    return {
        path: re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", pattern(path)))
        for path in openapi.document()["paths"]
    }


def resolve(part: dict[str, Any]) -> dict[str, Any]:
    """What a reference refers to."""
    reference = part.get("$ref")
    if reference is None:
        return part
    found: Any = openapi.document()
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)


_validators: dict[str, Any] = {}


def validator(name: str, schema: dict[str, Any]) -> Any:
    """What raises for a document that a schema does not describe to the last key."""
    if name not in _validators:
        whole = {**strict(schema), "components": {"schemas": schemas()}}
        _validators[name] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return _validators[name].validate


@cache
def schemas() -> dict[str, Any]:
    found: dict[str, Any] = strict(openapi.document()["components"]["schemas"])
    return found


def strict(schema: Any) -> Any:
    """The same schema, for which an undescribed key is a mistake."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found
