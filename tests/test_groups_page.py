"""The commands of docs/groups.md work as they are written: a server, its jobs, its callback.

Only ports are replaced.
"""

import json
import os
import re
import shutil
import sys
import threading
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from processor.cli.listen_address import free_port
from processor.cli.loopback_server import Handler, LoopbackServer

PAGE = (Path(__file__).parents[1] / "docs" / "groups.md").read_text(encoding="utf-8")
TWENTY, FAIL_FAST, SUBSCRIBE, WAIT = re.findall(
    r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
)
SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
BINARIES = Path(sys.executable).parent
CONFIGURATION = f"""
[sources.encoder]
provider = "standard"
webhook_secret = "{SECRET}"

[egress]
allow = ["127.0.0.1"]
"""


class Subscriber(LoopbackServer):
    """Verifies and keeps what it gets."""

    def __init__(self) -> None:
        super().__init__(0, CallbackHandler)
        self.got: list[tuple[str, dict[str, object]]] = []
        self.answered = threading.Event()


class CallbackHandler(Handler):
    """Answers one callback."""

    server: Subscriber

    def do_POST(self) -> None:  # noqa: N802 -- the base's name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        event = standardwebhooks.Webhook(SECRET).verify(body, dict(self.headers))
        self.server.got.append((self.path, event))
        self.send_response(204)
        self.end_headers()
        self.server.answered.set()


def push(port: int, status: str, *jobs: str) -> None:
    """What the encoder says of its jobs."""
    for job in jobs:
        body, now = json.dumps({"id": job, "status": status}), datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": f"{job}-{status}",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": standardwebhooks.Webhook(SECRET).sign(
                f"{job}-{status}", now, body
            ),
        }
        url = f"http://127.0.0.1:{port}/hooks/encoder"
        urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers)).close()


@pytest.mark.acceptance
@pytest.mark.timeout(90)
def test_the_commands_work_as_they_are_written(tmp_path: Path, shell: Any, terminal: Any):
    port = free_port("127.0.0.1", 0)
    ours = {n: v for n, v in os.environ.items() if not n.startswith(("RINGBACK_", "REDIS_"))}
    ours |= {"PATH": f"{BINARIES}:{os.environ['PATH']}", "CALLBACK_SECRET": SECRET}
    environ = ours | {"RINGBACK_URL": f"http://127.0.0.1:{port}"}
    jobs = [str(n) for n in range(1, 21)]
    (tmp_path / "jobs.txt").write_text("".join(f"encoder/{job}\n" for job in jobs))
    (tmp_path / "ringback.toml").write_text(CONFIGURATION, encoding="utf-8")
    up, callbacks = f"ringback up --port {port}", Subscriber()
    with callbacks.serving(), terminal(up, ours, "Ringback is ready"):

        def run(block: str) -> str:
            block = block.replace("127.0.0.1:9000", f"127.0.0.1:{callbacks.server_port}")
            block = block.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
            return str(shell(block, environ))

        push(port, "succeeded", *jobs[:10])  # they may end before and after the group is created
        rest = threading.Thread(target=push, args=(port, "succeeded", *jobs[10:]))
        rest.start()
        assert run(TWENTY).splitlines()[-1].startswith("group batch-7  succeeded")
        rest.join()
        assert callbacks.answered.wait(10)
        ((path, event),) = callbacks.got
        assert (path, event["type"]) == ("/batches", "group.completed")
        push(port, "failed", "c")
        assert "failed" in run(FAIL_FAST).splitlines()[-1].split()
        assert "whsec_" in run(SUBSCRIBE)
        if shutil.which("curl"):
            assert '"done":true' in run(WAIT)
