"""Limits of what callers may store: no series of calls grows a record beyond them."""

from typing import Any

import msgspec
import pytest

from processor.errors import Conflict, InvalidValue
from processor.model import Job, Subscription
from processor.service.runtime import size_limits
from processor.service.runtime.size_limits import MAX_METADATA, MAX_PARAMS, check_job
from processor.service.subscriptions import manage, update
from processor.sizes import MAX_FILTER

SIZED: dict[type, dict[str, str]] = {
    Job: {
        "source": "a name of the configuration",
        "provider": "a name of a profile",
        "id": "512 bytes, provider/job_ids.py",
        "uid": "ours",
        "kind": "a name of a profile",
        "status": "200 characters, provider/extract_update.py",
        "result": "64 KiB, provider/extract_update.py",
        "error": "2,000 characters each, provider/extract_update.py",
        "flags": "ours",
        "metadata": "size_limits.MAX_METADATA",
        "params": "size_limits.MAX_PARAMS, and what a profile names",
        "aliases": "machine.ALIASES",
        "callbacks": "watch_request.MAX_CALLBACKS",
        "groups": "group.MAX_GROUPS",
        "completion": "ours",
        "trace": "55 characters, formats/trace_context.py",
        "unconfirmed": "one update, provider/extract_update.py",
        "failed_polls": "failed_polls.MAX_ERROR",
    },
    Subscription: {
        "id": "ours",
        "url": "2,048 characters, egress/urls.py",
        "secrets": "two, of 64 bytes each, signing/keys.py",
        "events": "each word once",
        "sources": "each word once",
        "providers": "each word once",
        "metadata": "size_limits.MAX_FILTER",
        "disabled": "ours",
        "format": "a word of ours",
        "signature": "a word of ours",
        "headers": "4,096 bytes, formats/custom_headers.py",
        "origin": "a host of the configuration",
        "rate": "durations.rate",
    },
}
"""Each field of a record that can grow, and where its limit is."""


@pytest.mark.parametrize("record", SIZED, ids=lambda record: record.__name__)
def test_every_field_of_a_record_that_can_grow_has_a_limit(record: type):
    growing = {
        field.name
        for field in msgspec.structs.fields(record)
        if not _is_fixed(msgspec.inspect.type_info(field.type))
    }
    assert growing == set(SIZED[record])


def _is_fixed(kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, msgspec.inspect.Metadata):
        return _is_fixed(kind.type)
    if isinstance(kind, msgspec.inspect.UnionType):
        return all(map(_is_fixed, kind.types))
    if isinstance(kind, msgspec.inspect.StructType):
        return all(_is_fixed(field.type) for field in kind.fields)
    return isinstance(
        kind,
        msgspec.inspect.IntType
        | msgspec.inspect.FloatType
        | msgspec.inspect.BoolType
        | msgspec.inspect.NoneType
        | msgspec.inspect.EnumType,
    )


async def test_metadata_is_limited_after_the_merge(bench: Any):
    for number in range(100):
        try:
            await bench.watch("1", metadata={f"key{number}": "x" * 10_000})
        except InvalidValue as error:
            refusal = str(error)
            break
    assert "metadata" in refusal
    assert str(MAX_METADATA) in refusal
    assert "null" in refusal
    job = await bench.job("1")
    assert len(msgspec.json.encode(job.metadata)) <= MAX_METADATA
    assert len(job.metadata) == 6


async def test_metadata_up_to_the_limit_is_accepted(bench: Any):
    empty = len(msgspec.json.encode({"a": ""}))
    await bench.watch("1", metadata={"a": "x" * (MAX_METADATA - empty)})
    with pytest.raises(InvalidValue, match=f"metadata.*{MAX_METADATA + 1}"):
        await bench.watch("2", metadata={"a": "x" * (MAX_METADATA - empty + 1)})


async def test_characters_count_as_the_bytes_that_they_are_sent_as(bench: Any):
    with pytest.raises(InvalidValue, match="metadata"):
        await bench.watch("1", metadata={"a": "ä" * 40_000})


async def test_a_key_that_is_overwritten_makes_room(bench: Any):
    await bench.watch("1", metadata={"a": "x" * 60_000})
    await bench.watch("1", metadata={"a": None})
    await bench.watch("1", metadata={"b": "x" * 60_000})


def test_a_record_that_is_over_a_limit_already_may_shrink_and_stay(job_of_lab: Job):
    large = msgspec.structs.replace(job_of_lab, metadata={"a": "x" * 1_000_000})
    check_job(large, large)
    check_job(large, msgspec.structs.replace(large, metadata={"a": "x" * 900_000}))
    with pytest.raises(InvalidValue, match="metadata"):
        check_job(large, msgspec.structs.replace(large, metadata={"a": "x" * 1_000_001}))


@pytest.fixture
def job_of_lab() -> Job:
    return Job("lab", "lab", "1", "u", 0.0, 1.0, 1.0)


async def test_params_are_limited_after_the_merge(bench: Any):
    for number in range(4):
        await bench.watch("1", params={f"p{number}": "x" * 4000})
    with pytest.raises(InvalidValue, match=f"params.*{MAX_PARAMS}"):
        await bench.watch("1", params={"p4": "x" * 4000})
    assert len((await bench.job("1")).params) == 4


async def test_aliases_are_limited_in_all(bench: Any):
    await bench.watch("1", aliases=[f"a{n}" for n in range(16)])
    await bench.watch("1", aliases=[f"b{n}" for n in range(16)])
    with pytest.raises(InvalidValue, match="at most 32"):
        await bench.watch("1", aliases=["c"])
    await bench.watch("1", aliases=["a0", "b0"])  # known aliases do not count twice
    assert len((await bench.job("1")).aliases) == 32


async def test_a_subscription_keeps_each_word_of_its_filter_once(bench: Any):
    request = manage.CreateSubscription(
        url="https://one.example/", events=("job.failed",) * 5000, sources=("lab",) * 5000
    )
    made = await manage.create(bench.context, request)
    assert (made.events, made.sources) == (("job.failed",), ("lab",))
    new = await update.change(
        bench.context, made.id, update.UpdateSubscription(events=("job.started",) * 5000)
    )
    assert new.events == ("job.started",)


async def test_a_metadata_filter_is_limited(bench: Any):
    large = {"a": "x" * MAX_FILTER}
    with pytest.raises(InvalidValue, match=f"metadata.*{MAX_FILTER}"):
        await manage.create(
            bench.context, manage.CreateSubscription(url="https://one.example/", metadata=large)
        )
    made = await manage.create(bench.context, manage.CreateSubscription(url="https://one.example/"))
    with pytest.raises(InvalidValue, match=f"metadata.*{MAX_FILTER}"):
        await update.change(bench.context, made.id, update.UpdateSubscription(metadata=large))


async def test_the_number_of_subscriptions_is_limited(bench: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(size_limits, "MAX_SUBSCRIPTIONS", 2)
    for _ in range(2):
        await manage.create(bench.context, manage.CreateSubscription(url="https://one.example/"))
    with pytest.raises(Conflict, match="remove some"):
        await manage.create(bench.context, manage.CreateSubscription(url="https://one.example/"))
