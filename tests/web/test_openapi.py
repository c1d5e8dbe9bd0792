"""/openapi.json describes exactly what is served."""

import asyncio
import json
import re
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import positive_data_acceptance
from starlette.routing import Route

from processor import payload
from processor.event_types import EVENT_TYPES, JOB_TYPES, POLL_STALLED, TYPES_BY_NAME
from processor.model import State
from processor.service.events.tail import Tailer
from processor.service.jobs import decide
from processor.service.runtime.metrics import Metrics
from processor.web import openapi
from processor.web.app import dashboard, routes
from processor.web.auth import SIGN_IN
from processor.web.hooks import METHODS, PATH
from processor.web.rate_limit import KeylessRateLimit

from .calling import BEARER, KEY, Web
from .documented import check, resolve, validator
from .pushing import SECRET

DOCUMENT = openapi.document()
SHOWN_ELSEWHERE = [positive_data_acceptance]  # no schema knows which cursors exist
OPERATIONS = [
    (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


async def test_the_openapi_document_is_served(web: Web) -> None:
    assert (await web("GET", "/openapi.json")).json() == json.loads(json.dumps(DOCUMENT))


def test_the_document_is_openapi_3_1() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    assert DOCUMENT["openapi"].startswith("3.1.")


def test_its_schemas_are_schemas() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


def references(part: Any) -> set[str]:
    """All `$ref`s in a part."""
    if isinstance(part, list):
        return {found for one in part for found in references(one)}
    if not isinstance(part, dict):
        return set()
    own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
    return own | {found for one in part.values() for found in references(one)}


def test_every_component_exists_and_is_used() -> None:
    used = references(DOCUMENT)
    there = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "parameters", "responses")
        for name in DOCUMENT["components"][kind]
    }
    assert used == there


