"""/v1/jobs: watch, get, wait, list, poll now, delete."""

import asyncio
import time
from typing import Any
from urllib.parse import quote

import pytest

from .calling import BEARER, Served, Web, refused
from .pushing import SECRET, push, signed

JOB = "/v1/jobs/feed/1"
ASKED = "/v1/jobs/asked/1"
BAD_REQUESTS: list[tuple[Any, str]] = [
    ([], "Expected `object`"),
    ("1", "Expected `object`"),
    ({"colour": "red"}, "colour"),
    ({"metadata": []}, "metadata"),
    ({"deadline": 5}, "deadline"),
    ({"deadline": "soon"}, "deadline"),
    ({"deadline": "-5s"}, "deadline"),
    ({"deadline": "0s"}, "0s is out of range; it goes from 0.001s to 3650d"),
    ({"poll": "often"}, "poll"),
    ({"poll": {}}, "every"),
    ({"poll": {"every": "1x"}}, "poll.every"),
    ({"poll": {"every": "1s", "until": "2s"}}, "until"),
    ({"params": {"a": 1}}, "params"),
    ({"aliases": "a"}, "aliases"),
    ({"aliases": [""]}, "aliases"),
    ({"aliases": [".."]}, "aliases"),
    ({"aliases": ["a\nb"]}, "aliases"),
    ({"aliases": [str(n) for n in range(17)]}, "aliases"),
    ({"submitted": {"status": 200}}, "body"),
    ({"callback_url": "https://hooks.example.com/"}, "RINGBACK_CALLBACK_SECRET"),
    ({"callback_url": "https://hooks.example.com/", "callback_secret": "x"}, "callback_secret"),
    ({"callback_secret": "", "callback_url": "https://hooks.example.com/"}, "callback_secret: a"),
    ({"callback_url": "http://169.254.169.254/", "callback_secret": SECRET}, "callback_url"),
    ({"callback_url": "https://localhost/", "callback_secret": SECRET}, "callback_url"),
    ({"callback_url": "ftp://example.com/", "callback_secret": SECRET}, "callback_url"),
]
BAD_IDS = ["%2e", "%2e%2e", "%2E.", "a%00b", "a%0ab", "%7f", "%C2%85", "%ff", "x" * 513]
GOOD_IDS = ["a/b", "a b", "ü", "history", "a%2Fb", "?&#", "x" * 512, "-", "...", "media:.."]


