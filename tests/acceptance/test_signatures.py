"""What subscribers receive verifies with other people's code."""

import pytest
import standardwebhooks
import svix

from .feed import Caller, push
from .sink import SECRET, Sink
from .waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(30)]


async def test_both_libraries_verify_and_neither_a_changed_body(
    caller: Caller, source: str
) -> None:
    async with Sink() as sink:
        await caller.subscribe(sink, source)
        assert await caller.push(push(source, "j/ü 1", "succeeded", result={"a": [1, "ü"]})) == 202
        await until(lambda: sink.calls, 5, "the callback")
    (call,) = sink.calls
    for library in (svix.Webhook(SECRET), standardwebhooks.Webhook(SECRET)):
        library.verify(call.body, call.headers)
    with pytest.raises(svix.WebhookVerificationError):
        svix.Webhook(SECRET).verify(call.body + b" ", call.headers)
    assert (call.event["type"], call.job) == ("job.succeeded", "j/ü 1")
    assert call.headers["content-type"] == "application/json"
