"""What the pages are made of: units of time, sparklines, shares, and what needs attention."""

from datetime import UTC, datetime, timedelta

import pytest

from processor.model import Subscription
from processor.service.delivery.history import Health
from processor.service.runtime.metrics import Metrics
from processor.store.deliveries import DeliveryCounts
from processor.store.subscriber_health import SubscriberHealth
from processor.web.dashboard import attention
from processor.web.dashboard.origins import by_origin
from processor.web.dashboard.render import ago, duration, took
from processor.web.dashboard.sparkline import HEIGHT, sparkline
from processor.web.dashboard.timeline import timeline

NOW = datetime(2026, 11, 29, tzinfo=UTC)
SOURCE = {
    "name": "s",
    "stalled": None,
    "lacks": None,
    "push_loss": None,
    "poll_error": None,
}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "none"),
        (0.0123, "12 ms"),
        (1.26, "1.3 s"),
        (9.98, "10 s"),
        (59.6, "1 min"),
        (3_905, "1 h 5 min"),
        (90_061, "1 d 1 h"),
    ],
)
def test_a_duration_has_two_units(seconds: float | None, text: str):
    assert duration(seconds) == text


def test_a_time_is_now_before_or_ahead():
    assert ago(NOW, NOW) == "now"
    assert ago(NOW - timedelta(seconds=59), NOW) == "59 s ago"
    assert ago(NOW - timedelta(seconds=90), NOW) == "1 min ago"
    assert ago(NOW - timedelta(seconds=90), NOW, exact=True) == "1 min 30 s ago"
    assert ago(NOW + timedelta(hours=2, minutes=5, seconds=3), NOW) == "in 2 h 5 min"


def test_a_finished_job_took_from_its_start_to_its_end_by_whatever_clocks():
    job = {"created_at": NOW, "started_at": None, "finished_at": NOW + timedelta(seconds=9)}
    assert took(job) == 9
    assert took(job | {"started_at": NOW + timedelta(seconds=8)}) == 1
    assert took(job | {"finished_at": NOW - timedelta(seconds=1)}) == 0


def test_a_sparkline_shows_the_slow_ones_high_and_says_it_in_words():
    rows = [
        {"state": state, "attempts": [{"seconds": seconds}] if seconds else []}
        for state, seconds in (("delivered", 0.1), ("failed", 0.4), ("canceled", 0))
    ]
    line = sparkline(rows)
    assert [bar.arrived for bar in line.bars] == [True, False, False]
    assert line.bars[1].height == HEIGHT
    assert line.bars[0].height < HEIGHT
    assert line.text == "1 of the last 3 arrived, the slowest in 400 ms"
    assert sparkline([]).bars == []


def test_the_share_of_each_origin_counts_all_processes_and_only_what_changed_a_job():
    one, two = Metrics(), Metrics()
    one.updates("s", "push", "taken").inc(3)
    one.updates("s", "push", "late").inc(50)
    two.updates("s", "poll", "taken").inc(1)
    two.detection("s", "poll").observe(4.0)
    two.detection("s", "poll").observe(2.0)
    push, poll = by_origin([("one", one.dump()), ("two", two.dump())])["s"]
    assert (push.origin, push.share, push.delay) == ("push", 0.75, None)
    assert (poll.origin, poll.share, poll.delay) == ("poll", 0.25, 3.0)


def entry(was: str, state: str, **more: object) -> dict[str, object]:
    return {"was": was, "state": state, **more}


def test_many_updates_that_change_no_state_are_one_part_of_a_timeline():
    begun, same = entry("queued", "running"), entry("running", "running")
    odd = entry("running", "running", flags=("unknown_status",))
    ignored = entry("running", "running", ignored="older")
    entries = [begun, *[same] * 4, ignored, odd, *[same] * 3]
    found = timeline(entries)
    assert [len(part) for part in found] == [1, 4, 1, 1, 1, 1, 1]
    assert [one for part in found for one in part] == entries
    assert timeline([]) == []


def fares(**more: object) -> Health:
    return Health(DeliveryCounts(), overflows=False, failing=SubscriberHealth())._replace(**more)


@pytest.mark.parametrize(
    ("disabled", "health", "problems"),
    [
        (None, fares(), []),
        ("410", fares(failing=SubscriberHealth(1, 0.0, 9)), ["Disabled: 410"]),
        (None, fares(failing=SubscriberHealth(1, 0.0, 9)), ["9 failed attempts in a row"]),
        (None, fares(overflows=True), ["Overflow: more waits than its queue may hold"]),
        (None, fares(failing=SubscriberHealth(1, 0.0, 1)), ["1 failed attempt"]),
        (None, fares(counts=DeliveryCounts(dead=2)), ["2 dead letters"]),
        (None, fares(counts=DeliveryCounts(dead=1)), ["1 dead letter"]),
    ],
)
def test_a_subscription_that_is_not_well_needs_attention(
    disabled: str | None, health: Health, problems: list[str]
):
    one = Subscription(id="sub_1", url="https://s.example", secrets=(), disabled=disabled)
    found = attention.of_subscriptions([one], {"sub_1": health})
    assert [item.problem for item in found] == problems


@pytest.mark.parametrize(
    ("view", "problems"),
    [
        ({}, []),
        ({"stalled": "401"}, ["Polls are stalled: 401"]),
        ({"lacks": "a secret"}, ["Cannot work: a secret"]),
        ({"push_loss": {"jobs": 100, "share": 0.5}}, ["50% of its webhooks never come"]),
        ({"push_loss": {"jobs": 3, "share": 1.0}}, []),
        ({"poll_error": {"job": "1", "error": "500"}}, ["A poll of 1 failed: 500"]),
        (
            {"poll_error": {"job": "1", "error": "401"}, "stalled": "401"},
            ["Polls are stalled: 401"],
        ),
    ],
)
def test_a_source_that_is_not_well_needs_attention(view: dict[str, object], problems: list[str]):
    found = attention.of_sources([SOURCE | view])
    assert [item.problem for item in found] == problems


def test_a_server_without_workers_or_room_needs_attention():
    good = attention.of_server(1, 0.2, {"poll": 1.0}, [])
    assert list(good) == []
    found = attention.by_urgency(attention.of_server(0, 0.9, {"poll": 90.0}, ["slow disk"]))
    assert [item.problem for item in found] == [
        "None is alive: start `ringback worker`",
        "90% of its memory is used",
        "The oldest work is 90 s late",
        "slow disk",
    ]
