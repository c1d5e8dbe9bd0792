"""Limits of what callers may store: every event of a job carries its metadata."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from processor import state_machine
from processor.errors import Conflict, InvalidValue
from processor.model import Job
from processor.sizes import MAX_FILTER

MAX_METADATA = 64 * 1024  # bytes of a job's metadata as JSON
MAX_PARAMS = 16 * 1024  # bytes of a job's params as JSON: Azure's status URLs have up to 4,096
MAX_SUBSCRIPTIONS = 10_000  # in all; each is compared with every event

_encode = msgspec.json.Encoder().encode


def check_job(before: Job, after: Job) -> None:
    """InvalidValue for a job that grows beyond a limit; a job beyond it already may shrink."""
    for field, most, remedy in (
        (
            "metadata",
            MAX_METADATA,
            "overwrite what you no longer need with null, or keep it elsewhere",
        ),
        ("params", MAX_PARAMS, "send only what the profile's requests name"),
    ):
        check_size(field, getattr(before, field), getattr(after, field), most, remedy)
    _check_growth(
        len(before.aliases),
        len(after.aliases),
        state_machine.MAX_ALIASES,
        lambda count: (
            f"aliases: a job has at most {state_machine.MAX_ALIASES} other names, these make "
            f"{count}; send only names that the provider uses"
        ),
    )


def check_filter_size(metadata: Mapping[str, Any]) -> None:
    """InvalidValue for a metadata filter that is too large."""
    check_size("metadata", {}, metadata, MAX_FILTER, "filter by fewer or shorter values")


def check_size(
    field: str, before: Mapping[str, Any], after: Mapping[str, Any], most: int, remedy: str
) -> None:
    """InvalidValue for an object that grows beyond `most` bytes."""
    if after != before:
        _check_growth(
            len(_encode(before)),
            len(_encode(after)),
            most,
            lambda size: (
                f"{field}: has at most {most} bytes as JSON, with what is there already; "
                f"this makes {size}: {remedy}"
            ),
        )


def check_count(subscriptions: int) -> None:
    """Conflict if there are as many subscriptions as there may be."""
    if subscriptions >= MAX_SUBSCRIPTIONS:
        raise Conflict(f"There are {MAX_SUBSCRIPTIONS} subscriptions, the most: remove some first")


def _check_growth(before: int, after: int, most: int, message: Callable[[int], str]) -> None:
    if after > most and after > before:
        raise InvalidValue(message(after))
