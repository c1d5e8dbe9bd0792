"""Redis refuses in the middle of the work: a right is missing, or a key holds what is not ours.

Each cause lasts eight seconds under twenty jobs a second. Whoever gets no 202 sends the same push again.
Once the cause is gone, every job whose push was answered 202 is called back, under one id.
"""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from .conftest import standard
from .feed import SECRET, Caller, Push, push
from .sink import Sink
from .system import System
from .waiting import until, until_it

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(90)]

LASTS = 8.0  # seconds of each cause
RATE = 20  # jobs a second
AGAIN = 0.5  # seconds until a push that was refused is sent again
DELIVERED_WITHIN = 20.0
USER = "ringback"
SAID = "redis_unavailable|redis_misconfigured"  # events of which one names the cause

BATCHES = f"""
[sources.batches]
provider = "batched"
webhook_secret = "{SECRET}"
"""
BATCHED = """
docs = "https://example.com"
checked = 2026-11-29

[push]
each = "/jobs"
id = "/id"
status = "/status"

[push.verify]
scheme = "standard-webhooks"

[states]
running = "running"
succeeded = "succeeded"
"""

Step = Callable[[Redis], Awaitable[object]]


class Feed:
    """Sends jobs at a steady rate, each until it is answered 202."""

    def __init__(self, caller: Caller) -> None:
        """Nothing was sent."""
        self._caller = caller
        self._tasks: list[asyncio.Task[None]] = []
        self.answers: list[int] = []

    @property
    def jobs(self) -> set[str]:
        """All jobs that were sent."""
        return {f"job-{n}" for n in range(len(self._tasks))}

    async def run(self, seconds: float) -> None:
        """Send for so long, whatever the answers are."""
        begun, first = time.monotonic(), len(self._tasks)
        while time.monotonic() < begun + seconds:
            one = push("feed", f"job-{len(self._tasks)}", "succeeded")
            self._tasks.append(asyncio.create_task(self._send(one)))
            await asyncio.sleep(begun + (len(self._tasks) - first) / RATE - time.monotonic())

    async def taken(self) -> None:
        """Wait until all were answered 202."""
        async with asyncio.timeout(DELIVERED_WITHIN):
            await asyncio.gather(*self._tasks)

    async def _send(self, one: Push) -> None:
        while True:
            self.answers.append(await self._caller.push(one))
            if self.answers[-1] == 202:
                return
            await asyncio.sleep(AGAIN)


def running(plan: Callable[..., System], config: str = "", top: str = "") -> System:
    """A Ringback whose Redis user can lose a right; not started yet."""
    system = plan(standard("feed") + config)
    file = Path(system.environ["RINGBACK_CONFIG"])
    file.write_text(top + file.read_text())
    system.environ["REDIS_URL"] = system.redis.url.replace("unix://", f"unix://{USER}:pw@")
    return system


async def deny_zadd(redis: Redis) -> None:
    await redis.execute_command("ACL", "SETUSER", USER, "-zadd")


async def allow_zadd(redis: Redis) -> None:
    await redis.execute_command("ACL", "SETUSER", USER, "+zadd")


async def set_aside(redis: Redis, key: str) -> None:
    """Put a string in the place of a key."""
    pipe = redis.pipeline(transaction=True)
    if await redis.exists(key):
        pipe.rename(key, "aside")
    pipe.set(key, "not Ringback's")
    await pipe.execute()


async def put_back(redis: Redis, key: str) -> None:
    """Put the key back, or nothing where there was none."""
    pipe = redis.pipeline(transaction=True)
    pipe.delete(key)
    if await redis.exists("aside"):
        pipe.rename("aside", key)
    await pipe.execute()


