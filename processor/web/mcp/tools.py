"""The tools: what each is called, takes and does. Each answers as the HTTP call of its name."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from processor import group_payload
from processor.errors import InvalidValue
from processor.service.groups import create
from processor.service.groups.group_request import GroupRequest
from processor.service.jobs import listing, query, watch
from processor.service.jobs.watch_request import WatchRequest
from processor.web import body_errors
from processor.web.jobs import page_of_jobs
from processor.web.mcp import sentences
from processor.web.mcp.arguments import (
    Arguments,
    CreateGroup,
    JobName,
    ListJobs,
    ListSources,
    WaitForJob,
    WaitForJobs,
    WatchJob,
    schema,
)
from processor.web.mcp.exchange import Exchange
from processor.web.mcp.messages import INVALID_PARAMS, McpError
from processor.web.mcp.waits import wait_for
from processor.web.problems import explain
from processor.web.query_params import checked_name
from processor.web.sources import views

_encode = msgspec.json.Encoder().encode


class Tool(NamedTuple):
    """One tool."""

    args: type[Arguments]
    run: Callable[[Exchange, Any], Awaitable[Any]]  # the body of the HTTP call
    say: Callable[[sentences.Document], str]
    description: str
    read_only: bool = True
    waits: bool = False


def _name(exchange: Exchange, args: JobName) -> tuple[str, str]:
    return checked_name(exchange.context.settings.sources, args.source, args.id)


async def watch_job(exchange: Exchange, args: WatchJob) -> Any:
    """`PUT /v1/jobs/{source}/{id}`."""
    body = msgspec.to_builtins(args)
    source, job = body.pop("source"), body.pop("id")
    checked_name(exchange.context.settings.sources, source, job)
    request = msgspec.convert(body, WatchRequest)
    found, _ = await watch.watch(exchange.context, source, job, request, exchange.trace)
    return await query.view(exchange.context, found)


async def get_job(exchange: Exchange, args: JobName) -> Any:
    """`GET /v1/jobs/{source}/{id}`."""
    found = await query.find(exchange.context, *_name(exchange, args))
    return await query.view(exchange.context, found)


async def job_history(exchange: Exchange, args: JobName) -> Any:
    """`GET /v1/jobs/{source}/{id}/history`, which has at most 200 entries."""
    async with exchange.services.large.slot():
        found = await query.history(exchange.context, *_name(exchange, args))
        return {"items": found, "next": None}


async def list_jobs(exchange: Exchange, args: ListJobs) -> Any:
    """`GET /v1/jobs`."""
    wanted = listing.JobFilter(args.source or None, args.state or None)
    async with exchange.services.large.slot():
        return await page_of_jobs(exchange.context, wanted, args.limit, args.cursor or None)


async def list_sources(exchange: Exchange, _: ListSources) -> Any:
    """`GET /v1/sources`."""
    return {"items": await views(exchange.context), "next": None}


async def create_group(exchange: Exchange, args: CreateGroup) -> Any:
    """`POST /v1/groups`."""
    request = msgspec.convert(msgspec.to_builtins(args), GroupRequest)
    group, _ = await create.create(exchange.context, request, exchange.trace)
    return group_payload.view(group)


TOOLS: Mapping[str, Tool] = {
    "watch_job": Tool(
        WatchJob, watch_job, sentences.job, read_only=False,
        description="Watch a job that runs at a provider (a render, a transcription, a build): "
        "Ringback follows it from now on. Safe to repeat. Then call wait_for_job.",
    ),
    "wait_for_job": Tool(
        WaitForJob, wait_for, sentences.wait, waits=True,
        description="Wait until a watched job ends, instead of asking again and again: one call "
        "waits up to 45 s, and says whether it is `done`. A job that failed is an error.",
    ),
    "wait_for_jobs": Tool(
        WaitForJobs, wait_for, sentences.wait, waits=True,
        description="Wait until several watched jobs have ended, or (mode `any`) the first one.",
    ),
    "get_job": Tool(
        JobName, get_job, sentences.job,
        description="A watched job as it is now: state, progress, result, error.",
    ),
    "job_history": Tool(
        JobName, job_history, sentences.history,
        description="What happened to a job, oldest first: transitions, ignored updates with the "
        "reason, failed polls.",
    ),
    "list_jobs": Tool(
        ListJobs, list_jobs, sentences.jobs,
        description="Watched jobs, those with the latest deadline first, of one source or in one "
        "state if given. A page may be short, or empty, and still have a `next`.",
    ),
    "list_sources": Tool(
        ListSources, list_sources, sentences.sources,
        description="The sources that this server is configured for, with their providers.",
    ),
    "create_group": Tool(
        CreateGroup, create_group, sentences.group, read_only=False,
        description="Watch many jobs as one group, whose subscribers are called once all ended.",
    ),
}  # fmt: skip


def listed() -> list[dict[str, Any]]:
    """The tools as `tools/list` shows them."""
    return [
        {
            "name": name,
            "description": tool.description,
            "inputSchema": schema(tool.args),
            "annotations": {
                "readOnlyHint": tool.read_only,
                "destructiveHint": False,
                "openWorldHint": False,
            },
        }
        for name, tool in TOOLS.items()
    ]


def find(name: str) -> Tool:
    """A tool by name."""
    if name not in TOOLS:
        raise McpError(INVALID_PARAMS, f"No tool {name!r}; there is {', '.join(TOOLS)}")
    return TOOLS[name]


def read_arguments(tool: Tool, found: Any) -> Any:
    """The arguments of a call; InvalidValue if they are not what the tool takes."""
    try:
        return msgspec.convert({} if found is None else found, tool.args)
    except msgspec.ValidationError as error:
        raise InvalidValue(body_errors.explain(error, tool.args)) from None


async def call(exchange: Exchange) -> dict[str, Any]:
    """The result of `tools/call`; whatever goes wrong inside a tool is a result, too."""
    tool = find(exchange.message.text("name"))
    try:
        args = read_arguments(tool, exchange.message.args.get("arguments"))
        return shown(tool, _encode(await tool.run(exchange, args)))
    except Exception as error:  # noqa: BLE001 -- any error is explained, and logged if it is ours
        return refused(error)


def shown(tool: Tool, body: bytes) -> dict[str, Any]:
    """The body of the HTTP call as the result of a tool."""
    document = sentences.read(body)
    return _result(body, tool.say(document), failed=sentences.failed(document))


def refused(error: Exception) -> dict[str, Any]:
    """An error as the result of a tool, with the problem that the HTTP call would have."""
    if isinstance(error, msgspec.ValidationError):
        error = InvalidValue(str(error))
    body = bytes(explain(error).body)
    return _result(body, sentences.problem(sentences.read(body)), failed=True)


def _result(body: bytes, text: str, *, failed: bool) -> dict[str, Any]:
    return {
        "content": [{"type": "text", "text": text}],
        "structuredContent": msgspec.Raw(body),
        "isError": failed,
    }
