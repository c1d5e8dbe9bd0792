"""The demo's subscriber: verifies callbacks with the standardwebhooks library."""

import json
from dataclasses import dataclass

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from processor.cli.loopback_server import Handler, LoopbackServer


@dataclass(frozen=True)
class Callback:
    """One verified callback: its webhook-id, its event type, and the job's source and id."""

    id: str
    type: str
    job: tuple[str, str]


class SubscriberServer(LoopbackServer):
    """Keeps the callbacks that verify, and the reasons why others do not."""

    def __init__(self, secret: str) -> None:
        super().__init__(0, _Handler)
        self.verifier = Webhook(secret)
        self.verified: list[Callback] = []
        self.refused: list[str] = []

    @property
    def url(self) -> str:
        """The URL to subscribe."""
        return f"{self.base}/callbacks"

    def receive(self, headers: dict[str, str], body: bytes) -> int:
        """Verify a callback, then read it; returns the status of the answer."""
        try:
            self.verifier.verify(body, headers)
        except (WebhookVerificationError, ValueError) as error:  # garbage raises ValueError
            self.refused.append(str(error))
            return 401
        event = json.loads(body)
        lower_case = {name.lower(): value for name, value in headers.items()}
        job = (event["data"]["source"], event["data"]["id"])
        self.verified.append(Callback(lower_case["webhook-id"], event["type"], job))
        return 204


class _Handler(Handler):
    server: SubscriberServer

    def do_POST(self) -> None:  # noqa: N802 - the base's name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.receive(dict(self.headers.items()), body))
        self.end_headers()
