"""Checks /readyz until the web is ready, and prints that once."""

import time

from processor.cli import output
from processor.cli.client import Client, UnreachableError
from processor.cli.exit_codes import CommandError

SLOW = 15.0  # seconds after which a notice says what is missing


class Readiness:
    """Checks /readyz until it answers 200, and not afterwards; a notice says if that takes long."""

    def __init__(self, url: str, key: str, *, json: bool) -> None:
        """`key` says where the API key is that signs in to the dashboard."""
        self._url, self._key, self._json = url, key, json
        self._slow = time.monotonic() + SLOW
        self._ready = False

    def check(self) -> bool:
        """Whether it is ready, or has been ready before."""
        if not self._ready:
            missing = self._missing()
            if missing is None:
                self._ready = True
                ready = f"Ringback is ready at {self._url}"
                dashboard = f"The dashboard is at {self._url}/ (sign in with {self._key})"
                output.result({"ready": self._url}, ready, dashboard, json=self._json)
            elif time.monotonic() > self._slow:
                self._slow = float("inf")
                output.notice(f"not ready yet: {missing}")
        return self._ready

    def _missing(self) -> str | None:
        try:
            Client(self._url, timeout=1.0).get("/readyz")
        except UnreachableError as error:
            return f"the receiver does not answer ({error.reason})"
        except CommandError as error:
            return str(error)
        return None