async def test_a_put_makes_a_job_once(web: Web) -> None:
    first = await web("PUT", JOB, {"metadata": {"a": 1, "b": {"c": 1}}})
    again = await web("PUT", JOB, {"metadata": {"b": {"d": 2}}, "deadline": "2h"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["metadata"] == {"a": 1, "b": {"d": 2}}  # it merges shallowly
    assert (await web("PUT", JOB, {})).json() == again.json()
    assert (await web("GET", JOB)).json() == again.json()
    assert again.json() | {"created_at": 0, "deadline_at": 0} == {
        "source": "feed",
        "provider": "standard",
        "kind": None,
        "id": "1",
        "aliases": [],
        "attempt": 1,
        "sequence": 0,
        "state": "queued",
        "previous_state": None,
        "status": None,
        "progress": None,
        "partial": False,
        "result": None,
        "error": None,
        "metadata": {"a": 1, "b": {"d": 2}},
        "created_at": 0,
        "started_at": None,
        "finished_at": None,
        "counts": None,
        "flags": [],
        "deadline_at": 0,
        "next_poll_at": None,
        "poll": None,
    }


async def test_watching_a_job_emits_no_event(web: Web) -> None:
    await web("PUT", JOB, {})
    assert await web.items("/v1/events") == []
    assert await web.items(f"{JOB}/history") == []


async def test_an_empty_watch_request_is_valid(web: Web) -> None:
    answer = await web("PUT", JOB, headers={"content-type": "application/json"})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("fields", "named"), BAD_REQUESTS, ids=[str(w)[:50] for w, _ in BAD_REQUESTS]
)
async def test_an_invalid_body_is_422_with_the_field(web: Web, fields: Any, named: str) -> None:
    assert named in refused(await web("PUT", JOB, fields), 422)
    refused(await web("GET", JOB), 404)


async def test_a_ninth_callback_is_422(web: Web) -> None:
    for number in range(9):
        fields = {
            "callback_url": f"https://hooks.example.com/{number}",
            "callback_secret": SECRET,
        }
        answer = await web("PUT", JOB, fields)
        assert answer.status_code == (201 if number == 0 else 200 if number < 8 else 422)
    assert "8" in refused(answer, 422)


async def test_callbacks_are_listed_without_their_secrets_and_taken_back(
    web: Web, provider: Any
) -> None:
    provider.tell("")
    await web("PUT", JOB, {})
    assert await web.items(f"{JOB}/callbacks") == []
    for name in ("one", "two"):
        await web("PUT", JOB, {"callback_url": f"{provider.url}/{name}", "callback_secret": SECRET})
    one, two = await web.items(f"{JOB}/callbacks")
    page = (await web("GET", f"{JOB}/callbacks?limit=1")).json()
    assert page["items"] == [one]
    page = (await web("GET", f"{JOB}/callbacks?limit=1&cursor={page['next']}")).json()
    assert page == {"items": [two], "next": None}
    assert [one["url"], two["url"]] == [f"{provider.url}/one", f"{provider.url}/two"]
    assert one.keys() == {"id", "url"}
    gone = f"{JOB}/callbacks/{one['id']}"
    assert (await web("DELETE", gone)).status_code == 204
    assert one["id"] in refused(await web("DELETE", gone), 404)
    await web.push("1", "succeeded")
    (waiting,) = await web.items("/v1/deliveries", subscription=two["id"])
    assert (waiting["state"], waiting["job"]) == ("pending", "feed/1")
    await web.deliver()
    (made,) = await web.items("/v1/deliveries", subscription=two["id"])
    assert (made["state"], made["job"], len(provider.got)) == ("delivered", "feed/1", 1)


async def test_many_puts_of_one_job_at_the_same_time_all_succeed(web: Web) -> None:
    """They take turns; before, most of sixteen gave up as they got in each other's way."""
    puts = [
        web("PUT", JOB, {"metadata": {str(n): n}, "aliases": [f"other-{n}"]}) for n in range(16)
    ]
    answers = await asyncio.gather(*puts)
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
    job = (await web("GET", JOB)).json()
    assert (len(job["metadata"]), len(job["aliases"])) == (16, 16)


async def test_many_puts_with_one_alias_make_one_job(web: Web) -> None:
    puts = [web("PUT", f"/v1/jobs/feed/{n}", {"aliases": ["shared"]}) for n in range(8)]
    answers = await asyncio.gather(*puts)
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    (job,) = await web.items("/v1/jobs")
    assert {job["id"], *job["aliases"]} == {"shared", *map(str, range(8))}


async def test_an_alias_of_two_jobs_is_409(web: Web) -> None:
    assert (await web("PUT", JOB, {"aliases": ["x", "y/z"]})).status_code == 201
    assert "'x'" in refused(await web("PUT", "/v1/jobs/feed/2", {"aliases": ["x"]}), 409)
    found = (await web("GET", "/v1/jobs/feed/y%2Fz")).json()
    assert (found["id"], found["aliases"]) == ("1", ["x", "y/z"])


async def test_a_submitted_response_sets_the_state(web: Web) -> None:
    said = {"jobId": "abc", "state": "JOB_STATE_ENCODING", "progress": 40}
    fields = {"submitted": {"status": 200, "headers": {}, "body": {"jobStatus": said}}}
    job = (await web("PUT", "/v1/jobs/bluesky/mine", fields)).json()
    assert (job["id"], job["aliases"], job["state"], job["progress"]) == (
        *("abc", ["mine"], "running", 0.4),
    )
    refused(await web("PUT", "/v1/jobs/bluesky/other", {"submitted": {"body": "no job"}}), 422)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("raw", BAD_IDS)
async def test_a_bad_id_is_422(web: Web, method: str, raw: str) -> None:
    body = {} if method == "PUT" else None
    refused(await web(method, f"/v1/jobs/feed/{raw}", body), 422)


@pytest.mark.parametrize("path", [b"/v1/jobs/feed/.", b"/v1/jobs/feed/..", b"/v1/jobs/feed/../"])
async def test_dots_are_not_another_path(served: Served, path: bytes) -> None:
    """A client that tidies up URLs would never send these."""
    answer = await served.raw(
        b"GET %b HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: %b\r\n\r\n"
        % (path, BEARER["authorization"].encode())
    )
    assert answer.split()[1] in (b"422", b"404")
    assert b'"items"' not in answer


@pytest.mark.parametrize("raw", ["media:", "media:.", "media:..", "media:%00"])
async def test_the_part_behind_a_kind_must_be_an_id_too(web: Web, raw: str) -> None:
    refused(await web("PUT", f"/v1/jobs/wistia/{raw}", {}), 422)
    refused(await web("GET", f"/v1/jobs/wistia/{raw}"), 422)


@pytest.mark.parametrize("job", GOOD_IDS)
async def test_an_id_is_one_percent_encoded_segment(web: Web, job: str) -> None:
    path = f"/v1/jobs/feed/{quote(job, safe='')}"
    assert (await web("PUT", path, {})).json()["id"] == job
    assert (await web("GET", path)).json()["id"] == job
    assert (await web("GET", f"{path}/history")).json() == {"items": [], "next": None}
    assert (await web("DELETE", path)).status_code == 204


async def test_a_slash_in_an_id_is_no_slash_of_the_path(web: Web) -> None:
    await web("PUT", "/v1/jobs/feed/a%2Fhistory", {})
    assert (await web("GET", "/v1/jobs/feed/a%2Fhistory")).json()["id"] == "a/history"
    refused(await web("GET", "/v1/jobs/feed/a/history"), 404)
    refused(await web("GET", "/v1/jobs/feed/a/b"), 404)


async def test_the_history_has_reasons_and_origins(web: Web) -> None:
    for number, status in enumerate(["running", "queued", "queued", "succeeded", "failed"]):
        await web.push("1", status, occurred_at=f"2026-11-22T10:00:0{number}Z")
    found = await web.items(f"{JOB}/history")
    assert [(e["origin"], e["status"], e["state"], e.get("ignored")) for e in found] == [
        ("push", "running", "running", None),
        ("push", "queued", "running", "behind"),
        ("push", "succeeded", "succeeded", None),
        ("push", "failed", "succeeded", "conflict"),
    ]
    assert [entry["count"] for entry in found] == [1, 2, 1, 1]
    assert found == await web.items(f"{JOB}/history", limit=1)
    assert [entry["event"] for entry in found if "event" in entry] == [
        event["id"] for event in await web.items("/v1/events")
    ]


async def test_poll_now(web: Web, provider: Any) -> None:
    await web("PUT", ASKED, {"poll": {"every": "1h"}})
    before = (await web("GET", ASKED)).json()["next_poll_at"]
    answer = await web("POST", f"{ASKED}/poll")
    assert answer.status_code == 202
    assert (await web("GET", ASKED)).json()["next_poll_at"] < before


async def test_polling_a_job_that_cannot_be_polled_is_409(web: Web) -> None:
    await web("PUT", JOB, {})
    assert "status_url" in refused(await web("POST", f"{JOB}/poll"), 409)
    await web.push("1", "failed", source="asked")
    assert "finished" in refused(await web("POST", f"{ASKED}/poll"), 409)


async def test_all_unfinished_jobs_are_polled(web: Web) -> None:
    await web("PUT", ASKED, {"poll": {"every": "1h"}})
    await web("PUT", JOB, {})  # cannot be polled
    before = (await web("GET", ASKED)).json()["next_poll_at"]
    for body, asked in (({}, 1), ({"source": "asked", "state": "running"}, 0)):
        answer = await web("POST", "/v1/jobs/poll", body)
        assert (answer.status_code, answer.json()) == (202, {"asked": asked})
    assert (await web("GET", ASKED)).json()["next_poll_at"] < before


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"source": "nowhere"}, 404, "nowhere"),
        ({"source": "feed"}, 409, "cannot be polled"),
        ({"state": "lost"}, 422, "state"),
        ({"job": "1"}, 422, "job"),
    ],
)
async def test_jobs_that_cannot_be_polled_are_refused(
    web: Web, body: dict[str, str], status: int, says: str
) -> None:
    assert says in refused(await web("POST", "/v1/jobs/poll", body), status)


