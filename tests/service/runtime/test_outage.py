"""What is logged about an outage of Redis."""

import pytest
from structlog.testing import capture_logs

from processor.errors import (
    Overloaded,
    StoreUnavailable,
    Unavailable,
    WrongCredentials,
    WrongKeyType,
)
from processor.service.runtime import outage as module
from processor.service.runtime.outage import Outage, wait_until_ready
from processor.store import Store

CLOSED = StoreUnavailable("Redis at x does not answer: Connection closed by server.")
REFUSED = WrongCredentials("WRONGPASS: correct the user or password")
FULL = Overloaded("Redis is out of memory: raise maxmemory")
WRONG_KEY = WrongKeyType("Redis key {rb:0}:dead:s is a list, not a stream")


def reasons(*errors: Exception | None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is logged of calls that fail so, or succeed (None)."""
    monkeypatch.setattr(module, "RECOVERED_AFTER", 0.0)
    outage = Outage("test")
    with capture_logs() as logs:
        for error in errors:
            outage.ended() if error is None else outage.began(error)
    return [line.get("reason", line["event"]) for line in logs]


@pytest.mark.parametrize(
    ("errors", "logged"),
    [
        ([CLOSED, CLOSED], [str(CLOSED)]),
        ([CLOSED, REFUSED, REFUSED, CLOSED, REFUSED], [str(CLOSED), str(REFUSED)]),
        ([REFUSED, CLOSED], [str(REFUSED)]),
        (
            [CLOSED, REFUSED, None, CLOSED, REFUSED],
            [str(CLOSED), str(REFUSED), "redis_recovered", str(CLOSED), str(REFUSED)],
        ),
    ],
)
def test_an_outage_is_logged_once_and_a_refusal_that_somebody_must_mend_as_well(
    errors: list[Exception | None], logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reasons(*errors, monkeypatch=monkeypatch) == logged


@pytest.mark.parametrize(
    ("errors", "logged"),
    [
        ([FULL, FULL], [str(FULL)]),
        ([WRONG_KEY, WRONG_KEY], [str(WRONG_KEY)]),
        ([CLOSED, FULL, CLOSED, WRONG_KEY], [str(CLOSED), str(FULL), str(WRONG_KEY)]),
    ],
)
async def test_what_keeps_a_process_from_starting_is_logged_once(
    errors: list[Unavailable], logged: list[str], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_INTERVAL", 0.0)
    left, check = list(errors), store.check

    async def failing_at_first() -> None:
        if left:
            raise left.pop(0)
        await check()

    monkeypatch.setattr(store, "check", failing_at_first)
    with capture_logs() as logs:
        await wait_until_ready(store, Outage("test"))
    assert [line["reason"] for line in logs] == logged
