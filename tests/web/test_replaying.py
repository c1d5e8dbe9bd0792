"""Subscriptions changed, enabled and replayed, and deliveries retried, as callers see it."""

from typing import Any

import pytest

from .calling import Web, refused
from .test_subscriptions import ALL, BAD_REQUESTS, FIXED, URL, make

NOTHING = {
    "queued": 0,
    "pending": 0,
    "delivered_before": 0,
    "gone": 0,
    "oldest": None,
    "next": None,
}
SHARED = {
    "url",
    "events",
    "sources",
    "concurrency",
    "rate",
    "ordered",
    "auto_disable",
    "format",
    "headers",
    "colour",
}  # the last one means nothing in either
CHANGES: list[tuple[Any, str]] = [
    *((fields, named) for fields, named in BAD_REQUESTS if fields and fields.keys() <= SHARED),
    ({"handshake": "yes"}, "handshake"),
    ({"signature": "v2"}, "signature"),
    ({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "secret"),
    ({"id": "sub_1"}, "id"),
    ({"disabled": None}, "disabled"),
    ({"url": None}, "url"),
]


async def test_patch_replaces_only_the_given_settings(web: Web) -> None:
    made = await make(web, metadata={"a": 1})
    del made["secret"]
    one = f"{ALL}/{made['id']}"
    fields = {"url": f"{URL}/new", "events": ["job.failed"], "sources": ["feed"], "metadata": {}}
    fields |= {"concurrency": 3, "rate": "100/1m", "ordered": True, "format": "cloudevents"}
    fields |= {"auto_disable": False}
    answer = await web("PATCH", one, fields)
    assert answer.status_code == 200
    assert answer.json() == made | fields == (await web("GET", one)).json()
    assert (await web("PATCH", one, {})).json() == made | fields
    assert (await web("PATCH", one, {"rate": None})).json() == made | fields | {"rate": None}
    assert (await web("PATCH", one, {"sources": []})).json()["sources"] == []


async def test_headers_are_replaced_as_a_whole_masked_and_sent(web: Web, provider: Any) -> None:
    provider.tell("")
    made = await make(web, url=f"{provider.url}/in", headers={"X-Old": "hush-old"})
    one = f"{ALL}/{made['id']}"
    await web.push("1", "succeeded")
    answer = await web("PATCH", one, {"headers": {"X-New": "hush-new"}})
    assert answer.json()["headers"] == {"x-new": "********"}
    assert "hush" not in answer.text + (await web("GET", one)).text
    await web.deliver()
    ((_, headers),) = provider.got
    assert (headers["x-new"], headers.get("x-old")) == ("hush-new", None)
    assert (await web("PATCH", one, {"headers": {}})).json()["headers"] == {}


async def test_a_format_holds_for_what_waits_too(web: Web, provider: Any) -> None:
    provider.tell("")
    made = await make(web, url=f"{provider.url}/in")
    await web.push("1", "succeeded")
    await web("PATCH", f"{ALL}/{made['id']}", {"format": "cloudevents"})
    await web.deliver()
    ((_, headers),) = provider.got
    assert headers["content-type"] == "application/cloudevents+json"


async def test_a_test_event_that_arrived_cannot_be_retried_and_says_why(
    web: Web, provider: Any
) -> None:
    provider.tell("")
    made = await make(web, url=f"{provider.url}/in")
    sent = (await web("POST", f"{ALL}/{made['id']}/test")).json()
    await web.deliver()
    delivery = f"/v1/deliveries/{sent['event_id']}.{made['id']}/retry"
    said = refused(await web("POST", delivery, {"again": True}), 409)
    assert "subscriptions test" in said
    assert "7 days" not in said


async def test_another_signature_is_409_with_the_remedy(web: Web) -> None:
    made = await make(web)
    one = f"{ALL}/{made['id']}"
    detail = refused(await web("PATCH", one, {"signature": "v1a", "format": "cloudevents"}), 409)
    assert 'make a new subscription with "signature": "v1a"' in detail
    assert (await web("GET", one)).json()["format"] == "standard"
    assert (await web("PATCH", one, {"signature": "v1"})).status_code == 200


async def test_a_changed_url_needs_a_handshake_if_the_first_had_one(
    web: Web, provider: Any
) -> None:
    provider.tell("", webhook_allowed_origin="*")
    made = await make(web, url=f"{provider.url}/in", handshake=True)
    one = f"{ALL}/{made['id']}"
    provider.tell("")
    fields = {"url": f"{provider.url}/new", "events": ["job.failed"]}
    assert "WebHook-Allowed-Origin" in refused(await web("PATCH", one, fields), 422)
    stands = (await web("GET", one)).json()
    assert (stands["url"], stands["events"]) == (made["url"], ["job.completed"])
    provider.tell("", webhook_allowed_origin="*")
    new = (await web("PATCH", one, fields)).json()
    assert (new["url"], new["handshake"]) == (fields["url"], True)


@pytest.mark.parametrize(("fields", "named"), CHANGES, ids=[str(w)[:60] for w, _ in CHANGES])
async def test_an_invalid_patch_is_422_and_changes_nothing(
    web: Web, fields: Any, named: str
) -> None:
    made = await make(web)
    one = f"{ALL}/{made.pop('id')}"
    before = (await web("GET", one)).json()
    assert named in refused(await web("PATCH", one, fields), 422)
    assert (await web("GET", one)).json() == before


async def test_unknown_and_static_subscriptions_cannot_be_changed(web: Web) -> None:
    refused(await web("PATCH", f"{ALL}/sub_nobody", {}), 404)
    assert "configuration" in refused(await web("PATCH", FIXED, {}), 409)
    for call in ("enable", "replay"):
        refused(
            await web(
                "POST", f"{ALL}/sub_nobody/{call}", {"since": "1h"} if call == "replay" else {}
            ),
            404,
        )
    refused(await web("PATCH", FIXED, content="{}"), 415)
    refused(
        await web("PATCH", FIXED, content="{", headers={"content-type": "application/json"}), 400
    )


async def test_a_subscription_disabled_by_410_is_enabled_and_replayed(
    web: Web, provider: Any
) -> None:
    provider.tell("", 410)
    made = await make(web, url=f"{provider.url}/in", sources=["feed"])
    one = f"{ALL}/{made['id']}"
    await web.push("1", "succeeded")
    await web.deliver()
    await web.push("2", "succeeded")
    assert "enable" in refused(await web("POST", f"{one}/replay", {"since": "1h"}), 409)
    assert (await web("POST", f"{one}/enable")).json()["disabled"] is None
    provider.tell("")
    provider.got.clear()
    answer = await web("POST", f"{one}/replay", {"since": "1h"})
    assert (answer.status_code, answer.json()) == (202, NOTHING | {"queued": 2})
    answer = await web("POST", f"{one}/replay", {"since": "1h", "state": "failed"})
    assert answer.json() == NOTHING | {"pending": 1}


async def test_since_replays_the_past_and_returns_the_result(web: Web, provider: Any) -> None:
    await web.push("1", "succeeded")
    made = await make(web, url=f"{provider.url}/in", since="1h")
    assert made["replay"] == NOTHING | {"queued": 1}
    assert "replay" not in await make(web)
    (event,) = await web.items("/v1/events")
    (waiting,) = await web.items("/v1/deliveries", subscription=made["id"])
    assert waiting["id"] == f"{event['id']}.{made['id']}"
    assert "since" in refused(await web("POST", ALL, {"url": URL, "since": "soon"}), 422)


REPLAYS: list[tuple[Any, int, str]] = [
    ({}, 422, "since"),
    ({"since": 5}, 422, "since"),
    ({"since": "2026-01-01"}, 422, "zone"),
    ({"since": "1h", "until": "x"}, 422, "until"),
    ({"since": "1h", "until": "2h"}, 422, "until: it is before `since`"),
    ({"since": "1h", "state": "delivered"}, 422, "state"),
    ({"since": "1h", "events": ["job.exploded"]}, 422, "job.exploded"),
    ({"since": "1h", "source": "nobody"}, 422, "nobody"),
    ({"since": "1h", "colour": "red"}, 422, "colour"),
    ({"after": "x"}, 400, "cursor"),
    ({"since": "1h", "after": "WzAsIiJd"}, 422, "after: it stands instead of `since`"),
]


@pytest.mark.parametrize(("fields", "status", "named"), REPLAYS)
async def test_a_bad_replay_is_refused(web: Web, fields: Any, status: int, named: str) -> None:
    made = await make(web)
    assert named in refused(await web("POST", f"{ALL}/{made['id']}/replay", fields), status)


async def test_a_delivery_is_retried(web: Web, provider: Any) -> None:
    provider.tell("", 503)
    made = await make(web, url=f"{provider.url}/in")
    await web.push("1", "succeeded")
    await web.deliver()
    (waiting,) = await web.items("/v1/deliveries", subscription=made["id"], state="pending")
    call = f"/v1/deliveries/{waiting['id']}/retry"
    provider.tell("")
    answer = await web("POST", call)
    assert (answer.status_code, answer.json()) == (202, {"id": waiting["id"], "state": "pending"})
    await web.deliver()
    (done,) = await web.items("/v1/deliveries", subscription=made["id"])
    assert [a["status"] for a in done["attempts"]] == [503, 200]
    assert "again" in refused(await web("POST", call), 409)
    refused(await web("POST", "/v1/deliveries/evt_1.sub_nobody/retry"), 404)


async def test_a_410_emits_subscription_disabled(web: Web, provider: Any) -> None:
    provider.tell("", 410)
    made = await make(web, url=f"{provider.url}/in")
    detail = await make(web, events=["subscription.disabled"])
    await web.push("1", "succeeded")
    await web.deliver()
    (item,) = [i for i in await web.items("/v1/events") if i["type"] == "subscription.disabled"]
    assert item["data"] == {
        "subscription": made["id"],
        "url": made["url"],
        "reason": "answered 410",
    }
    (delivery,) = await web.items("/v1/deliveries", subscription=detail["id"])
    assert (delivery["event_id"], delivery["type"]) == (item["id"], item["type"])