async def test_a_job_shows_its_failed_polls(web: Web, provider: Any) -> None:
    await web("PUT", ASKED, {})
    poll = (await web("GET", ASKED)).json()["poll"]
    assert (poll["failures"], poll["last_error"]) == (0, None)
    assert poll["next_at"]


async def test_a_deleted_job_is_a_tombstone(web: Web) -> None:
    await web.push("1", "running")
    answer = await web("DELETE", JOB)
    assert (answer.status_code, answer.content) == (204, b"")
    for method, path in (("GET", JOB), ("DELETE", JOB), ("GET", f"{JOB}/history")):
        refused(await web(method, path), 404)
    await web.push("1", "succeeded")  # late: it is not watched any more
    refused(await web("GET", JOB), 404)
    assert await web.items("/v1/jobs") == []
    assert (await web("PUT", JOB, {})).status_code == 201


# --- waiting --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["wait", "Prefer"])
async def test_waiting_ends_when_the_job_finishes(web: Web, how: str) -> None:
    await web("PUT", JOB, {})
    asked = {"params": {"wait": 20}} if how == "wait" else {"headers": {"Prefer": "wait=20"}}
    waiting = asyncio.create_task(web("GET", JOB, **asked))
    await web.push("1", "running")
    assert not waiting.done()
    await web.push("1", "canceled")
    answer = await asyncio.wait_for(waiting, 5)
    assert (answer.status_code, answer.json()["state"]) == (200, "canceled")
    assert answer.headers.get("preference-applied") == ("wait=20" if how == "Prefer" else None)


