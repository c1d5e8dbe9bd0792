"""A wrong word or field of a JSON body is answered with what is allowed there."""

from typing import Any, Literal

import msgspec
import pytest

from processor.service.groups.group_request import GroupRequest
from processor.service.jobs.watch_request import WatchRequest
from processor.web import body_errors

from .calling import Web


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    """A struct with a word of its own."""

    size: Literal["small", "large"] = "small"


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    """Structs in all places that a path can lead through."""

    items: list[Inner] = []
    named: dict[str, Inner | None] = {}
    one: Inner | bool = False


class Empty(msgspec.Struct, forbid_unknown_fields=True):
    """No field at all."""


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        (GroupRequest, {"policy": "fast"}, "policy: 'fast' is not known; use one of all, "),
        (GroupRequest, {"jobs": [{"idd": 1}]}, "jobs[0]: there is no field `idd`; it takes metadata, "),
        (WatchRequest, {"metadat": {}}, "; did you mean `metadata`?"),
        (Outer, {"items": [{}, {"size": "s"}]}, "items[1].size: 's' is not known; use one of large, small"),
        (Outer, {"named": {"a": {"size": "s"}}}, "named[...].size: 's' is not known; use one of large, small"),
        (Outer, {"one": {"sise": 1}}, "one: there is no field `sise`; it takes size; did you mean `size`?"),
        (Empty, {"a": 1}, "there is no field `a`; the body is empty, {}"),
        (WatchRequest, {"deadline": 5}, "Expected `str | null`, got `int` - at `$.deadline`"),
    ],
)  # fmt: skip
def test_an_error_says_what_is_allowed(kind: Any, body: Any, says: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(body, kind)
    assert says in body_errors.explain(refused.value, kind)


async def test_a_call_says_what_is_allowed(web: Web) -> None:
    answer = await web("POST", "/v1/groups", {"policy": "fast", "open": True})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("policy: 'fast' is not known; use one of all, ")
    answer = await web("PUT", "/v1/jobs/feed/1", {"metadat": {}})
    assert answer.status_code == 422
    assert "it takes metadata, " in answer.json()["detail"]
