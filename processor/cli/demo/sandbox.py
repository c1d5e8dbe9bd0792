"""A Ringback of its own, in a temporary folder: configured, started with `up`, and ended."""

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
from processor.cli.demo.provider_server import TOKEN
from processor.cli.exit_codes import CommandError, Exit
from processor.cli.parent_death import ends_with_parent
from processor.cli.processes import argv, environment

STARTS_WITHIN = 40.0  # seconds, on a slow machine
STOPS_WITHIN = 27.0  # `up` promises 25
OURS = ("RINGBACK_", "REDIS_URL", "PORT")  # settings of a real installation are not for the demo

CONFIGURATION = """\
[sources.wistia]
provider = "wistia"
token = "{token}"
webhook_secret = "{wistia}"
base_url = "{providers}/modern"

[sources.bluesky]
provider = "bluesky"
base_url = "{providers}"

[sources.encoder]
provider = "standard"
webhook_secret = "{encoder}"

[subscriptions.demo]
url = "{subscriber}"
events = ["job.started", "job.progressed", "job.completed"]
secret = "{demo}"
"""


@contextmanager
def ringback(
    providers: str, subscriber: str, secrets: dict[str, str]
) -> Iterator[tuple[str, str | None]]:
    """Run Ringback while the block runs; gives its URL and its key."""
    with tempfile.TemporaryDirectory(prefix="ringback-demo-") as folder:
        config, log = Path(folder, "ringback.toml"), Path(folder, "up.log")
        config.write_text(
            CONFIGURATION.format(
                providers=providers, subscriber=subscriber, token=TOKEN, **secrets
            ),
            encoding="utf-8",
        )
        data = Path(folder, "data")
        process = _start(config, data, log)
        try:
            yield _ready(process, log), key_file.read(data / key_file.NAME)
        finally:
            _stop(process)


def _start(config: Path, data: Path, log: Path) -> subprocess.Popen[bytes]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    up = ("up", "--json", "--port", "0", "--config", str(config), "--data", str(data))
    with log.open("wb") as errors:
        return subprocess.Popen(  # noqa: S603 - our own module, no shell
            argv("processor.cli", *up),
            env=environment(mine),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            process_group=0,
            preexec_fn=ends_with_parent(signal.SIGTERM),  # noqa: PLW1509 - only if no threads
        )


def _ready(process: subprocess.Popen[bytes], log: Path) -> str:
    assert process.stdout is not None  # noqa: S101 - piped above
    told, _, _ = select.select([process.stdout], [], [], STARTS_WITHIN)
    line = process.stdout.readline() if told else b""
    if not line:
        tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-20:])
        raise CommandError(f"the demo's Ringback did not start:\n{tail}", Exit.UNREACHABLE)
    return str(json.loads(line)["ready"])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOPS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