@pytest.mark.parametrize(
    ("query", "prefer", "applied"),
    [
        ("?wait=0.05", "", None),
        ("?wait=0", "wait=50", None),  # what the query says goes
        ("", "respond-async, wait=0", "wait=0"),
        ("", "WAIT=0; foo", "wait=0"),
        ("", "wait=soon", None),
    ],
)
async def test_waiting_ends_when_the_time_is_up(
    web: Web, query: str, prefer: str, applied: str | None
) -> None:
    await web("PUT", JOB, {})
    began = time.monotonic()
    answer = await web("GET", f"{JOB}{query}", headers={"Prefer": prefer})
    assert (answer.status_code, answer.json()["state"]) == (200, "queued")
    assert answer.headers.get("preference-applied") == applied
    assert time.monotonic() - began < 2


async def test_a_finished_job_is_not_waited_for(web: Web) -> None:
    await web.push("1", "succeeded")
    answer = await asyncio.wait_for(web("GET", f"{JOB}?wait=60"), 2)
    assert answer.json()["state"] == "succeeded"


@pytest.mark.parametrize("wait", ["-1", "61", "soon", "nan", "inf", ""])
async def test_a_bad_wait_is_422(web: Web, wait: str) -> None:
    await web("PUT", JOB, {})
    assert "wait" in refused(await web("GET", f"{JOB}?wait={wait}"), 422)


async def test_waiting_for_an_unknown_job_is_404_at_once(web: Web) -> None:
    refused(await asyncio.wait_for(web("GET", f"{JOB}?wait=60"), 2), 404)


# --- the list -------------------------------------------------------------------------------


async def test_the_list_filters_and_pages(web: Web) -> None:
    for number in range(7):
        await web.push(f"j{number}", "running" if number % 2 else "succeeded")
    await web("PUT", ASKED, {})
    everything = await web.items("/v1/jobs")
    assert len(everything) == 8
    for limit in (1, 2, 3, 200):
        assert await web.items("/v1/jobs", limit=limit) == everything
    running = await web.items("/v1/jobs", state="running", limit=2)
    assert {job["id"] for job in running} == {"j1", "j3", "j5"}
    assert {job["id"] for job in await web.items("/v1/jobs", source="asked")} == {"1"}
    assert await web.items("/v1/jobs", source="asked", state="failed") == []


@pytest.mark.parametrize("value", ["[" * 3000, "\udc80", "NaN", ""])
async def test_a_filter_by_what_is_no_json_finds_nothing(web: Web, value: str) -> None:
    """A deeply nested value was an internal error."""
    await web("PUT", JOB, {"metadata": {"a": [1]}})
    query = f"metadata=a:{quote(value, errors='surrogatepass')}"
    assert (await web("GET", f"/v1/jobs?{query}")).json() == {"items": [], "next": None}


async def test_an_item_of_the_list_is_the_job(web: Web) -> None:
    await web.push("1", "running", progress=0.5)
    await web("PUT", ASKED, {})  # which has a next poll
    alone = [(await web("GET", path)).json() for path in (JOB, ASKED)]
    assert sorted(await web.items("/v1/jobs"), key=lambda job: str(job["source"])) == alone[::-1]


@pytest.mark.parametrize("state", ["done", "", "RUNNING"])
async def test_an_unknown_state_is_422(web: Web, state: str) -> None:
    assert "expired" in refused(await web("GET", f"/v1/jobs?state={state}"), 422)


async def test_a_pushed_job_is_there_once_it_is_ingested(web: Web) -> None:
    body = push("1", "running", progress=0.25, result={"a": [1]})
    await web("POST", "/hooks/feed", content=body, headers=signed(body))
    refused(await web("GET", JOB), 404)
    await web.ingest()
    job = (await web("GET", JOB)).json()
    assert (job["state"], job["progress"], job["result"]) == ("running", 0.25, {"a": [1]})
    assert job["started_at"].endswith("Z")


async def test_what_is_missing_is_named(web: Web) -> None:
    """The source, if that is unknown; else the job. An id whose slash is not encoded: the remedy."""
    assert "No source 'nope'" in refused(await web("GET", "/v1/jobs/nope/1"), 404)
    assert "No job '9'" in refused(await web("GET", "/v1/jobs/feed/9"), 404)
    assert "a%2Fb" in refused(await web("PUT", "/v1/jobs/feed/a/b", {}), 404)
