"""The mirror accepts an API key where the provider's own SDK sends its credential; also at the root."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.config import load

from .calling import BEARER, KEY, Web, refused

SOURCES = """
[sources.{name}]
provider = "{provider}"
token = "the provider's own"
base_url = "{url}"
{more}
"""
USED = [
    ("anthropic", "/v1/messages/batches/1", {"x-api-key": KEY}),
    ("assemblyai", "/v2/transcript/1", {"authorization": KEY}),
    ("synthesia", "/v2/videos/1", {"authorization": KEY}),
    ("elevenlabs", "/v1/convai/conversations/1", {"xi-api-key": KEY}),
    ("gitlab", "/api/v4/projects/7/pipelines/1", {"private-token": KEY}),
    ("runway", "/v1/tasks/1", {"authorization": f"Bearer {KEY}"}),
]


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


WAYS = [*USED, *(("mux", "/video/v1/assets/1", basic(f)) for f in (f"{KEY}:", f"id:{KEY}"))]
PARAMS = 'params = { project = "7" }'


@pytest.fixture
def mirroring(web_of: Any, tmp_path: Path, provider: Any, redis_url: str) -> Callable[..., Any]:
    """The web with one source, of which `more` is said."""

    async def make(name: str, more: str = "") -> Web:
        file = tmp_path / "mirrors.toml"
        more = PARAMS if name == "gitlab" else more
        table = SOURCES.format(name=name, provider=name, url=provider.url, more=more)
        file.write_text(table)
        settings = load(file, {"REDIS_URL": redis_url, "RINGBACK_API_KEYS": KEY})
        return await web_of(settings=settings)

    return make


@pytest.mark.parametrize(("name", "path", "headers"), WAYS, ids=str)
async def test_the_key_is_accepted_as_the_sdk_sends_it_and_not_passed_on(
    mirroring: Any, provider: Any, name: str, path: str, headers: dict[str, str]
) -> None:
    provider.tell('{"nothing": "of use"}')
    web = await mirroring(name)
    answer = await web.without_key("GET", f"/mirror/{name}{path}", headers=headers)
    assert answer.status_code == 200
    assert answer.json() == {"nothing": "of use"}
    (seen,) = provider.headers
    assert KEY not in json.dumps(seen)
    assert all(KEY not in str(part) for part in provider.asked)


@pytest.mark.parametrize(("name", "path", "headers"), WAYS, ids=str)
async def test_a_key_in_the_sdks_form_is_refused_elsewhere(
    mirroring: Any, provider: Any, name: str, path: str, headers: dict[str, str]
) -> None:
    """Where the SDK's own way is the bearer token, it is the key for all."""
    if "authorization" in headers and headers["authorization"].startswith("Bearer"):
        return
    web = await mirroring(name)
    for method, other in (
        ("GET", "/v1/jobs"),
        ("GET", path),
        ("GET", f"/mirror/nobody{path}"),
        ("POST", f"/mirror/{name}{path}"),
        ("GET", f"/mirror/{name}"),
    ):
        refused(await web.without_key(method, other, headers=headers), 401)
    assert provider.asked == []


@pytest.mark.parametrize(("name", "path", "headers"), WAYS, ids=str)
async def test_a_wrong_credential_is_refused_at_the_mirror(
    mirroring: Any, provider: Any, name: str, path: str, headers: dict[str, str]
) -> None:
    web = await mirroring(name)
    where = f"/mirror/{name}{path}"
    wrong: list[Any] = [{}, dict.fromkeys(headers, "")]
    wrong += [{name: value + "x" for name, value in headers.items()}]
    wrong += [[(name, value)] * 2 for name, value in headers.items()]  # twice: which counts?
    for bad in wrong:
        refused(await web.without_key("GET", where, headers=bad), 401)
    query = await web.without_key("GET", f"{where}?key={KEY}&api_key={KEY}")
    refused(query, 401)
    assert provider.asked == []


# --- at the root ------------------------------------------------------------------------------

STATUS = "/xrpc/app.bsky.video.getJobStatus?jobId=abc"
ENCODING = {"jobId": "abc", "state": "JOB_STATE_ENCODING"}


async def test_a_mirror_at_the_root_is_the_same_mirror(mirroring: Any, provider: Any) -> None:
    provider.tell(json.dumps(ENCODING))
    web = await mirroring("bluesky", "mirror_root = true")
    refused(await web.without_key("GET", STATUS), 401)
    assert (await web.without_key("GET", STATUS, headers=BEARER)).json() == ENCODING
    assert (await web("GET", f"/mirror/bluesky{STATUS}")).json() == ENCODING
    assert len(provider.asked) == 1
    refused(await web("GET", "/xrpc/app.bsky.video.getJobStatus"), 404)
    refused(await web("GET", "/xrpc/app.bsky.actor.getProfile?actor=x"), 404)
    refused(await web.without_key("POST", STATUS, {}), 401)
    refused(await web("POST", STATUS, {}), 405)


async def test_an_open_mirror_at_the_root_needs_no_key(mirroring: Any, provider: Any) -> None:
    provider.tell(json.dumps(ENCODING))
    web = await mirroring("bluesky", 'mirror_root = true\nmirror = "open"')
    assert (await web.without_key("GET", STATUS)).json() == ENCODING
    refused(await web.without_key("GET", "/xrpc/app.bsky.actor.getProfile?actor=x"), 401)
    refused(await web.without_key("GET", "/v1/jobs"), 401)


async def test_without_mirror_root_the_root_has_no_mirror_paths(
    mirroring: Any, provider: Any
) -> None:
    web = await mirroring("bluesky", 'mirror = "open"')
    refused(await web.without_key("GET", STATUS), 401)
    refused(await web("GET", STATUS), 404)
