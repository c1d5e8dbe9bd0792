"""Is the web ready? Asked until it is, and told once."""

import time
from collections.abc import Callable

from processor.cli.client import Client
from processor.cli.exit_codes import CommandError

SLOW = 15.0  # seconds without readiness after which we say what is missing


class Readiness:
    """Looks at /readyz until it answers 200, and then no more."""

    def __init__(self, url: str, tell: Callable[[str], None], say: Callable[[str], None]) -> None:
        """`tell` gets the URL when it is ready; `say` a line when that takes long."""
        self._url = url
        self._tell = tell
        self._say = say
        self._slow = time.monotonic() + SLOW
        self._ready = False

    def look(self) -> bool:
        """Whether it is ready, or has been before."""
        if not self._ready:
            missing = self._missing()
            if missing is None:
                self._ready = True
                self._tell(self._url)
            elif time.monotonic() > self._slow:
                self._slow = float("inf")
                self._say(f"not ready yet: {missing}")
        return self._ready

    def _missing(self) -> str | None:
        try:
            Client(self._url, timeout=1.0).get("/readyz")
        except CommandError as error:
            return str(error)
        return None
