"""What is logged about an outage of Redis."""

import pytest
from structlog.testing import capture_logs

from processor.errors import StoreUnavailable, WrongCredentials
from processor.service.runtime import outage as module
from processor.service.runtime.outage import Outage

CLOSED = StoreUnavailable("Redis at x does not answer: Connection closed by server.")
REFUSED = WrongCredentials("WRONGPASS: correct the user or password")


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
