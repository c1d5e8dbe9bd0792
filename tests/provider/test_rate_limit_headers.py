"""Rate limit headers: for how long an account has no requests left."""

import pytest
from hypothesis import given, strategies as st

from processor.provider import exhausted_for
from processor.provider.rate_limit_headers import MAX_PAUSE

NOW = 1_795_341_600.0
HEADERS = [
    # no header, or requests left
    ({}, None),
    ({"ratelimit-remaining": "1", "ratelimit-reset": "30"}, None),
    ({"ratelimit": '"default";r=50;t=30'}, None),
    ({"x-ratelimit-remaining": "42", "x-ratelimit-reset": f"{NOW + 60:.0f}"}, None),
    # the draft, -00 to -06
    ({"ratelimit-remaining": "0", "ratelimit-reset": "30"}, 30),
    ({"ratelimit-remaining": " 0 ", "ratelimit-reset": " 1.5 "}, 1.5),
    # -07
    ({"ratelimit": "limit=100, remaining=0, reset=50"}, 50),
    ({"ratelimit": "limit=100, remaining=1, reset=50"}, None),
    # from -08 on
    ({"ratelimit": '"default";r=0;t=30'}, 30),
    ({"ratelimit": '"a;r=0,";r=3;t=9, "b\\"";r=0;t=5;pk=:cHsdsRa894==:'}, 5),
    ({"ratelimit": '"second";r=0;t=1, "hour";r=0;t=1800'}, 1800),
    ({"ratelimit": '"default";r=0'}, None),
    # GitHub: Unix time
    ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW + 60:.0f}"}, 60),
    ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "45"}, 45),
    ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": f"{NOW + 7:.0f}"}, 7),
    ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2026-11-22T10:00:10Z"}, 10),
    # by the provider's clock, which is an hour behind ours
    (
        {
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": f"{NOW - 3600 + 20:.0f}",
            "date": "Sun, 22 Nov 2026 09:00:00 GMT",
        },
        20,
    ),
    # over, missing, absurd
    ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW - 1:.0f}"}, None),
    ({"ratelimit-remaining": "0"}, None),
    ({"ratelimit-remaining": "0", "ratelimit-reset": "-5"}, None),
    ({"ratelimit-remaining": "0", "ratelimit-reset": "soon"}, None),
    ({"ratelimit-remaining": "none", "ratelimit-reset": "5"}, None),
    ({"ratelimit-remaining": "0", "ratelimit-reset": "99999"}, MAX_PAUSE),
    ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999999999"}, MAX_PAUSE),
]


@pytest.mark.parametrize(("headers", "wait"), HEADERS)
def test_an_account_without_requests_waits_for_the_reset(
    headers: dict[str, str], wait: float | None
):
    assert exhausted_for(headers, NOW) == wait


NAMES = ["ratelimit", "date"] + [
    f"{prefix}-{word}"
    for prefix in ("ratelimit", "x-ratelimit", "x-rate-limit")
    for word in ("remaining", "reset")
]


@given(st.dictionaries(st.sampled_from(NAMES), st.text() | st.sampled_from(["0", '"a";r=0;t=1e9'])))
def test_hostile_headers_raise_nothing_and_park_for_an_hour_at_most(headers: dict[str, str]):
    wait = exhausted_for(headers, NOW)
    assert wait is None or 0 < wait <= MAX_PAUSE
