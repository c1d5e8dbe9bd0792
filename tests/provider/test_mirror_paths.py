"""The paths of the mirror, also at the root, and the headers in which its key may be sent."""

import base64
from pathlib import Path

import pytest

from processor.config import Settings, load
from processor.config.mirror_root import OURS
from processor.config.profiles import ProfileRegistry
from processor.errors import ConfigError
from processor.provider import mirror_paths, paths_overlap
from processor.provider.field_types import Auth
from processor.web import openapi
from processor.web.app import MCP
from processor.web.auth import PAGES, STATIC

SHIPPED = ProfileRegistry(None)
PARAMS = {"library": "7", "account": "acc", "repo": "o/n", "project": "p", "endpoint": "e"}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("bluesky", "/xrpc/app.bsky.video.getJobStatus?jobId={id}"),
        ("wistia", "/modern/background_job_status/{id}"),
        ("replicate", "/v1/predictions/{id}"),
        ("anthropic", "/v1/messages/batches/{id}"),
        ("runway", "/v1/tasks/{id}"),
        ("assemblyai", "/v2/transcript/{id}"),
        ("cloudconvert", "/v2/jobs/{id}"),  # the path of its base URL is part of it
        ("github", "/repos/o/n/actions/runs/{id}"),
        ("bunny-stream", "/library/7/videos/{id}"),
    ],
)
def test_the_mirror_path_is_that_of_the_providers_status_call(name: str, path: str):
    assert mirror_paths(SHIPPED[name], PARAMS)[None] == path


def test_a_missing_or_invalid_param_means_no_mirror_path():
    for params in ({}, {"library": ""}, {"library": ".."}):
        assert mirror_paths(SHIPPED["bunny-stream"], params) == {}


def test_without_a_poll_path_there_is_no_mirror_path():
    for name in ("standard", "google-lro", "fal", "gladia"):
        found = mirror_paths(SHIPPED[name], {"status_url": "https://x.example/{id}"})
        assert all("{id}" in path for path in found.values())
    assert mirror_paths(SHIPPED["standard"], {"status_url": "https://x.example/{id}"}) == {}
    assert mirror_paths(SHIPPED["google-lro"], {}) == {}


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_kind_that_is_polled_by_a_path_can_be_mirrored(name: str):
    profile = SHIPPED[name]
    paths = {k: known.poll.request.path for k, known in profile.kinds.items() if known.poll}
    asked = {kind: path for kind, path in paths.items() if path and "{id}" in path.text}
    params = {placeholder: "x" for path in asked.values() for placeholder in path.placeholders}
    assert asked.keys() <= mirror_paths(profile, params).keys()


# --- at the root ---------------------------------------------------------------------------


def configured(tmp_path: Path, *tables: str) -> Settings:
    file = tmp_path / "ringback.toml"
    file.write_text("\n".join(tables))
    return load(file, {})


def source(name: str, provider: str, more: str = "") -> str:
    return (
        f'[sources.{name}]\nprovider = "{provider}"\ntoken = "t"\n'
        f'base_url = "https://x.example"\nmirror_root = true\n{more}\n'
    )


def test_sources_may_share_the_root_if_their_paths_differ(tmp_path: Path):
    settings = configured(
        tmp_path,
        source("sky", "bluesky"),
        source("clips", "wistia"),
        source("ci", "github", 'params = { repo = "o/one" }'),
        source("other", "github", 'params = { repo = "o/two" }'),
    )
    assert all(one.mirror_root for one in settings.sources.values())
    assert settings.masked()["sources"]["sky"]["mirror_root"] is True


@pytest.mark.parametrize(
    "tables",
    [
        [source("one", "bluesky"), source("two", "bluesky")],
        [source("one", "wistia"), source("two", "wistia")],
        [source("one", "cloudconvert"), source("two", "coconut")],  # both /v2/jobs/{id}
    ],
)
def test_a_path_that_two_sources_claim_is_an_error(tmp_path: Path, tables: list[str]):
    with pytest.raises(ConfigError, match=r"sources\.two\.mirror_root: .*sources\.one already"):
        configured(tmp_path, *tables)


@pytest.mark.parametrize("name", ["anthropic", "openai", "runway", "replicate"])
def test_a_path_that_would_hide_our_api_is_an_error(tmp_path: Path, name: str):
    with pytest.raises(ConfigError, match=r"mirror_root: .* would hide Ringback's own /v1"):
        configured(tmp_path, source("one", name))


@pytest.mark.parametrize("first", [*sorted(OURS), "{id}"])
def test_no_mirror_path_at_the_root_hides_our_api(tmp_path: Path, first: str):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "acme.toml").write_text(
        f'mirror = "/{first}{"" if first == "{id}" else "/x/{id}"}"\n[poll]\n'
        'request = "GET /jobs/{id}"\nstatus = "/s"\nevery = ["1s", "2s"]\n'
        '[states]\ndone = "succeeded"\n'
    )
    with pytest.raises(ConfigError, match="would hide"):
        configured(tmp_path, 'providers = "mine"', source("one", "acme"))


def test_all_our_own_paths_are_known():
    paths = [*openapi.document()["paths"], PAGES, STATIC, MCP]
    assert {path.split("/")[1] for path in paths} <= {*OURS, ""}


def test_a_source_with_nothing_to_mirror_is_an_error(tmp_path: Path):
    table = '[sources.one]\nprovider = "standard"\nmirror_root = true\n'
    with pytest.raises(ConfigError, match="has no path to mirror"):
        configured(tmp_path, table)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("/a/{id}", "/a/{id}", True),
        ("/a/{id}", "/{id}/b", True),
        ("/a/{id}", "/b/{id}", False),
        ("/a/{id}", "/a/{id}/b", False),
        ("/a/{id}", "/a/x", True),
        ("/a?x={id}", "/a?x={id}", True),
        ("/a?x={id}", "/a?y={id}", False),
        ("/a/{id}", "/a/{id}?x=1", False),
        ("/a/{id}.json", "/a/{id}", True),
    ],
)
def test_paths_overlap_if_one_call_matches_both(one: str, other: str, *, same: bool):
    assert paths_overlap(one, other) is paths_overlap(other, one) is same


# --- the headers of the key ----------------------------------------------------------------------


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("auth", "value", "tokens"),
    [
        ("bearer", "Bearer key", ("key",)),
        ("bearer", "bearer  key", ("key",)),
        ("bearer", "key", ()),
        ("bearer", "Bearer ", ()),
        ("authorization: {token}", "key", ("key",)),
        ("authorization: {token}", "", ()),
        ("Authorization: Key {token}", "Key key", ("key",)),
        ("Authorization: Key {token}", "Bearer key", ()),
        ("X-Api-Key: {token}", "key", ("key",)),
        ("basic", basic("key:"), ("key:", "key")),
        ("basic", basic("id:key"), ("id:key", "id", "key")),
        ("basic", basic("key"), ()),
        ("basic", "Basic %%%", ()),
        ("basic", "Basic /w==", ()),
        ("basic", "Basic", ()),
        ("basic", "Bearer key", ()),
    ],
)
def test_a_token_is_found_where_it_would_be_sent(auth: str, value: str, tokens: tuple[str, ...]):
    assert Auth(auth).tokens(value) == tokens


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_the_auth_of_each_provider_is_understood(name: str):
    for auth in SHIPPED[name].auths:
        header, value = auth.header("a-key:with-two-parts")
        assert "a-key:with-two-parts" in auth.tokens(value)
        assert auth.name == header.lower()
