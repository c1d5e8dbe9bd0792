"""The callback URLs of a job: lists them, and takes one back."""

from typing import Any

from msgspec.structs import replace

from processor.errors import NotFound
from processor.model import Callback, Subscription
from processor.service.jobs.query import Found, find
from processor.service.jobs.watch import commit_change
from processor.service.runtime.context import Context
from processor.store.change import Change


async def list_callbacks(context: Context, source: str, job: str) -> list[dict[str, Any]]:
    """Where a job calls back, oldest first; secrets are not shown."""
    found = await find(context, source, job)
    callbacks = found.job.callbacks
    ids = [callback.id for callback in callbacks]
    targets, _ = await context.store.subscriptions.read(found.keys, ids, []) if ids else ({}, [])
    return [_view(callback, targets[callback.id]) for callback in callbacks]


async def remove_callback(context: Context, source: str, job: str, callback: str) -> None:
    """Take a callback back; NotFound if the job does not have it. A call that is due is still made."""

    def without(found: Found) -> Change:
        left = tuple(one for one in found.job.callbacks if one.id != callback)
        if left == found.job.callbacks:
            raise NotFound(f"Job {job!r} has no callback {callback!r}")
        new = replace(found.job, callbacks=left)
        return Change(job=new, version=found.lookup.version, save=True)

    await commit_change(context, source, job, without)


def _view(callback: Callback, target: object) -> dict[str, Any]:
    """A callback as the API shows it; without its URL if its record cannot be read."""
    return {
        "id": callback.id,
        "url": target.url if isinstance(target, Subscription) else None,
    }
