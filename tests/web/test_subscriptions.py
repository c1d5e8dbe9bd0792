"""/v1/subscriptions and /v1/deliveries."""

import time
from datetime import datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from .calling import Web, refused
from .pushing import SECRET

ALL = "/v1/subscriptions"
FIXED = f"{ALL}/sub_fixed"
URL = "https://hooks.example.com/in"
BAD_REQUESTS: list[tuple[Any, str]] = [
    ({}, "url"),
    ({"url": 1}, "url"),
    ({"url": URL, "colour": "red"}, "colour"),
    ({"url": URL, "events": []}, "events"),
    ({"url": URL, "events": "job.failed"}, "events"),
    ({"url": URL, "events": ["job.exploded"]}, "job.exploded"),
    ({"url": URL, "events": ["group.started"]}, "group.started"),
    ({"url": URL, "sources": ["nobody"]}, "nobody"),
    ({"url": URL, "secret": "short"}, "whsec_"),
    ({"url": URL, "secret": ""}, "secret"),  # as of a variable that is not set
    ({"url": URL, "format": "soap"}, "format"),
    ({"url": URL, "signature": "v2"}, "signature"),
    ({"url": URL, "signature": "v1a", "secret": SECRET}, "whsk_"),
    ({"url": URL, "headers": {"Content-Length": "0"}}, "content-length"),
    ({"url": URL, "headers": {"X-Key": "a\r\nX-Evil: 1"}}, "x-key"),
    ({"url": URL, "headers": [1]}, "headers"),
    ({"url": URL, "headers": {"X-Shown": "********"}}, "write the value"),
    ({"url": URL, "handshake": "yes"}, "handshake"),
    ({"url": URL, "concurrency": 0}, "concurrency"),
    ({"url": URL, "concurrency": 257}, "concurrency"),
    ({"url": URL, "rate": "fast"}, "rate: `fast` is not a rate"),
    ({"url": URL, "rate": "0/1m"}, "100/1m"),
    ({"url": URL, "ordered": "yes"}, "ordered"),
    ({"url": URL, "auto_disable": None}, "auto_disable"),
    ({"url": "https://10.1.2.3/", "handshake": True}, "10.1.2.3"),
    ({"url": URL, "secret": "whsec_AAAA"}, "24"),
    ({"url": "hooks.example.com"}, "https://"),
    ({"url": "http://hooks.example.com/"}, "http"),
    ({"url": "https://10.1.2.3/"}, "10.1.2.3"),
    ({"url": "https://[::1]/"}, "::1"),
    ({"url": "https://169.254.169.254/latest/meta-data"}, "169.254.169.254"),
    ({"url": "https://localhost/"}, "localhost"),
    ({"url": "https://redis:6379/"}, "6379"),
    ({"url": "https://user:pw@hooks.example.com/"}, "user"),
    ({"url": f"{URL}#part"}, "#"),
]


async def make(web: Web, **fields: Any) -> dict[str, Any]:
    answer = await web("POST", ALL, {"url": URL} | fields)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_secret_is_shown_once(web: Web) -> None:
    made = await make(web, events=["job.started", "job.completed"], sources=["feed"])
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made | {"id": 0, "created_at": 0} == {
        "id": 0,
        "url": URL,
        "events": ["job.started", "job.completed"],
        "sources": ["feed"],
        "providers": [],
        "metadata": {},
        "format": "standard",
        "signature": "v1",
        "public_key": None,
        "headers": {},
        "handshake": False,
        "concurrency": 256,
        "rate": None,
        "ordered": False,
        "auto_disable": True,
        "created_at": 0,
        "disabled": None,
        "read_only": False,
    }
    got = await web("GET", f"{ALL}/{made['id']}")
    assert got.json() == made
    assert secret not in got.text + (await web("GET", ALL)).text


async def test_completed_jobs_are_what_is_wanted_by_default(web: Web) -> None:
    assert (await make(web))["events"] == ["job.completed"]


async def test_a_given_secret_is_kept(web: Web) -> None:
    assert (await make(web, secret=SECRET))["secret"] == SECRET


@pytest.mark.parametrize(
    ("fields", "named"), BAD_REQUESTS, ids=[str(w)[:60] for w, _ in BAD_REQUESTS]
)
async def test_an_invalid_body_is_422_with_the_field(web: Web, fields: Any, named: str) -> None:
    assert named in refused(await web("POST", ALL, fields), 422)
    assert [s["id"] for s in await web.items(ALL)] == ["sub_fixed"]


async def test_a_public_key_is_always_shown(web: Web) -> None:
    made = await make(web, signature="v1a")
    assert made.pop("secret") is None
    one = f"{ALL}/{made['id']}"
    first = made["public_key"]
    assert first.startswith("whpk_")
    assert (await web("GET", one)).json() == made
    assert (await web("GET", f"{one}/public-key")).json() == {"keys": [first]}
    second = (await web("POST", f"{one}/rotate")).json()["public_key"]
    assert second != first
    answer = await web("GET", f"{one}/public-key")
    assert answer.json() == {"keys": [second, first]}
    assert "whsk_" not in answer.text + (await web("GET", ALL)).text
    assert "v1a" in refused(await web("GET", f"{FIXED}/public-key"), 404)
    refused(await web("GET", f"{ALL}/sub_nobody/public-key"), 404)


