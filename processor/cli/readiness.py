"""Checks /readyz until the web is ready, and reports that once."""

import time
from collections.abc import Callable

from processor.cli.client import Client
from processor.cli.exit_codes import CommandError

SLOW = 15.0  # seconds after which a notice says what is missing


class Readiness:
    """Checks /readyz until it answers 200, and not afterwards."""

    def __init__(
        self, url: str, on_ready: Callable[[str], None], on_slow: Callable[[str], None]
    ) -> None:
        """`on_ready` gets the URL when it is ready; `on_slow` a line if that takes long."""
        self._url = url
        self._on_ready = on_ready
        self._on_slow = on_slow
        self._slow = time.monotonic() + SLOW
        self._ready = False

    def check(self) -> bool:
        """Whether it is ready, or has been ready before."""
        if not self._ready:
            missing = self._missing()
            if missing is None:
                self._ready = True
                self._on_ready(self._url)
            elif time.monotonic() > self._slow:
                self._slow = float("inf")
                self._on_slow(f"not ready yet: {missing}")
        return self._ready

    def _missing(self) -> str | None:
        try:
            Client(self._url, timeout=1.0).get("/readyz")
        except CommandError as error:
            return str(error)
        return None
