"""A subscriber that fails is tried again, later if it asks for it, never if it is gone."""

import pytest
from aiohttp import web

from .feed import Caller, push
from .sink import Answer, Call, Sink
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(40)]

ASKED = 8  # seconds of Retry-After


def first(status: int, **headers: str) -> Answer:
    """Fail once, then take it."""
    seen = set[str]()

    async def answer(call: Call) -> web.Response:
        if call.id in seen:
            return web.Response()
        seen.add(call.id)
        return web.Response(status=status, headers=headers)

    return answer


async def test_the_second_attempt_is_the_same_event_five_seconds_later_or_when_asked(
    caller: Caller, source: str
) -> None:
    async with Sink(first(500)) as failing, Sink(first(503, **{"Retry-After": "8"})) as busy:
        subscriptions = [await caller.subscribe(sink, source) for sink in (failing, busy)]
        assert await caller.push(push(source, "job", "succeeded")) == 202
        await until(lambda: len(failing.calls) == 2, 8, "the second attempt")
        await until(lambda: len(busy.calls) == 2, 12, "the second attempt, as asked")
        await until_it(lambda: _ended(caller, subscriptions[1]), 2, "the record of it")
        (record,) = (await caller.get(f"/v1/deliveries?subscription={subscriptions[0]}"))["items"]
    for sink, least, most in ((failing, 4.0, 6.5), (busy, ASKED, ASKED + 1.0)):
        one, two = sink.calls
        assert one.id == two.id
        assert one.body == two.body
        assert least - 0.05 <= two.at - one.at <= most
        stamps = [int(call.headers["webhook-timestamp"]) for call in sink.calls]
        assert least - 1 <= stamps[1] - stamps[0] <= most + 1
    assert record["state"] == "delivered"
    assert record["event_id"] == failing.calls[0].id
    assert [attempt["status"] for attempt in record["attempts"]] == [500, 200]


async def _ended(caller: Caller, subscription: str) -> bool:
    path = f"/v1/deliveries?subscription={subscription}&state=delivered"
    return bool((await caller.get(path))["items"])


async def test_410_disables_the_subscription(caller: Caller, source: str) -> None:
    async def gone(_: Call) -> web.Response:
        return web.Response(status=410)

    async with Sink(gone) as sink, Sink() as other:
        subscription = await caller.subscribe(sink, source)
        await caller.subscribe(other, source)
        assert await caller.push(push(source, "job-1", "succeeded")) == 202
        path = f"/v1/subscriptions/{subscription}"
        await until_it(lambda: _disabled(caller, path), 5, "a disabled subscription")
        assert await caller.push(push(source, "job-2", "succeeded")) == 202
        await until(lambda: len(other.calls) == 2, 5, "the other subscriber's callbacks")
        items = (await caller.get(f"/v1/deliveries?subscription={subscription}"))["items"]
    assert [call.job for call in sink.calls] == ["job-1"]
    assert [(one["state"], len(one["attempts"])) for one in items] == [("failed", 1)]


async def _disabled(caller: Caller, path: str) -> bool:
    return bool((await caller.get(path))["disabled"])