CAUSES: dict[str, tuple[Step, Step, str]] = {
    "zadd is denied": (deny_zadd, allow_zadd, "zadd"),
    "the log is a string": (
        lambda redis: set_aside(redis, "{rb:0}:log"),
        lambda redis: put_back(redis, "{rb:0}:log"),
        "{rb:0}:log",
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
async def test_what_was_accepted_while_redis_refused_is_delivered_under_one_id(
    plan: Callable[..., System], cause: str
) -> None:
    begins, ends, named = CAUSES[cause]
    system = running(plan)
    redis = Redis(unix_socket_path=system.redis.url.removeprefix("unix://"))
    await redis.execute_command("ACL", "SETUSER", USER, "on", ">pw", "~*", "&*", "+@all")
    system.start_all()
    async with redis, Caller(system.url) as caller, Sink() as sink:
        await caller.subscribe(sink, "feed")
        feed = Feed(caller)
        await feed.run(1.0)
        await begins(redis)
        await feed.run(LASTS)
        await ends(redis)
        await feed.run(1.0)
        await feed.taken()
        lost = lambda: feed.jobs - sink.jobs  # noqa: E731 -- looked at again and again
        await until(lambda: not lost(), DELIVERED_WITHIN, "callbacks for", lost)
    assert {job: ids for job, ids in sink.ids().items() if len(ids) != 1} == {}
    assert set(feed.answers) <= {202, 503}
    assert "Traceback" not in system.logs()
    said = [line for line in system.logs().splitlines() if re.search(SAID, line)]
    assert named in "".join(said).lower(), system.logs()


async def test_a_bad_key_of_one_job_stops_no_other_of_its_push(
    plan: Callable[..., System], tmp_path: Path
) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "batched.toml").write_text(BATCHED)
    system = running(plan, BATCHES, 'providers = "profiles"\n')
    redis = Redis(unix_socket_path=system.redis.url.removeprefix("unix://"))
    await redis.execute_command("ACL", "SETUSER", USER, "on", ">pw", "~*", "&*", "+@all")
    system.start_all()
    names = [f"batch-{n}" for n in range(50)]
    bad, history = names[25], f"{{rb:0}}:history:batches/{names[25]}"

    async def bad_waits() -> bool:
        return "update_error" in system.logs()

    async with redis, Caller(system.url) as caller, Sink() as sink, Sink() as other:
        await caller.subscribe(sink, "batches")
        await caller.subscribe(other, "feed")
        for state in ("running", "succeeded"):
            if state == "succeeded":
                await set_aside(redis, history)
            assert await caller.push(batch(names, state)) == 202
        feed = Feed(caller)
        await feed.run(LASTS)
        mates = set(names) - {bad}
        await until(lambda: sink.jobs >= mates, 5, "the others", lambda: mates - sink.jobs)
        assert bad not in sink.jobs
        await until_it(bad_waits, 5, "a line in the log")
        assert history in next(
            line for line in system.logs().splitlines() if "update_error" in line
        )
        await put_back(redis, history)
        await hurry(redis, "ingest", "batches")
        await until(lambda: sink.jobs >= set(names), DELIVERED_WITHIN, bad)
        await feed.taken()
        await until(lambda: other.jobs >= feed.jobs, DELIVERED_WITHIN, "the other source's")
    assert {job: ids for job, ids in sink.ids().items() if len(ids) != 1} == {}
    assert "Traceback" not in system.logs()


def batch(names: list[str], state: str) -> Push:
    """One push with an update of each job."""
    one = push("batches", "batch", state, jobs=[{"id": name, "status": state} for name in names])
    assert json.loads(one.body)["jobs"]
    return one


async def hurry(redis: Redis, backlog: str, lane: str) -> None:
    """Make due now what would be tried again in a minute."""
    due = f"{{rb:0}}:due:{backlog}:{lane}"
    pushes = [
        item for item in await redis.zrange(due, 0, -1) if item.startswith(lane.encode() + b":")
    ]
    await redis.zadd(due, dict.fromkeys(pushes, 1))
    await redis.zadd(f"{{rb:0}}:lanes:{backlog}", {lane: 1})
