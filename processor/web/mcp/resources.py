"""Resources: jobs and groups by URI, read as the API shows them."""

import re
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from processor import group_payload
from processor.errors import RequestError
from processor.service.groups import query as groups_query
from processor.service.jobs import query as jobs_query
from processor.service.jobs.listing import JobFilter
from processor.web.jobs import page_of_jobs
from processor.web.mcp.exchange import Exchange
from processor.web.mcp.messages import INVALID_PARAMS, McpError
from processor.web.query_params import LIMIT, checked_name

MIME_TYPE = "application/json"
TEMPLATES = [
    {
        "uriTemplate": "ringback://jobs/{source}/{id}",
        "name": "job",
        "description": "A watched job; the id is percent-encoded",
        "mimeType": MIME_TYPE,
    },
    {
        "uriTemplate": "ringback://groups/{id}",
        "name": "group",
        "description": "A group of jobs",
        "mimeType": MIME_TYPE,
    },
]
_JOB = re.compile(r"ringback://jobs/([^/?#]+)/([^/?#]+)")
_GROUP = re.compile(r"ringback://groups/([^/?#]+)")


async def listed(exchange: Exchange) -> dict[str, Any]:
    """The jobs as resources, those with the latest deadline first, a page at a time."""
    continues = exchange.message.args.get("cursor") is not None
    cursor = exchange.message.text("cursor") if continues else None
    async with exchange.services.large.slot():
        try:
            found = await page_of_jobs(exchange.context, JobFilter(), LIMIT, cursor)
        except RequestError as error:
            raise McpError(INVALID_PARAMS, str(error)) from None
    rows = [_row(job["source"], job["id"]) for job in found.items]
    more = {"nextCursor": found.next} if found.next else {}
    return {"resources": rows, **more}


def _row(source: str, job: str) -> dict[str, str]:
    uri = f"ringback://jobs/{quote(source, safe='')}/{quote(job, safe='')}"
    return {"uri": uri, "name": f"{source}/{job}", "mimeType": MIME_TYPE}


async def read(exchange: Exchange) -> dict[str, Any]:
    """The content of `resources/read`."""
    uri = exchange.message.text("uri")
    try:
        _, shown = await find(exchange, uri)
    except RequestError as error:
        raise McpError(INVALID_PARAMS, str(error), {"uri": uri}) from None
    text = msgspec.json.encode(shown).decode()
    return {"contents": [{"uri": uri, "mimeType": MIME_TYPE, "text": text}]}


async def find(exchange: Exchange, uri: str) -> tuple[str, Any]:
    """The uid by which the log of events names a resource, and the resource as the API shows it."""
    context = exchange.context
    if match := _JOB.fullmatch(uri):
        name = checked_name(context.settings.sources, unquote(match[1]), unquote(match[2]))
        found = await jobs_query.find(context, *name)
        return found.job.uid, await jobs_query.view(context, found)
    if match := _GROUP.fullmatch(uri):
        group = await groups_query.find(context, unquote(match[1]))
        return f"g{group.uid}", group_payload.view(group)
    raise McpError(INVALID_PARAMS, f"No resource {uri!r}; see resources/templates/list")
