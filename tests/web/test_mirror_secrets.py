"""An open mirror tells nobody the token of its source, whatever the provider answers."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from aiohttp import web as aio
from msgspec.structs import replace

from processor.config import Settings
from processor.sizes import IN_THREAD

from .calling import Served, refused

TOKEN = "sk-live-A1b2C3d4E5f6G7h8I9j0K1l2M3n4"
KNOWN = 8  # characters of its beginning that are no secret
PATH = "/mirror/wistia/modern/background_job_status/9"


@pytest.fixture
def settings_of(settings_of: Callable[..., Settings]) -> Callable[..., Settings]:
    """Settings in which the mirror of `wistia` is open."""

    def make(**environ: str) -> Settings:
        settings = settings_of(**environ)
        source = settings.sources["wistia"]
        account = source.account._replace(token=TOKEN)
        settings.sources["wistia"] = replace(source, mirror_open=True, account=account)
        return settings

    return make


@pytest.fixture
async def stranger(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=served.client.base_url, timeout=60.0) as client:
        yield client


def echo(provider: Any, status: int, *, before: str = "", after: str = "") -> None:
    """Have the provider repeat the credential of a request."""

    async def answer() -> aio.Response:
        said = f"{before}it was {provider.headers[-1]['Authorization']}"
        job = {"id": 9, "status": "started", "said": said, "after": after}
        return aio.json_response({"background_job_status": job}, status=status)

    provider.says = answer


@pytest.mark.parametrize("status", [200, 400, 404, 500])
async def test_the_token_is_masked_for_a_caller_without_a_key(
    served: Served, stranger: httpx.AsyncClient, provider: Any, status: int
):
    echo(provider, status)
    for path in (PATH, PATH, PATH.replace("/modern", "/final/modern")):
        answer = await stranger.get(path)
        if status == 200 and "/final/" in path:
            refused(answer, 503)
            assert TOKEN not in answer.text
            continue
        assert answer.status_code == status
        assert answer.json()["background_job_status"]["said"] == "it was Bearer ********"
    assert provider.asked[0][1] == f"Bearer {TOKEN}"


async def test_a_stored_answer_is_masked_too_and_is_whole_with_a_key(
    served: Served, stranger: httpx.AsyncClient, provider: Any
):
    echo(provider, 200)
    said = [
        (await client.get(PATH)).json()["background_job_status"]["said"]
        for client in (served.client, stranger, served.client)
    ]
    assert said == [f"it was Bearer {TOKEN}", "it was Bearer ********", f"it was Bearer {TOKEN}"]


async def test_a_large_answer_is_masked_and_stays_the_same_apart_from_that(
    stranger: httpx.AsyncClient, provider: Any
):
    after = "é€" * (IN_THREAD // 4)
    echo(provider, 200, after=after)
    answer = (await stranger.get(PATH)).json()["background_job_status"]
    assert (answer["said"], answer["after"]) == ("it was Bearer ********", after)


async def test_bytes_that_are_no_text_arrive_as_they_are(
    stranger: httpx.AsyncClient, provider: Any
):
    body = bytes(range(256)) * 8

    async def answer() -> aio.Response:
        return aio.Response(body=body + TOKEN.encode() + body, status=500)

    provider.says = answer
    assert (await stranger.get(PATH)).content == body + b"********" + body


@pytest.mark.parametrize("place", range(80, 130, 9))
@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_token_is_a_502_that_tells_no_part_of_it(
    stranger: httpx.AsyncClient, provider: Any, status: int, place: int
):
    echo(provider, status, before="x " * (place // 2))
    detail = refused(await stranger.get(PATH), 502)
    assert f"HTTP {status}: " in detail
    assert TOKEN[: KNOWN + 1] not in json.dumps(detail)
