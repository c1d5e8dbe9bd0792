"""Event filters: event types, sources, providers and metadata must all match."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from processor.event_filters import EventRouter, expand_names
from processor.event_types import (
    COMPLETED,
    DISABLED,
    EVENT_TYPES,
    GROUP_COMPLETED,
    JOB_TYPES,
    POLL_STALLED,
    TYPES_BY_NAME,
)
from processor.model import Subscription
from processor.state_machine import EVENT_OF_STATE


def subscription(**settings: Any) -> Subscription:
    return Subscription(**{"id": "sub_1", "url": "https://a.example", "secrets": ()} | settings)


def wants(settings: dict[str, Any], kind: str = "job.succeeded", **event: Any) -> bool:
    facts = {"source": "wistia-prod", "provider": "wistia", "metadata": {}} | event
    return bool(EventRouter("v1", [subscription(**settings)]).matching(kind, **facts))


def test_by_default_a_subscription_wants_every_completion_and_nothing_else():
    assert {kind for kind in EVENT_TYPES if wants({}, kind)} == set(COMPLETED)


def test_the_state_machine_emits_the_event_types_of_the_filters():
    assert {*EVENT_OF_STATE.values(), "job.progressed"} == set(JOB_TYPES)
    assert {*JOB_TYPES, POLL_STALLED, GROUP_COMPLETED, DISABLED} == set(EVENT_TYPES)
    assert set(COMPLETED) == {kind for state, kind in EVENT_OF_STATE.items() if state != "running"}


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_a_type_is_wanted_by_its_own_name(kind: str):
    assert {other for other in EVENT_TYPES if wants({"events": (kind,)}, other)} == {kind}


def test_an_event_without_a_job_matches_by_type_only():
    router = EventRouter(
        1,
        [
            subscription(id="sub_1"),
            subscription(id="sub_2", events=(DISABLED,), sources=("x",), metadata={"a": 1}),
            subscription(id="sub_3", events=(DISABLED,), disabled="answered 410"),
        ],
    )
    assert [s.id for s in router.matching_type(DISABLED)] == ["sub_2"]


@pytest.mark.parametrize(("group", "kinds"), TYPES_BY_NAME.items())
def test_a_group_name_matches_its_types(group: str, kinds: tuple[str, ...]):
    assert expand_names([group]) == frozenset(kinds)
    assert expand_names([group, kinds[0], "job.started"]) == {*kinds, "job.started"}


EQUALS: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("no settings", {}, {"metadata": {"a": 1}}, True),
    ("its source", {"sources": ("x", "wistia-prod")}, {}, True),
    ("another source", {"sources": ("x",)}, {}, False),
    ("its provider", {"providers": ("wistia",)}, {}, True),
    ("another provider", {"providers": ("mux",)}, {}, False),
    ("its source, not its provider", {"sources": ("wistia-prod",), "providers": ("m",)}, {}, False),
    ("equal metadata", {"metadata": {"a": "x"}}, {"metadata": {"a": "x", "b": 2}}, True),
    ("other metadata", {"metadata": {"a": "x"}}, {"metadata": {"a": "y"}}, False),
    ("no such metadata", {"metadata": {"a": "x"}}, {"metadata": {"b": "x"}}, False),
    ("all of it", {"metadata": {"a": 1, "b": 2}}, {"metadata": {"a": 1}}, False),
    ("null is not absence", {"metadata": {"a": None}}, {}, False),
    ("null is null", {"metadata": {"a": None}}, {"metadata": {"a": None}}, True),
    ("a structure", {"metadata": {"a": {"b": [1]}}}, {"metadata": {"a": {"b": [1]}}}, True),
    ("1 is 1.0", {"metadata": {"a": 1}}, {"metadata": {"a": 1.0}}, True),
    ("true is not 1", {"metadata": {"a": True}}, {"metadata": {"a": 1}}, False),
    ("false is not 0", {"metadata": {"a": 0}}, {"metadata": {"a": False}}, False),
    ("in an object", {"metadata": {"a": {"b": True}}}, {"metadata": {"a": {"b": 1}}}, False),
    ("in a list", {"metadata": {"a": [0, "x"]}}, {"metadata": {"a": [False, "x"]}}, False),
    ("deeper", {"metadata": {"a": [{"b": [1]}]}}, {"metadata": {"a": [{"b": [True]}]}}, False),
    ("true is true", {"metadata": {"a": [{"b": True}]}}, {"metadata": {"a": [{"b": True}]}}, True),
    ("1 is 1.0 in a list", {"metadata": {"a": [1]}}, {"metadata": {"a": [1.0]}}, True),
    ("another length", {"metadata": {"a": [1]}}, {"metadata": {"a": [1, 2]}}, False),
    ("more members", {"metadata": {"a": {}}}, {"metadata": {"a": {"b": 1}}}, False),
]


@pytest.mark.parametrize(
    ("settings", "event", "good"), [r[1:] for r in EQUALS], ids=[r[0] for r in EQUALS]
)
def test_all_conditions_of_a_filter_must_match(
    settings: dict[str, Any],
    event: dict[str, Any],
    good: bool,  # noqa: FBT001 -- a table's column
):
    assert wants(settings, **event) is good


def test_a_disabled_subscription_matches_nothing():
    assert not wants({"disabled": "answered 410"})


def test_a_router_knows_its_version():
    assert EventRouter("v7", []).version == "v7"


names = st.sampled_from(["a", "b", "c"])
wishes = st.fixed_dictionaries(
    {
        "events": st.lists(st.sampled_from([*EVENT_TYPES, *TYPES_BY_NAME]), min_size=1).map(tuple),
        "sources": st.lists(names, max_size=2).map(tuple),
        "providers": st.lists(names, max_size=2).map(tuple),
        "metadata": st.dictionaries(names, names, max_size=2),
        "disabled": st.sampled_from([None, None, "answered 410"]),
    }
)
events = st.tuples(
    st.sampled_from(EVENT_TYPES), names, names, st.dictionaries(names, names, max_size=3)
)


@given(st.lists(wishes, max_size=5), st.lists(events, max_size=8))
def test_many_subscriptions_match_like_each_alone(
    some: list[dict[str, Any]], events: list[tuple[str, str, str, dict[str, Any]]]
):
    subscriptions = [subscription(**settings, id=f"sub_{n}") for n, settings in enumerate(some)]
    router = EventRouter("v1", subscriptions)
    provider_of = {source: provider for _, source, provider, _ in events}  # one provider a source
    for kind, source, _, metadata in events:
        event = (kind, source, provider_of[source], metadata)
        alone = [s for s in subscriptions if EventRouter("v1", [s]).matching(*event)]
        assert router.matching(*event) == alone


def test_the_fan_out_of_a_source_counts_possible_subscriptions():
    router = EventRouter(
        "v",
        [
            subscription(),
            subscription(sources=("s", "t")),
            subscription(sources=("t",)),
            subscription(events=("subscription.disabled",)),
            subscription(events=("job.started",), sources=("s",)),
            subscription(disabled="410"),
        ],
    )
    for _ in range(2):  # worked out once, and kept
        assert [router.fan_out(source) for source in ("s", "t", "u")] == [3, 3, 1]
