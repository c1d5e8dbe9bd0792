"""Makes docs/dashboard.png: the overview of a server of its own, with jobs that are made up.

`make browser`, then `.venv-browser/bin/python tools/dashboard_picture.py`; needs a `chromium` on the PATH.
"""

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "dashboard.png"
PORT, KEY, SECRET = 8399, "made-up", b"a secret that was made up"
URL = f"http://127.0.0.1:{PORT}"
CONFIG = f"""
[sources.encoder]
provider = "standard"
webhook_secret = "whsec_{base64.b64encode(SECRET).decode()}"

[sources.bluesky]
provider = "bluesky"
base_url = "http://127.0.0.1:8398"

[egress]
allow = ["127.0.0.1"]
"""
JOBS = {"trailer-4k": 0.35, "episode-12": 0.8, "episode-13": 0.1, "podcast-7": 0.55}


def call(method: str, path: str, body: object, headers: dict[str, str]) -> None:
    """Call the server; it must like it."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, headers, method=method)  # noqa: S310 -- ours
    request.add_header("content-type", "application/json")
    request.add_header("authorization", f"Bearer {KEY}")
    urllib.request.urlopen(request).close()  # noqa: S310 -- ours


def push(job: str, status: str, **more: object) -> None:
    """Send a signed push."""
    body = json.dumps({"id": job, "status": status, **more}).encode()
    name, now = f"msg_{time.time_ns()}", str(int(time.time()))
    digest = hmac.digest(SECRET, f"{name}.{now}.".encode() + body, hashlib.sha256)
    signature = {"webhook-id": name, "webhook-timestamp": now}
    signature["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    call("POST", "/hooks/encoder", body, signature)


@contextmanager
def server() -> Iterator[None]:
    """A whole Ringback, until the end of the context."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "ringback.toml")
        config.write_text(CONFIG, encoding="utf-8")
        words = ["up", "--config", config, "--data", Path(folder, "data"), "--port", str(PORT)]
        child = subprocess.Popen(  # noqa: S603 -- ours
            [ROOT / ".venv" / "bin" / "ringback", *words],
            env={"RINGBACK_API_KEYS": KEY, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until_ready()
            yield
        finally:
            child.terminate()
            child.wait()


def wait_until_ready() -> None:
    """Return when the server says that it is."""
    for _ in range(300):
        try:
            return urllib.request.urlopen(f"{URL}/readyz").close()  # noqa: S310 -- ours
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise TimeoutError(URL)


def fill() -> None:
    """Jobs of each sort, and a subscriber that does not answer."""
    events = ["job.completed", "job.started"]
    call("POST", "/v1/subscriptions", {"url": "http://127.0.0.1:8398/hooks", "events": events}, {})
    call("PUT", "/v1/jobs/bluesky/3kf2a7", {}, {})
    for job, progress in JOBS.items():
        push(job, "running", progress=progress)
    push("episode-11", "succeeded")
    push("intro", "failed", error={"code": "codec", "message": "unknown codec"})


def main() -> None:
    """Make the picture."""
    with server(), sync_playwright() as playwright:
        fill()
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1100, "height": 752})
        page.goto(URL)
        page.get_by_label("API key").fill(KEY)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("job.failed").wait_for()
        page.get_by_text("failed attempt").wait_for()
        page.screenshot(path=PICTURE)
        browser.close()


main()
