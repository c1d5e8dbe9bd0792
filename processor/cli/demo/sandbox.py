"""A Ringback in a temporary folder, started with `ringback up` and stopped at the end."""

import json
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processor.cli import key_file
from processor.cli.exit_codes import CommandError, Exit
from processor.cli.parent_death import ends_with_parent
from processor.cli.processes import argv, environment

START_TIMEOUT = 40.0  # seconds, on a slow machine
STOP_TIMEOUT = 27.0  # seconds; `up` promises 25
SETTINGS = ("RINGBACK_", "REDIS_URL", "PORT")  # of a real installation, not for the demo


@contextmanager
def ringback(configuration: str) -> Iterator[tuple[str, str | None]]:
    """Run `ringback up` with this ringback.toml during the block; yields its URL and API key."""
    with tempfile.TemporaryDirectory(prefix="ringback-demo-") as folder:
        config, log = Path(folder, "ringback.toml"), Path(folder, "up.log")
        config.write_text(configuration, encoding="utf-8")
        data = Path(folder, "data")
        process = _start(config, data, log)
        try:
            yield _ready(process, log), key_file.read(data / key_file.NAME)
        finally:
            _stop(process)


def _start(config: Path, data: Path, log: Path) -> subprocess.Popen[bytes]:
    environ = {n: value for n, value in os.environ.items() if not n.startswith(SETTINGS)}
    up = ("up", "--json", "--port", "0", "--config", str(config), "--data", str(data))
    with log.open("wb") as errors:
        return subprocess.Popen(  # noqa: S603 - our own module, no shell
            argv("processor.cli", *up),
            env=environment(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            process_group=0,
            preexec_fn=ends_with_parent(signal.SIGTERM),  # noqa: PLW1509 - only if no threads
        )


def _ready(process: subprocess.Popen[bytes], log: Path) -> str:
    assert process.stdout is not None  # noqa: S101 - piped above
    readable, _, _ = select.select([process.stdout], [], [], START_TIMEOUT)
    line = process.stdout.readline() if readable else b""
    if not line:
        tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-20:])
        raise CommandError(f"the demo's Ringback did not start:\n{tail}", Exit.UNREACHABLE)
    return str(json.loads(line)["ready"])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