async def test_the_public_key_call_needs_an_api_key(web: Web) -> None:
    refused(await web.without_key("GET", f"{FIXED}/public-key"), 401)


async def test_values_of_headers_are_masked(web: Web) -> None:
    made = await make(web, headers={"X-Api-Key": "hush-hush"})
    assert made["headers"] == {"x-api-key": "********"}
    assert "hush-hush" not in (await web("GET", f"{ALL}/{made['id']}")).text


async def test_a_failed_handshake_is_422(web: Web, provider: Any) -> None:
    fields = {"url": f"{provider.url}/in", "handshake": True}
    provider.tell("")
    assert "WebHook-Allowed-Origin" in refused(await web("POST", ALL, fields), 422)
    provider.tell("", webhook_allowed_origin="*")
    assert (await make(web, **fields))["handshake"] is True


async def test_a_trace_goes_from_the_call_that_registered_a_job_to_its_callback(
    web: Web, provider: Any
) -> None:
    provider.tell("")
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    fields = {"callback_url": f"{provider.url}/in", "callback_secret": SECRET}
    answer = await web("PUT", "/v1/jobs/feed/1", fields, headers={"traceparent": trace})
    assert answer.status_code == 201
    assert "trace" not in answer.text
    await web.push("1", "succeeded")
    await web.deliver()
    ((body, headers),) = provider.got
    assert headers["traceparent"] == trace
    assert trace.encode() not in body


async def test_the_list_pages_the_oldest_first(web: Web) -> None:
    made = [(await make(web))["id"] for _ in range(5)]
    for limit in (1, 2, 5, 6, 200):
        assert [s["id"] for s in await web.items(ALL, limit=limit)] == ["sub_fixed", *made]


async def test_a_cursor_holds_when_its_item_is_removed(web: Web) -> None:
    made = [(await make(web))["id"] for _ in range(4)]
    page = (await web("GET", ALL, params={"limit": 3})).json()
    assert (await web("DELETE", f"{ALL}/{made[1]}")).status_code == 204
    rest = (await web("GET", ALL, params={"cursor": page["next"]})).json()
    assert [s["id"] for s in rest["items"]] == made[2:]
    assert rest["next"] is None


async def test_a_removed_subscription_is_404(web: Web) -> None:
    one = f"{ALL}/{(await make(web))['id']}"
    answer = await web("DELETE", one)
    assert (answer.status_code, answer.content) == (204, b"")
    for method, path in (
        ("GET", one),
        ("DELETE", one),
        ("POST", f"{one}/rotate"),
        ("POST", f"{one}/test"),
    ):
        refused(await web(method, path), 404)


async def test_subscriptions_of_the_file_are_read_only(web: Web) -> None:
    found = (await web("GET", FIXED)).json()
    assert (found["read_only"], found["created_at"], found["sources"]) == (True, None, ["asked"])
    assert "configuration" in refused(await web("DELETE", FIXED), 409)
    assert "configuration" in refused(await web("POST", f"{FIXED}/rotate"), 409)
    assert (await web("POST", f"{FIXED}/test")).status_code == 202


async def test_a_callback_target_is_no_subscription(web: Web) -> None:
    await web("PUT", "/v1/jobs/feed/1", {"callback_url": URL, "callback_secret": SECRET})
    callback = (await web.context.store.jobs.read(web.context.store.shards[0], ["feed/1"]))[0].job
    assert callback is not None
    refused(await web("GET", f"{ALL}/{callback.callbacks[0].id}"), 404)


async def test_after_a_rotation_both_secrets_sign(web: Web, provider: Any) -> None:
    provider.tell("")
    made = await make(web, url=f"{provider.url}/in", secret=SECRET)
    rotated = (await web("POST", f"{ALL}/{made['id']}/rotate")).json()
    assert rotated["secret"] not in (SECRET, None)
    assert rotated == made | {"secret": rotated["secret"]}
    sent = (await web("POST", f"{ALL}/{made['id']}/test")).json()
    await web.deliver()
    ((body, headers),) = provider.got
    for secret in (SECRET, rotated["secret"]):
        event = Webhook(secret).verify(body, headers)
    assert headers["webhook-id"] == sent["event_id"]
    assert event["type"] == "subscription.test"
    assert event["data"]["subscription"] == made["id"]
    assert await web.items("/v1/events") == []


# --- deliveries -----------------------------------------------------------------------------


