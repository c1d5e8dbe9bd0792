"""Every Redis key: its type, what it means, how long it lives.

All keys of shard N start with `{rb:N}:`, so that they share one cluster slot. `B` is a
backlog (ingest, poll, deliver), `L` one of its lanes, `S` a source.

    job:S/ID        string  "N-WORD {…}": a job with its version · "to ID": an alias ·
                            "gone": deleted, for 7 d · "new-UID": reserved: pushes of
                            it wait, and its record will have that uid · "held-UID": the
                            same, and its pushes are held           30 d behind its deadline
    history:S/ID    list    what happened to the job, newest last, ≤ 200      as the job
    answer:S/ID     string  the provider's last answer, for the mirror        as the job
    jobs            zset    S/ID by the time its key expires           swept by the clock
    group:ID        string  "N-WORD {…}": a group with its version     30 d behind its deadline
    members:ID      hash    S/ID → place, end and version of a group's member         as the group
    groups          zset    group by the time its key expires          swept by the clock
    task:ID         hash    a wait for jobs that is asked about later (an MCP task): wait: the
                            jobs, and the keyed digest of its owner's API key · end: how it
                            ended, written once                as the job; once ended, 1 d
    seen:S:ID       string  this push was accepted: the uid of the record that it is about,
                            gone (it is ignored), or 1 (it counts for every record)   7 d
    event:ID        hash    body, and n: deliveries that need it    until n is 0, or 14 d
    log             stream  the events, in order                  7 d, at most a million
    log:trimmed     string  id of the newest entry of the log that was trimmed  for good
    held:S/ID       zset    items of ingest that are held until the job is registered, by
                            the time of their arrival                      while work waits
    subs            hash    id → subscription, the same in every shard     until removed
    subs:version    string  a new random word with each change to subs          as subs
    callback:ID     string  a job's own callback target                      as the job
    delivered:ID    stream  records of deliveries that a target got, ≤ 1,000         30 d
    dead:ID         stream  records of those that ended undelivered, ≤ 5,000         30 d
    delivered_ids:ID:DAY  set  ids of events that a subscription got that day         8 d
    failure_scores  hash    lane of deliver → its failure score, if not 0            30 d
    lanes:B         zset    lane by the time when it must be checked       while work waits
    due:B:L         zset    item by due time                               while work waits
    retries:B:L     zset    item that failed, by the time of its retry     while work waits
    claimed:B:L     zset    claimed item (or `?S/ID`, which the mirror polls) by the end
                            of its lease, which is its token                          same
    items:B         hash    item → payload                                 while work waits
    order:ID:UID    zset    a job's deliveries to an ordered subscription by sequence; below
                            0: it failed, and may be skipped               while work waits
    waiting         hash    updates:S, size:S, records:S: waiting updates of a source, their
                            bytes, and those of their jobs' records · held:S: how many of
                            them are held · taken: the sum of the
                            prices of all pushes ever accepted, in bytes            for good
    overflow        hash    subscription → the part of the log that it has yet to get
                            (`FROM TO COUNT`)                      until all is delivered
    paused:B        hash    paused lane → until when                   removed when over
    rate_limit:B    hash    lane → when its budget is full again     as long as the lane's limits
    bucket:ID       hash    what is left of the budget of a credential (ID: its keyed digest), and
                            until when it is parked; only in shard 0       1 s behind both
    deletions       stream  uids of deleted jobs, and of groups after a `g`: wakes those who
                            wait for them; of the last 2 min                        120 s
    waited:S        zset    jobs that somebody waits for, by until when              120 s
    failing:S       zset    jobs whose last poll failed, by until when that counts
                                                            1 h behind the next poll
    nudge:B         list    at most one element: "there is work"      until a worker wakes
    nudge:B:W       list    ends the wait of one worker that drains                 60 s
    clock_step      hash    the last step back of Redis' clock, and how far it was undone  1 h
    busy:B          string  the worker that is claiming, and will claim again         0.25 s

Without a shard:

    rb:meta         hash    shards, schema, the store's random id, when it was made (ms), since
                            when the process runs that chose the shards (ms); the lease of a
                            migration; steps back of Redis' clock: how many, the length and
                            time of the last one (ms), how many are undone           for good
    rb:processes    hash    process → time, schema and mark of its last check  15 s a field
    rb:workers      hash    `worker-N UID` → time and metrics of its last beat  15 s a field
    rb:probe        string  written to check whether Redis accepts writes            1 s
    rb:stalled      hash    source → why its token is refused        until a poll succeeds
    rb:poll_errors  hash    source → its last failed poll: time, job, reason            1 h
    rb:statistics   hash    source → how long its last jobs took, and its lost pushes    30 d

Times in Redis are whole milliseconds of Redis' own clock. Lifetimes of jobs, seen, log, delivered
and dead are the defaults of `Retention` (processor/model.py); RINGBACK_KEEP_… sets others.
"""

