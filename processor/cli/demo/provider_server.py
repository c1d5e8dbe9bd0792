"""The simulated Wistia and Bluesky: they answer polls with what their job has come to."""

import json
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from processor.cli.demo.payloads import JSON, Scene

TOKEN = "demo-token"  # noqa: S105 - of a simulated account
NO_TOKEN = {"code": "unauthorized_credentials", "error": "Invalid credentials."}  # Wistia's own 401
NO_JOB = {"error": "NotFound", "message": "no such job in this demo"}


class Providers(ThreadingHTTPServer):
    """Both providers on one loopback port; a job begins when it is first asked about."""

    daemon_threads = True

    def __init__(self, scenes: Iterable[Scene]) -> None:
        """Listen; answer once `serve_forever` runs."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scenes = {scene.asked_at: scene for scene in scenes if scene.asked_at}
        self.begun: dict[str, float] = {}

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, target: str, authorization: str | None, now: float) -> tuple[int, JSON]:
        """Give status and body for one poll."""
        scene = self.scenes.get(target)
        if scene is None:
            return 404, NO_JOB
        if scene.source == "wistia" and authorization != f"Bearer {TOKEN}":
            return 401, NO_TOKEN
        return 200, said(scene, now - self.begun.setdefault(target, now))


def said(scene: Scene, elapsed: float) -> JSON:
    """Give what the provider says of the job by now."""
    return [payload for at, payload in scene.says if at <= elapsed][-1]


class _Handler(BaseHTTPRequestHandler):
    server: Providers

    def do_GET(self) -> None:
        authorization = self.headers.get("Authorization")
        status, payload = self.server.answer(self.path, authorization, time.monotonic())
        body = json.dumps(payload).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Keep quiet: the demo has its own words."""
