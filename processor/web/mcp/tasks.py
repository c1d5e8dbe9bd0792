"""The tasks extension (SEP-2663): a wait answers with a task at once, and is asked about later."""

from typing import Any

from processor.payload import utc
from processor.service.groups import wait, wait_task
from processor.service.groups.wait_task import WaitState
from processor.web.mcp import sentences, tools
from processor.web.mcp.exchange import Exchange
from processor.web.mcp.messages import (
    INVALID_PARAMS,
    MISSING_CAPABILITY,
    PREFIX,
    McpError,
    declares,
)
from processor.web.mcp.waits import MAX_DESCRIBED, jobs_of

EXTENSION = f"{PREFIX}tasks"
POLL_INTERVAL = 2000  # ms between two tasks/get that we suggest


def wanted(exchange: Exchange) -> bool:
    """Whether this call is a wait, of a client that takes a task for an answer."""
    message = exchange.message
    if message.method != "tools/call" or not exchange.stateless:
        return False
    return declares(message, EXTENSION) and tools.find(message.text("name")).waits


async def start(exchange: Exchange) -> dict[str, Any]:
    """Answer a wait with a task."""
    name, given = exchange.message.text("name"), exchange.message.args.get("arguments")
    try:
        names, first = jobs_of(exchange, tools.read_arguments(tools.find(name), given))
        found = await wait_task.start(exchange.context, exchange.key, name, names, first=first)
    except Exception as error:  # noqa: BLE001 -- as for any tool
        return tools.refused(error)
    shown = await view(exchange, found)
    shown.pop("result", None)  # it is in tasks/get
    return {"resultType": "task", **shown}


async def get(exchange: Exchange) -> dict[str, Any]:
    """`tasks/get`."""
    return await view(exchange, await find(exchange, _id(exchange)))


async def update(exchange: Exchange) -> dict[str, Any]:
    """`tasks/update`: no task of ours asks for input."""
    await find(exchange, _id(exchange))
    return {}


async def cancel(exchange: Exchange) -> dict[str, Any]:
    """`tasks/cancel`: of the wait, never of the job."""
    await wait_task.cancel(exchange.context, exchange.key, _id(exchange))
    return {}


async def find(exchange: Exchange, task_id: str) -> WaitState:
    """A task of the caller."""
    return await wait_task.find(exchange.context, exchange.key, task_id)


def _id(exchange: Exchange) -> str:
    if not declares(exchange.message, EXTENSION):
        needed: Any = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
        raise McpError(MISSING_CAPABILITY, f"Declare the extension {EXTENSION}", needed)
    task_id = exchange.message.text("taskId")
    if not task_id.isascii():
        raise McpError(INVALID_PARAMS, "params.taskId: this server did not return it")
    return task_id


async def view(exchange: Exchange, found: WaitState) -> dict[str, Any]:
    """A task as the extension shows it."""
    task, end = found.task, found.end
    shown = {
        "taskId": found.id,
        "status": end.status if end else "working",
        "createdAt": utc(task.created_at),
        "lastUpdatedAt": utc(end.at if end else task.created_at),
        "ttlMs": None,
        "pollIntervalMs": POLL_INTERVAL,
    }
    if end is None:
        return shown | {"statusMessage": await _message(exchange, found)}
    if end.status == "cancelled":
        return shown
    answer = tools.shown(tools.find(task.tool), bytes(end.answer))
    return shown | {"result": {"resultType": "complete", **answer}}


async def _message(exchange: Exchange, found: WaitState) -> str:
    waited = found.waited
    if waited is None or len(waited.jobs) > MAX_DESCRIBED:
        return f"Waiting for {len(found.task.jobs)} jobs"
    jobs = (await wait.view(exchange.context, waited, first=found.task.first))["jobs"]
    return sentences.working(jobs)
