"""The store as one value: its parts, its shards, and whether Redis can be used."""

from collections.abc import Callable, Mapping

from processor.errors import Overloaded
from processor.model import Retention, Subscription
from processor.store.backlogs import Backlogs
from processor.store.buckets import Buckets
from processor.store.clock_steps import ClockSteps
from processor.store.connection import Connection
from processor.store.deliveries import Deliveries
from processor.store.events import Events
from processor.store.failing_jobs import FailingJobs
from processor.store.fleet import Fleet
from processor.store.groups import Groups
from processor.store.held import HeldUpdates
from processor.store.inbox import Inbox
from processor.store.jobs import Jobs
from processor.store.keys import PROBE, WORKERS, Keys, shard_of
from processor.store.memory import Memory
from processor.store.memory_budget import MemoryBudget
from processor.store.migration import Migration
from processor.store.names import Names
from processor.store.persistence import Persistence
from processor.store.planned_poll import PlannedPolls
from processor.store.poll_errors import PollErrors
from processor.store.redeliveries import Redeliveries
from processor.store.requirements import Requirements
from processor.store.reseal import Resealer
from processor.store.reserve import FULL
from processor.store.stalled_sources import StalledSources
from processor.store.statistics import Statistics
from processor.store.subscriber_health import FailureScores
from processor.store.subscriptions import Subscriptions
from processor.store.wait_tasks import WaitTasks
from processor.store.waiters import Waiters
from processor.vault import Vault

INTAKE_CONNECTIONS = 2  # for pushes alone: each process writes one batch of them at a time
HEARTBEAT_INTERVAL = 5.0  # seconds between heartbeats of a worker
HEARTBEAT_LASTS = 15.0


class Store:
    """Everything that Ringback stores."""

    def __init__(
        self,
        url: str,
        *,
        shards: int = 1,
        lease: float = 30.0,
        keep: Retention = Retention(),  # noqa: B008 -- frozen
        static: Mapping[str, Subscription] | None = None,
        vault: Vault | None = None,
    ) -> None:
        """Connect lazily to `url`; `static` are the configuration file's subscriptions.

        `vault` encrypts the secrets of the others; without one they are stored as plain text.
        """
        self.shards = [Keys(n) for n in range(shards)]
        self.connection = Connection(url)
        self.now = self.connection.now  # Redis' time in seconds
        self.fleet = Fleet(self.connection, shards)
        self.requirements = Requirements(self.connection, self.shards[0])
        self._migration = Migration(self.connection, self.shards)
        self.at_replacement: list[Callable[[], None]] = []  # called when the data was replaced
        self.persistence = Persistence(self.connection)
        self.poll_errors = PollErrors(self.connection)
        self.stalled_sources = StalledSources(self.connection)
        self.failing_jobs = FailingJobs(self.connection, self.shards)
        self.keep = keep
        self.backlogs = Backlogs(self.connection, self.shards, lease, keep)
        self.polls = PlannedPolls(self.connection, self.shards)
        self.buckets = Buckets(self.connection, self.shards[0], self.fleet)
        self.waiters = Waiters(self.connection)
        self.clock_steps = ClockSteps(self.connection, self.shards, lease)
        self._intake = self.connection.with_own_pool(INTAKE_CONNECTIONS)
        self.inbox = Inbox(self._intake, self.shards, keep)
        self.jobs = Jobs(self.connection, self.shards, keep, lease)
        self.groups = Groups(self.connection, self.shards, keep)
        self.wait_tasks = WaitTasks(self.connection, self.shards)
        self.names = Names(self._intake, self.shards, keep)
        self.held = HeldUpdates(self.connection, self.shards)
        self.events = Events(self.connection, self.shards, keep)
        self.redeliveries = Redeliveries(self.connection)
        self.failure_scores = FailureScores(self.connection, self.shards[0])
        self.statistics = Statistics(self.connection)
        safe = vault or Vault()
        self.subscriptions = Subscriptions(self.connection, self.shards, static or {}, safe, keep)
        self.deliveries = Deliveries(self.connection, self.shards)
        self.memory = MemoryBudget(
            Memory(self.connection, self.shards), self.subscriptions, self.shards
        )
        self.resealer = Resealer(self.connection, self.shards, safe)

    def shard(self, source: str, job: str) -> Keys:
        """The keys of the shard of a job's name."""
        return self.shards[shard_of(source, job, len(self.shards))]

    async def check(self) -> None:
        """Check that this Redis has our schema and number of shards; ConfigError if not.

        A store of an older version is migrated first, by one process while the others wait.
        """
        meta = await self.fleet.meta()
        if self.fleet.is_older(meta):
            await self._migration.run()
        await self.fleet.join()

    async def check_only(self) -> None:
        """The same for a command, which neither creates a store nor migrates one."""
        self.fleet.check(await self.fleet.meta())

    def forget(self) -> None:
        """Forget what was read from data that was replaced."""
        self.subscriptions.forget()
        self.backlogs.forget()
        self.statistics.forget()
        self.fleet.forget()
        self.buckets.forget()
        self.stalled_sources.forget()
        for forget in self.at_replacement:
            forget()

    async def fullness(self) -> float:
        """The part of Redis' memory limit that is used; 0.0 without a limit."""
        await self.memory.refresh_now()
        return self.memory.use.fullness

    async def writable(self) -> None:
        """StoreUnavailable if Redis accepts no writes, Overloaded if there is no room for more."""
        await self.connection.ask(self.connection.redis.set(PROBE, "1", px=1000))
        await self.memory.refresh_now()
        if self.memory.short:
            raise Overloaded(
                f"Redis is over {FULL:.0%} of its memory, with what is reserved for accepted work: "
                "raise maxmemory"
            )

    async def heartbeat(self, uid: str, metrics: str) -> None:
        """Write a worker's heartbeat, remove those of dead workers, and read Redis' time.

        Workers have numbers, and one that starts gets the lowest that is free: names that were new
        with each start would be new time series with each start.
        """
        await self.connection.synchronise()
        now = await self.now()
        args: list[str | float] = [uid, f"{now:.3f}", now - HEARTBEAT_LASTS, metrics]
        await self.connection.run("beat_worker", [WORKERS], args)

    async def retire(self, uid: str) -> None:
        """Remove a worker's heartbeat: it stops."""
        redis = self.connection.redis
        fields = await self.connection.ask(redis.hkeys(WORKERS))
        ours = [field for field in fields if field.decode().endswith(f" {uid}")]
        if ours:
            await self.connection.ask(redis.hdel(WORKERS, *ours))

    async def workers(self) -> dict[str, str]:
        """Live workers: the metrics that each sent with its last heartbeat, by name."""
        oldest = await self.now() - HEARTBEAT_LASTS
        found = await self.connection.ask(self.connection.redis.hgetall(WORKERS))
        rows = {field.decode(): text.decode().partition(" ") for field, text in found.items()}
        return {
            field.partition(" ")[0]: metrics
            for field, (at, _, metrics) in rows.items()
            if float(at) >= oldest
        }

    async def close(self) -> None:
        """Close all connections."""
        await self._intake.close()
        await self.persistence.close()
        await self.connection.close()
