"""Server and key are found as the command line finds them."""

import traceback
from pathlib import Path
from typing import Any

import pytest

from ringback import Ringback
from ringback.settings import find_server

from .scripted_server import answer

URL = "http://127.0.0.1:8080"
SECRET = "do-not-print-me"


@pytest.mark.parametrize("key", [SECRET, f"{SECRET}\n", f" {SECRET}\r\n"])
def test_a_key_is_sent_without_the_space_around_it(script: Any, key: str) -> None:
    server = script(answer(b'{"source": "encoder", "id": "1", "state": "queued"}'))
    with Ringback(server.url, key) as client:
        client.get("encoder", "1")
    assert f"\r\nauthorization: bearer {SECRET}\r\n".encode() in server.requests[0].lower()


@pytest.mark.parametrize("key", [f"{SECRET}\nx", f"{SECRET}ä", f"{SECRET}\0"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(
    kind: Any, key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(given: str | None = None) -> None:
        with pytest.raises(ValueError, match="RINGBACK_API_KEY") as caught:
            kind(URL, given)
        assert SECRET not in "".join(traceback.format_exception(caught.value))

    refused(key)
    (tmp_path / "key").write_text(key, "utf-8")
    monkeypatch.delenv("RINGBACK_API_KEY", raising=False)
    monkeypatch.setenv("RINGBACK_DATA", str(tmp_path))
    refused()


def test_an_empty_key_is_none() -> None:
    environ = {"RINGBACK_API_KEY": SECRET}
    assert find_server(URL, "\n", environ).key == SECRET
    assert find_server("https://ringback.example", "\n", {}).key is None


@pytest.mark.parametrize(
    ("given", "meant", "local"),
    [
        ("127.0.0.1:8080", URL, True),
        ("localhost:8080/", "http://localhost:8080", True),
        ("[::1]:8080", "http://[::1]:8080", True),
        ("ringback.example/prefix", "http://ringback.example/prefix", False),
        ("https://ringback.example", "https://ringback.example", False),
    ],
)
def test_a_url_may_lack_its_scheme(kind: Any, given: str, meant: str, *, local: bool) -> None:
    kind(given, SECRET)
    server = find_server(None, SECRET, {"RINGBACK_URL": given})
    assert (server.url, server.local) == (meant, local)


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "http://", "http://x:99999", "http://[::1", "nonsense:x", "http://x\n", "a b"],
)
def test_an_invalid_url_is_refused(kind: Any, url: str) -> None:
    with pytest.raises(ValueError, match="is not a server's URL"):
        kind(url, SECRET)