async def test_the_document_describes_exactly_the_routes(web: Web) -> None:
    found = routes(web.context, Tailer(web.context.store), web.health, KeylessRateLimit())
    assert all(isinstance(route, Route) for route in found)
    served = {
        (route.path.replace("{path:path}", "{path}"), method)
        for route in found
        for method in (route.methods or set()) - {"HEAD"}
    }
    pages = dashboard(web.context, web.health)  # for persons, but for signing in
    served |= {(SIGN_IN, m) for page in pages if page.path == SIGN_IN for m in page.methods or ()}
    described = {(path, method.upper()) for path, method, _ in OPERATIONS}
    assert described == served | {(f"{PATH}{{source}}", m) for m in METHODS}


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_path_parameters_are_described(path: str, method: str, operation: dict[str, Any]) -> None:
    named = {part[1:-1] for part in path.split("/") if part.startswith("{")}
    described = [resolve(p) for p in operation["parameters"]]
    assert named == {p["name"] for p in described if p["in"] == "path"}
    assert all(p["required"] for p in described if p["in"] == "path")
    assert len({(p["name"], p["in"]) for p in described}) == len(described)


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for *_, operation in OPERATIONS]
    names += [hook["post"]["operationId"] for hook in DOCUMENT["webhooks"].values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_calls_without_a_key_are_marked_in_the_document(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    is_open = path.startswith("/hooks/") or path in ("/healthz", "/readyz")
    is_open = is_open or (path, method) == (SIGN_IN, "post")
    assert (operation.get("security") == []) is is_open
    statuses = operation["responses"].keys()
    assert is_open or "default" in statuses or "401" in statuses


# --- real answers ---------------------------------------------------------------------------


async def _callback(web: Web, job: str, url: str) -> str:
    """The id of a callback that a job has from now on."""
    body = {"callback_url": url, "callback_secret": SECRET}
    await web("PUT", f"/v1/jobs/feed/{job}", body)
    (callback,) = await web.items(f"/v1/jobs/feed/{job}/callbacks")
    return str(callback["id"])


async def test_every_successful_response_matches_its_schema(web: Web, provider: Any) -> None:
    """One call at least for each; all other tests' answers are held against it as well."""
    provider.tell('{"jobId": "b", "state": "JOB_STATE_COMPLETED"}')
    subscriptions, jobs, groups = "/v1/subscriptions", "/v1/jobs", "/v1/groups"
    request = {"url": f"{provider.url}/in", "sources": ["feed"], "events": [*EVENT_TYPES]}
    made = (await web("POST", subscriptions, request)).json()
    keyed = (await web("POST", subscriptions, request | {"signature": "v1a"})).json()
    await web.push("1", "running", progress=0.5)
    await web.push("1", "failed", error={"code": "E", "message": "no"}, result=[1])
    await web.deliver()
    await web.push("1", "canceled")
    await web.push("2", "running")
    query = {"subscription": made["id"], "state": "pending"}
    waiting = (await web.items("/v1/deliveries", **query))[0]
    for method, path, body in [
        ("PUT", f"{jobs}/asked/1", {"metadata": {"a": 1}, "aliases": ["x"]}),
        ("PUT", f"{jobs}/asked/1", {}),
        ("GET", f"{jobs}/asked/1", None),
        ("GET", f"{jobs}/feed/1", None),
        ("GET", f"{jobs}/feed/1/history", None),
        ("GET", f"{jobs}/feed/9/callbacks", None),
        ("DELETE", f"{jobs}/feed/9/callbacks/{await _callback(web, '9', request['url'])}", None),
        ("GET", f"{jobs}?limit=1", None),
        ("POST", f"{jobs}/asked/1/poll", None),
        ("POST", f"{jobs}/poll", {"source": "asked"}),
        ("DELETE", f"{jobs}/asked/1", None),
        ("POST", groups, {"id": "g", "jobs": ["feed/3"], "open": True}),
        ("POST", groups, {"id": "g", "jobs": ["feed/3"], "open": True}),
        ("PUT", f"{groups}/g/jobs/feed/4", {}),
        ("GET", f"{groups}/g/jobs", None),
        ("POST", f"{groups}/g/close", None),
        ("GET", f"{groups}/g", None),
        ("GET", groups, None),
        ("GET", "/v1/wait?job=feed/1&group=g&timeout=0", None),
        ("POST", "/v1/wait", {"jobs": ["feed/1"]}),
        ("DELETE", f"{groups}/g", None),
        ("GET", f"{subscriptions}", None),
        ("GET", f"{subscriptions}/{made['id']}", None),
        ("GET", f"{subscriptions}/{keyed['id']}/public-key", None),
        ("PATCH", f"{subscriptions}/{made['id']}", {"metadata": {}}),
        ("POST", f"{subscriptions}/{made['id']}/enable", None),
        ("POST", f"{subscriptions}/{made['id']}/replay", {"since": "1h"}),
        ("POST", f"/v1/deliveries/{waiting['id']}/retry", None),
        ("POST", "/v1/deliveries/retry", {"subscription": made["id"]}),
        ("POST", f"{subscriptions}/{made['id']}/test", None),
        ("POST", f"{subscriptions}/{made['id']}/rotate", None),
        ("GET", f"/v1/deliveries?subscription={made['id']}", None),
        ("GET", "/v1/events", None),
        ("GET", "/v1/sources", None),
        ("GET", "/mirror/bluesky/xrpc/app.bsky.video.getJobStatus?jobId=b", None),
        ("GET", "/mirror/bluesky/final/xrpc/app.bsky.video.getJobStatus?jobId=b", None),
        ("DELETE", f"{subscriptions}/{made['id']}", None),
        ("GET", "/metrics", None),
        ("OPTIONS", "/hooks/clouds", None),
        ("POST", "/session", {"key": KEY}),
        ("DELETE", "/session", None),
        ("GET", "/healthz", None),
        ("GET", "/readyz", None),
        ("GET", "/openapi.json", None),
    ]:
        assert (await web(method, path, body)).status_code < 500 or path == "/readyz"
    token = {"x-gitlab-token": "a token that was made up"}
    assert (await web("POST", "/hooks/ci", {}, headers=token)).status_code == 200
    await web.context.store.heartbeat("w", Metrics().dump())
    assert (await web("GET", "/readyz")).status_code == 200
    web.health.drain()  # so that the stream ends
    await web("GET", "/v1/events", headers={"accept": "text/event-stream"})
    good = {
        (method.upper(), path, int(status))
        for path, method, operation in OPERATIONS
        for status in operation["responses"]
        if status.startswith("2")
    }
    assert good - web.answered == set()


async def test_a_response_that_is_not_described_would_be_noticed(web: Web) -> None:
    answer = await web("PUT", "/v1/jobs/feed/1", {})
    statuses = answer.json()
    for wrong in ({"colour": "red"}, {"state": "lost"}, {"deadline_at": "soon"}):
        answer._content = json.dumps(statuses | wrong).encode()
        with pytest.raises(jsonschema_rs.ValidationError):
            check("PUT", "/v1/jobs/feed/1", answer)
    answer.status_code = 299
    with pytest.raises(AssertionError, match="299"):
        check("PUT", "/v1/jobs/feed/1", answer)


# --- webhooks -------------------------------------------------------------------------------


def test_there_is_a_webhook_for_every_event_type() -> None:
    assert set(DOCUMENT["webhooks"]) == {*EVENT_TYPES, "subscription.test"}
    assert not set(TYPES_BY_NAME) & set(DOCUMENT["webhooks"])


def webhook(kind: str) -> Any:
    body = DOCUMENT["webhooks"][kind]["post"]["requestBody"]["content"]["application/json"]
    return validator(kind, body["schema"])


@pytest.mark.parametrize("kind", JOB_TYPES)
async def test_webhook_bodies_match_their_schemas(web: Web, kind: str) -> None:
    source = web.context.settings.sources["feed"]
    job = decide.new_job(source, "1", 1_795_341_600.0, "uid")
    body = json.loads(payload.event_body(job, kind))
    webhook(kind)(body)
    for wrong in ({"type": "job.exploded"}, {"timestamp": 5}, {"data": {}}):
        with pytest.raises(jsonschema_rs.ValidationError):
            webhook(kind)(body | wrong)


async def test_a_stalled_poll_matches_its_schema(web: Web) -> None:
    job = decide.new_job(web.context.settings.sources["feed"], "1", 1_795_341_600.0, "uid")
    poll = payload.poll_data(job, None, 5.0)
    body = json.loads(payload.poll_stalled_body(job, 1_795_341_600.0, poll))
    webhook(POLL_STALLED)(body)
    with pytest.raises(jsonschema_rs.ValidationError):
        webhook(POLL_STALLED)(body | {"data": body["data"] | {"poll": None}})


async def test_delivered_requests_match_the_document(web: Web, provider: Any) -> None:
    provider.tell("")
    request = {"url": f"{provider.url}/in", "events": [*EVENT_TYPES]}
    made = (await web("POST", "/v1/subscriptions", request)).json()
    await web("POST", f"/v1/subscriptions/{made['id']}/test")
    for status in (State.RUNNING, State.SUCCEEDED):
        await web.push("1", status)
    await web.deliver()
    kinds = set()
    for body, headers in provider.got:
        event = json.loads(body)
        kinds.add(event["type"])
        webhook(event["type"])(event)
        described = DOCUMENT["webhooks"][event["type"]]["post"]["parameters"]
        assert {resolve(p)["name"] for p in described} == {
            h for h in headers if h.startswith("webhook-")
        }
    assert kinds == {"subscription.test", "job.started", "job.succeeded"}


@pytest.mark.parametrize("form", ["cloudevents", "cloudevents-batch"])
async def test_a_cloudevent_is_as_described(web: Web, provider: Any, form: str) -> None:
    provider.tell("")
    request = {"url": f"{provider.url}/in", "format": form}
    await web("POST", "/v1/subscriptions", request)
    await web.push("1", "succeeded")
    await web.deliver()
    ((body, headers),) = provider.got
    content = DOCUMENT["webhooks"]["job.succeeded"]["post"]["requestBody"]["content"]
    validator(form, content[headers["content-type"]]["schema"])(json.loads(body))


# --- other people's eyes --------------------------------------------------------------------


async def test_schemathesis_finds_nothing(served_of: Any, web: Web) -> None:
    """Made-up calls of every operation: no 5xx, and no answer that is not described."""
    served = await served_of()

    async def beat() -> None:  # a heartbeat lasts 15 s, and a busy machine takes longer
        while True:
            await web.context.store.heartbeat("w", Metrics().dump())
            await asyncio.sleep(1)

    await web.context.store.heartbeat("w", Metrics().dump())
    beating = asyncio.create_task(beat())
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    url = f"http://127.0.0.1:{served.port}"

    def attack() -> None:
        for operation in schema.get_all_operations():
            case = operation.ok().as_strategy()

            @given(case=case)
            @settings(
                max_examples=25,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
                database=None,
            )
            def call(case: Any) -> None:
                case.call_and_validate(
                    base_url=url,
                    headers={"Authorization": BEARER["authorization"]},
                    excluded_checks=SHOWN_ELSEWHERE,
                )

            call()

    await asyncio.to_thread(attack)
    beating.cancel()


REFUSED = [
    ("GET", "/v1/jobs?cursor=0.1.2", "cursor", "0.1.2"),
    ("GET", "/v1/subscriptions?cursor=%21", "cursor", "!"),
    ("GET", "/v1/events?after=%21", "after", "!"),
    ("GET", "/v1/jobs/feed/%00", "job", "\0"),
    ("GET", "/v1/jobs/feed/%2E%2E", "job", ".."),
]


@pytest.mark.parametrize(("method", "path", "name", "value"), REFUSED)
async def test_urls_that_the_server_refuses_do_not_match_the_document(
    web: Web, method: str, path: str, name: str, value: str
) -> None:
    assert (await web(method, path)).status_code in (400, 422)
    pattern = openapi.document()["components"]["parameters"][name]["schema"]["pattern"]
    assert not re.search(pattern, value)


@pytest.mark.parametrize("shape", ["CreateSubscription", "UpdateSubscription", "ReplayRequest"])
def test_the_document_names_all_event_types(shape: str) -> None:
    schemas = openapi.document()["components"]["schemas"]
    found = schemas[shape]
    items = found["properties"]["events"]["items"]
    assert {"job.completed", "job.succeeded", "subscription.disabled"} <= set(items["enum"])
