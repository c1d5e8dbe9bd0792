"""`track` and `trust`: what holds where the file says nothing, and what warns at the start."""

from pathlib import Path

import pytest

from processor.config import Source, load

PUSHES = '[push]\nid = "/id"\nstatus = "/status"\n[states]\ndone = "succeeded"\n'
POLLS = '[poll]\nrequest = "GET /{id}"\nid = "/id"\nstatus = "/status"\nevery = ["1s", "2s"]\n'
SIGNED = '[push.verify]\nscheme = "hmac-sha256"\nheader = "X-Sign"\n'
URL = 'base_url = "https://api.example.com"\n'


def source(folder: Path, profile: str, own: str = "") -> Source:
    (folder / "own.toml").write_text(profile)
    file = folder / "ringback.toml"
    file.write_text(f'providers = "."\n[sources.a]\nprovider = "own"\n{own}')
    settings = load(file, {})
    masked = settings.masked()["sources"]["a"]
    found = settings.sources["a"]
    assert (masked["track"], masked["trust"]) == (found.track, found.trust)
    return found


@pytest.mark.parametrize(
    ("profile", "own", "track", "trust"),
    [
        (PUSHES + SIGNED, 'webhook_secret = "s"', "all", "event"),
        (URL + PUSHES + SIGNED + POLLS, 'webhook_secret = "s"', "all", "event"),
        (PUSHES, "", "registered", "event"),
        (URL + PUSHES + POLLS, "", "registered", "refetch"),
        (PUSHES + POLLS, "", "registered", "event"),  # without a URL it cannot be polled
        (URL + PUSHES + POLLS, 'track = "all"', "all", "refetch"),
        (URL + PUSHES + POLLS, 'trust = "event"', "registered", "event"),
        (URL + PUSHES + POLLS, 'track = "all"\ntrust = "event"', "all", "event"),
        (PUSHES + SIGNED, 'webhook_secret = "s"\ntrack = "registered"', "registered", "event"),
        (URL + POLLS + '[states]\ndone = "succeeded"\n', "", "all", "event"),  # it pushes nothing
    ],
)
def test_where_anybody_may_push_jobs_must_be_registered_and_polled(
    tmp_path: Path, profile: str, own: str, track: str, trust: str
):
    found = source(tmp_path, profile, own)
    assert (found.track, found.trust) == (track, trust)


def test_a_source_that_holds_pushes_and_cannot_be_polled_says_what_to_do(tmp_path: Path):
    reason = source(tmp_path, PUSHES).why_orphaned
    assert reason
    for words in ("24 h", "no [poll]", "PUT /v1/jobs/a/ID", 'track = "all" in [sources.a]'):
        assert words in reason
    assert source(tmp_path, URL + PUSHES + POLLS).why_orphaned is None
    assert source(tmp_path, PUSHES, 'track = "all"').why_orphaned is None
