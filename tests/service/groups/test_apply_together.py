"""What jobs tell a group while it is changed is applied together."""

import asyncio
from typing import Any

import pytest

from processor.errors import StoreUnavailable
from processor.group import GroupState
from processor.model import State
from processor.service.groups import query
from processor.service.groups.apply_together import ApplyTogether
from processor.service.jobs import ingest
from processor.store.groups import GroupChange, Groups
from processor.store.work_items import Claim

MEMBERS = 6


@pytest.fixture
async def ended(bench: Any) -> list[Claim]:
    """The entries of all members of a group, which have ended."""
    await bench.group(*(f"lab/{n}" for n in range(MEMBERS)))
    for n in range(MEMBERS):
        await bench.accept(id=str(n), status="succeeded")
    (keys,) = bench.store.shards
    await ingest.ingest(bench.context, await bench.claim(keys, "ingest"))
    claims: list[Claim] = await bench.claim(keys, "ingest")
    return claims


async def test_what_comes_during_a_commit_shares_the_next(
    bench: Any, ended: list[Claim], monkeypatch: pytest.MonkeyPatch
):
    rows: list[int] = []
    commit = Groups.commit

    async def counted(self: Groups, version: str, change: GroupChange, **more: Any) -> Any:
        rows.append(len(change.rows))
        return await commit(self, version, change, **more)

    monkeypatch.setattr(Groups, "commit", counted)
    together = ApplyTogether(bench.context, interval=0.0)
    await asyncio.gather(*(together.add([claim]) for claim in ended))
    assert rows == [MEMBERS]  # all came before the first commit began
    group = await query.find(bench.context, "g")
    assert (group.state, group.ended) == (GroupState.SUCCEEDED, {State.SUCCEEDED: MEMBERS})
    assert await bench.claim(bench.store.shards[0], "ingest") == []


async def test_entries_that_redis_did_not_take_are_reported(
    bench: Any, ended: list[Claim], monkeypatch: pytest.MonkeyPatch
):
    async def refused(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("Redis does not answer")

    together = ApplyTogether(bench.context, interval=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Groups, "read", refused)
        with pytest.raises(StoreUnavailable):
            await together.add(ended)
    await together.add(ended)
    assert (await query.find(bench.context, "g")).state is GroupState.SUCCEEDED
