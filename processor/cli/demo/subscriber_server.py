"""The one who is called back; it trusts only what other people's code has verified."""

import json
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


@dataclass(frozen=True)
class Callback:
    """One verified call: its webhook-id, and what it says."""

    id: str
    type: str
    job: tuple[str, str]


class Subscriber(ThreadingHTTPServer):
    """Takes callbacks on a loopback port, and keeps what holds and what does not."""

    daemon_threads = True

    def __init__(self, secret: str) -> None:
        """Listen; answer once `serve_forever` runs."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.verifier = Webhook(secret)
        self.verified: list[Callback] = []
        self.refused: list[str] = []

    @property
    def url(self) -> str:
        """Where it wants to be called."""
        return f"http://127.0.0.1:{self.server_port}/callbacks"

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """Verify, then read; gives the status to answer with."""
        try:
            self.verifier.verify(body, headers)
        except (WebhookVerificationError, ValueError) as error:  # garbage escapes as ValueError
            self.refused.append(str(error))
            return 401
        told = json.loads(body)
        names = {name.lower(): value for name, value in headers.items()}
        job = (told["data"]["source"], told["data"]["id"])
        self.verified.append(Callback(names["webhook-id"], told["type"], job))
        return 204


class _Handler(BaseHTTPRequestHandler):
    server: Subscriber

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.take(dict(self.headers.items()), body))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Keep quiet: the demo has its own words."""
