"""Ringback as a contender: `ringback up`, as anyone would start it; nothing is tuned.

An older commit is started the same way: its `ringback up` took the same options and configuration.
"""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from bench import processes, redis_server
from bench.contenders import callbacks, standard
from bench.contenders.running import WORKERS, Running
from bench.environments import THIS_TREE, Installation
from bench.load import workload

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
async def ringback(
    sink: str,
    folder: Path,
    installed: Installation = THIS_TREE,
    *,
    workers: int = WORKERS,
    receivers: int = 1,
    redis: redis_server.Setup | None = None,
) -> AsyncIterator[Running]:
    """Run it; it supervises its own processes and ends them on SIGTERM.

    Further receivers are processes of their own on the same Redis. With `redis`, Ringback uses
    that Redis instead of its embedded one.
    """
    file, log = folder / "ringback.toml", folder / "ringback.log"
    file.write_text(config(sink))
    ports = [processes.free_port() for _ in range(receivers)]
    command = (installed.python, "-m", "processor.cli")
    env = {"RINGBACK_API_KEYS": processes.KEY, "PYTHONPATH": installed.path}
    with contextlib.ExitStack() as stack:
        leaders, socket = [], folder / "data" / "run" / "redis.sock"
        if redis:
            server, socket = stack.enter_context(redis_server.redis_server(folder, redis))
            leaders.append(server.pid)
        url = {"REDIS_URL": f"unix://{socket}"}
        argv = [*command, "up", "--config", str(file), "--data", str(folder / "data")]
        argv += ["--port", str(ports[0]), "--workers", str(workers)]
        up = stack.enter_context(processes.child(argv, log, env | (url if redis else {})))
        await processes.ready(up, ports[0])
        leaders.append(up.pid)
        for port in ports[1:]:
            argv = [*command, "web", "--config", str(file), "--port", str(port)]
            web = stack.enter_context(processes.child(argv, log, env | url))
            await processes.ready(web, port)
            leaders.append(web.pid)
        yield Running(tuple(ports), tuple(leaders), socket, file)
