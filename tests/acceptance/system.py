"""One whole Ringback on an embedded Redis, from the outside."""

import http.client
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from processor.cli.embedded_redis import EmbeddedRedis

from .processes import KEY, Child, free_port

STARTS_WITHIN = 20.0  # seconds on a busy machine
WEB, WORKER, CLOCK = ("-m", "processor.web"), ("-m", "workers"), ("-m", "workers.clock")


class System:
    """Redis, and the processes that were started on it, by name."""

    def __init__(self, folder: Path, config: str, **environ: str) -> None:
        """Plan it; nothing runs yet."""
        self.folder = folder
        self.redis = EmbeddedRedis(folder / "data")
        self.port = free_port()
        self.children: dict[str, Child] = {}
        file = folder / "ringback.toml"
        file.write_text(config)
        self.environ = (
            {"RINGBACK_API_KEYS": KEY}
            | environ
            | {
                "REDIS_URL": self.redis.url,
                "PORT": str(self.port),
                "RINGBACK_CONFIG": str(file),
            }
        )

    def __enter__(self) -> Self:
        """Start Redis."""
        self.redis.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything, whatever happened."""
        try:
            for child in self.children.values():
                child.end()
        finally:
            self.redis.kill()

    @property
    def url(self) -> str:
        """Where the web process listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, name: str, *words: str, files: int | None = None, **environ: str) -> Child:
        """Start one process; with `files` it may open only so many."""
        child = Child(words, self.folder / f"{name}.log", self.environ | environ, files)
        self.children[name] = child
        return child

    def start_all(self, files: int | None = None) -> Self:
        """Start one of each, and wait until they are of use; `web` may open `files`."""
        for name, words in (("web", WEB), ("worker", WORKER), ("clock", CLOCK)):
            self.start(name, *words, files=files if name == "web" else None)
        self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """Return when /readyz says so, which takes a worker."""
        ends = time.monotonic() + STARTS_WITHIN
        while self._status("/readyz") != http.client.OK:
            dead = [c for c in self.children.values() if not c.alive]
            assert not dead, f"{dead[0].name} ended: {dead[0].log()}"
            assert time.monotonic() < ends, f"not ready: {self.logs()}"
            time.sleep(0.02)

    def logs(self) -> str:
        """What all processes said."""
        return "\n".join(f"{name}:\n{child.log()}" for name, child in self.children.items())

    def _status(self, path: str) -> int:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5.0)
        try:
            line.request("GET", path)
            return line.getresponse().status
        except OSError:
            return 0
        finally:
            line.close()
