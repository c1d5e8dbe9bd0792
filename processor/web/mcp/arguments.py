"""The arguments of the tools, and their JSON schemas."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from processor.group import Policy
from processor.model import State
from processor.web.query_params import LIMIT, MAX_LIMIT

MAX_WAIT = 45  # seconds of a call: clients give up after a minute, some after less
Source = Annotated[str, Meta(description="A source, as list_sources names it")]
Id = Annotated[str, Meta(description="The provider's id of the job")]
Jobs = Annotated[list[str], Meta(min_length=1, description="Jobs, each as `source/id`")]
Metadata = Annotated[dict[str, Any], Meta(description="Of your own; it comes back with the job")]
Timeout = Annotated[float, Meta(ge=0, le=MAX_WAIT, description="Seconds to wait at most")]


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of all: unknown arguments are refused."""


class JobName(Arguments, frozen=True):
    """Of get_job and job_history."""

    source: Source
    id: Id


class WatchJob(JobName, frozen=True):
    """Of watch_job."""

    params: Annotated[
        dict[str, str] | UnsetType,
        Meta(description="Values that the poll request of this provider needs beside the id"),
    ] = UNSET
    metadata: Metadata | UnsetType = UNSET
    deadline: Annotated[
        str | UnsetType, Meta(description="When to stop waiting for news: 5m, 24h, 7d")
    ] = UNSET


class WaitForJob(JobName, frozen=True):
    """Of wait_for_job."""

    timeout: Timeout = MAX_WAIT


class WaitForJobs(Arguments, frozen=True):
    """Of wait_for_jobs."""

    jobs: Jobs
    mode: Annotated[
        Literal["all", "any"], Meta(description="Until all have ended, or the first one")
    ] = "all"
    timeout: Timeout = MAX_WAIT


class ListJobs(Arguments, frozen=True):
    """Of list_jobs."""

    source: Source | UnsetType = UNSET
    state: State | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = LIMIT
    cursor: Annotated[str | UnsetType, Meta(description="`next` of the page before")] = UNSET


class ListSources(Arguments, frozen=True):
    """Of list_sources."""


class CreateGroup(Arguments, frozen=True):
    """Of create_group."""

    jobs: Annotated[
        list[str | dict[str, Any]],
        Meta(min_length=1, description="`source/id`, or {source, id, params?, metadata?, …}"),
    ]
    policy: Annotated[
        Policy | UnsetType, Meta(description="fail_fast: it ends at the first failure")
    ] = UNSET
    metadata: Metadata | UnsetType = UNSET


def schema(kind: type[Arguments]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments, without references: some clients read none."""
    (top,), parts = msgspec.json.schema_components([kind])
    found = _inlined(top, parts)
    return {key: found[key] for key in ("type", "properties", "required") if key in found} | {
        "additionalProperties": False
    }


def _inlined(value: Any, parts: dict[str, Any]) -> Any:
    match value:
        case {"$ref": str(ref), **rest}:
            named = _inlined(parts[ref.rpartition("/")[2]], parts)
            named = {k: v for k, v in named.items() if k not in ("title", "description")}
            return {**named, **rest}
        case dict():
            return {key: _inlined(inner, parts) for key, inner in value.items()}
        case list():
            return [_inlined(inner, parts) for inner in value]
        case _:
            return value