async def test_a_delivery_shows_its_attempts(web: Web, provider: Any) -> None:
    provider.tell("")
    made = await make(web, url=f"{provider.url}/in", sources=["feed"])
    await web.push("1", "succeeded")
    (event,) = await web.items("/v1/events")
    query = {"subscription": made["id"]}
    (waiting,) = await web.items("/v1/deliveries", **query)
    assert (waiting["state"], waiting["attempts"]) == ("pending", [])
    await web.deliver()
    (delivery,) = await web.items("/v1/deliveries", **query)
    (attempt,) = delivery.pop("attempts")
    assert delivery | {"created_at": 0, "id": 0} == {
        "id": 0,
        "event_id": event["id"],
        "type": "job.succeeded",
        "created_at": 0,
        "subscription": made["id"],
        "job": "feed/1",
        "next_attempt_at": None,
        "state": "delivered",
        "reason": None,
    }
    assert attempt.keys() == {"at", "seconds", "status", "error"}
    assert (attempt["status"], attempt["error"]) == (200, None)
    assert 0 < attempt["seconds"] < 5
    assert abs(datetime.fromisoformat(attempt["at"]).timestamp() - time.time()) < 60


async def test_deliveries_filter_and_page(web: Web, provider: Any) -> None:
    made = await make(web, url=f"{provider.url}/in", sources=["feed"])
    query: dict[str, Any] = {"subscription": made["id"]}
    provider.tell("")
    for number in range(3):
        await web.push(f"good{number}", "succeeded")
    await web.deliver()
    provider.tell("", 503)
    await web.push("later", "succeeded")
    await web.deliver()
    found = await web.items("/v1/deliveries", **query)
    assert [d["state"] for d in found] == ["pending", "delivered", "delivered", "delivered"]
    assert found[0]["attempts"][0]["status"] == 503
    assert found[0]["next_attempt_at"] > found[0]["attempts"][0]["at"]
    for limit in (1, 2, 3):
        assert await web.items("/v1/deliveries", **query, limit=limit) == found
    for state, count in (("pending", 1), ("delivered", 3), ("failed", 0), ("canceled", 0)):
        assert len(await web.items("/v1/deliveries", **query, state=state)) == count


async def test_all_waiting_deliveries_are_retried(web: Web, provider: Any) -> None:
    made = await make(web, url=f"{provider.url}/in", sources=["feed"])
    provider.tell("", 503)
    for number in range(3):
        await web.push(f"{number}", "succeeded")
    await web.deliver()
    provider.tell("")
    body = {"subscription": made["id"]}
    answer = await web("POST", "/v1/deliveries/retry", body)
    assert (answer.status_code, answer.json()) == (202, {"due": 3})
    assert (await web("POST", "/v1/deliveries/retry", body)).json() == {"due": 0}
    await web.deliver()
    found = await web.items("/v1/deliveries", subscription=made["id"])
    assert [d["state"] for d in found] == ["delivered"] * 3
    refused(await web("POST", "/v1/deliveries/retry", {"subscription": "sub_nobody"}), 404)
    assert "nope" in refused(await web("POST", "/v1/deliveries/nope/retry"), 404)


@pytest.mark.parametrize(("status", "headers"), [(410, {}), (500, {"webhook_delivery": "disable"})])
async def test_a_410_disables_even_without_auto_disable(
    web: Web, provider: Any, status: int, headers: dict[str, str]
) -> None:
    provider.tell("", status, **headers)
    made = await make(web, url=f"{provider.url}/in", auto_disable=False)
    await web.push("1", "succeeded")
    await web.deliver()
    assert (await web("GET", f"{ALL}/{made['id']}")).json()["disabled"]
    (delivery,) = await web.items("/v1/deliveries", subscription=made["id"])
    assert (delivery["state"], "wants no more" in delivery["reason"]) == ("failed", True)


async def test_abort_message_ends_one_delivery_and_the_next_is_sent(
    web: Web, provider: Any
) -> None:
    provider.tell("", 500, webhook_delivery="abort-message")
    made = await make(web, url=f"{provider.url}/in")
    await web.push("1", "succeeded")
    await web.deliver()
    (delivery,) = await web.items("/v1/deliveries", subscription=made["id"])
    assert (delivery["state"], "abort-message" in delivery["reason"]) == ("failed", True)
    assert (await web("GET", f"{ALL}/{made['id']}")).json()["disabled"] is None
    provider.tell("")
    await web.push("2", "succeeded")
    await web.deliver()
    assert len(await web.items("/v1/deliveries", subscription=made["id"], state="delivered")) == 1


async def test_a_410_disables(web: Web, provider: Any) -> None:
    provider.tell("", 410)
    made = await make(web, url=f"{provider.url}/in")
    await web.push("1", "succeeded")
    await web.deliver()
    assert "410" in (await web("GET", f"{ALL}/{made['id']}")).json()["disabled"]
    (delivery,) = await web.items("/v1/deliveries", subscription=made["id"])
    assert (delivery["state"], delivery["attempts"][0]["status"]) == ("failed", 410)
    assert "enable it first" in refused(await web("POST", f"{ALL}/{made['id']}/test"), 409)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422),
        ("?subscription=", 422),
        ("?subscription=sub_nobody", 404),
        ("?subscription=sub_fixed&state=lost", 422),
        ("?subscription=sub_fixed&state=", 422),
    ],
)
async def test_deliveries_need_a_subscription(web: Web, query: str, status: int) -> None:
    refused(await web("GET", f"/v1/deliveries{query}"), status)
