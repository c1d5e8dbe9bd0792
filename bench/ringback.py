"""Ringback as a contender: `ringback up` with its embedded Redis, as anyone would start it."""

import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import callbacks
import contenders
import processes
import standard
import workload

COMMAND = Path(sys.executable).with_name("ringback")
SOURCES = f"""\
[sources.{standard.SOURCE}]
provider = "standard"
webhook_secret = "{workload.PUSH_SECRET}"

[sources.other]
provider = "standard"
webhook_secret = "{workload.PUSH_SECRET}"
"""


def subscription(one: callbacks.Subscription, url: str) -> str:
    """Return one subscription's table; a JSON list of strings is a TOML one too."""
    sources = f"sources = {json.dumps(one.sources)}\n" if one.sources else ""
    return (
        f'\n[subscriptions.{one.name}]\nurl = "{url}"\nevents = {json.dumps(one.events)}\n'
        f'{sources}secret = "{callbacks.CALLBACK_SECRET}"\n'
    )


def config(url: str) -> str:
    """Return the whole ringback.toml: two sources, ten subscriptions."""
    return SOURCES + "".join(subscription(one, url) for one in callbacks.SUBSCRIPTIONS)


@contextlib.asynccontextmanager
async def ringback(sink: str, folder: Path) -> AsyncIterator[contenders.Running]:
    """Run it; it supervises its own processes and ends them on SIGTERM."""
    if not COMMAND.exists():
        raise FileNotFoundError(f"no {COMMAND}: install Ringback there (make test does)")
    file, log, port = folder / "ringback.toml", folder / "ringback.log", processes.free_port()
    file.write_text(config(sink))
    argv = [str(COMMAND), "up", "--config", str(file), "--data", str(folder / "data")]
    argv += ["--port", str(port), "--workers", str(contenders.WORKERS)]
    with processes.child(argv, log, {"RINGBACK_API_KEYS": processes.KEY}) as process:
        await processes.ready(process, port)
        yield contenders.Running(port, (process.pid,))