import hashlib
import re
from typing import NamedTuple

BACKLOGS = ("ingest", "poll", "deliver")

META = "rb:meta"
PROCESSES = "rb:processes"
PROBE = "rb:probe"
WORKERS = "rb:workers"
STALLED = "rb:stalled"
POLL_ERRORS = "rb:poll_errors"
STATISTICS = "rb:statistics"


SHARED = frozenset(
    [
        "jobs",
        "groups",
        "log",
        "subs",
        "failure_scores",
        "overflow",
        "lanes",
        "items",
        "paused",
        "rate_limit",
        "nudge",
        "busy",
        "meta",
        "waiting",
        "deletions",
    ]
)
"""The first words of keys that all work of a shard or backlog needs; the others belong to one job,
event, target or lane."""


def is_shared(key: str) -> bool:
    """Whether all work needs this key."""
    word = re.match(r"\{rb:\d+\}:([a-z_]+)", key)
    return key != STATISTICS if word is None else word[1] in SHARED


def shard_of(source: str, job: str, shards: int) -> int:
    """The shard of a job's name."""
    if shards == 1:
        return 0
    digest = hashlib.blake2b(f"{source}/{job}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) % shards


def day_of(now: float) -> int:
    """The number of a day (UTC) since 1970."""
    return int(now // 86_400)


class JobKeys(NamedTuple):
    """The keys of one job."""

    job: str  # its record, by `source/id`; or an alias or a tombstone
    history: str
    answer: str  # the last answer to a poll


class EndedKeys(NamedTuple):
    """The keys of a target that change when a delivery to it ends."""

    delivered: str
    dead: str
    today: str  # `delivered_ids` of the target
    yesterday: str


class Keys:
    """The names of one shard's keys; those of a backlog by its name."""

    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.tag = f"{{rb:{shard}}}:"
        self.jobs = self.tag + "jobs"
        self.groups = self.tag + "groups"
        self.log = self.tag + "log"
        self.trimmed = self.tag + "log:trimmed"
        self.deletions = self.tag + "deletions"
        self.subs = self.tag + "subs"
        self.subs_version = self.tag + "subs:version"
        self.failure_scores = self.tag + "failure_scores"
        self.overflow = self.tag + "overflow"
        self.clock_step = self.tag + "clock_step"
        self.waiting = self.tag + "waiting"
        self.lanes = self._of_backlogs("lanes")
        self.items = self._of_backlogs("items")
        self.paused = self._of_backlogs("paused")
        self.rate_limit = self._of_backlogs("rate_limit")
        self.nudge = self._of_backlogs("nudge")
        self.busy = self._of_backlogs("busy")

    def _of_backlogs(self, word: str) -> dict[str, str]:
        return {backlog: f"{self.tag}{word}:{backlog}" for backlog in BACKLOGS}

    def job(self, name: str) -> str:
        """A job, an alias or a tombstone, by `source/id`."""
        return f"{self.tag}job:{name}"

    def job_of(self, source: str, job: str) -> str:
        """The same by source and id."""
        return f"{self.tag}job:{source}/{job}"

    def history(self, name: str) -> str:
        """A job's history."""
        return f"{self.tag}history:{name}"

    def held(self, name: str) -> str:
        """Updates of a job that is not registered."""
        return f"{self.tag}held:{name}"

    def answer(self, name: str) -> str:
        """The last answer to a poll of a job."""
        return f"{self.tag}answer:{name}"

    def job_keys(self, name: str) -> JobKeys:
        """All keys of a job, by `source/id`."""
        return JobKeys(self.job(name), self.history(name), self.answer(name))

    def group(self, group: str) -> str:
        """A group's record."""
        return f"{self.tag}group:{group}"

    def members(self, group: str) -> str:
        """The members of a group."""
        return f"{self.tag}members:{group}"

    def task(self, task: str) -> str:
        """A wait that is asked about later."""
        return f"{self.tag}task:{task}"

    def seen(self, source: str, push: str) -> str:
        """The dedupe mark of one push."""
        return f"{self.tag}seen:{source}:{push}"

    def event(self, event: str) -> str:
        """The body of an event, while deliveries need it."""
        return f"{self.tag}event:{event}"

    def callback(self, target: str) -> str:
        """A callback target."""
        return f"{self.tag}callback:{target}"

    def delivered(self, target: str) -> str:
        """Records of deliveries that a subscription or callback target got."""
        return f"{self.tag}delivered:{target}"

    def dead(self, target: str) -> str:
        """Records of deliveries to a subscription or callback target that ended undelivered."""
        return f"{self.tag}dead:{target}"

    def delivered_ids(self, target: str, day: int) -> str:
        """The ids of the events that a subscription got on a day."""
        return f"{self.tag}delivered_ids:{target}:{day}"

    def ended(self, target: str, today: int) -> EndedKeys:
        """The keys that change when a delivery to a target ends, besides its event's body."""
        days = [self.delivered_ids(target, day) for day in (today, today - 1)]
        return EndedKeys(self.delivered(target), self.dead(target), *days)

    def due(self, backlog: str, lane: str) -> str:
        """Items of a lane that wait."""
        return f"{self.tag}due:{backlog}:{lane}"

    def retries(self, backlog: str, lane: str) -> str:
        """Items of a lane that wait to be retried."""
        return f"{self.tag}retries:{backlog}:{lane}"

    def claimed(self, backlog: str, lane: str) -> str:
        """Items of a lane that are claimed."""
        return f"{self.tag}claimed:{backlog}:{lane}"

    def lane(self, backlog: str, lane: str) -> dict[str, str]:
        """All keys of a lane and its backlog that its items need, by the first word."""
        found = {
            "lanes": self.lanes[backlog],
            "items": self.items[backlog],
            "due": self.due(backlog, lane),
            "retries": self.retries(backlog, lane),
            "claimed": self.claimed(backlog, lane),
            "nudge": self.nudge[backlog],
            "busy": self.busy[backlog],
        }
        return found | {"waiting": self.waiting} if backlog == "ingest" else found

    def wake(self, backlog: str, worker: str) -> str:
        """What ends one worker's wait for a nudge."""
        return f"{self.nudge[backlog]}:{worker}"

    def bucket(self, credential: str) -> str:
        """What is left of the budget of a credential, by its digest."""
        return f"{self.tag}bucket:{credential}"

    def waited(self, source: str) -> str:
        """The jobs of a source that somebody waits for."""
        return f"{self.tag}waited:{source}"

    def failing(self, source: str) -> str:
        """The jobs of a source whose last poll failed."""
        return f"{self.tag}failing:{source}"

    def order(self, target: str, job: str) -> str:
        """The deliveries of a job, by the uid of its record, to an ordered subscription."""
        return f"{self.tag}order:{target}:{job}"
