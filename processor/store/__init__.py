"""Redis, where the truth is: one method per script. In reading order:

keys               every key, its type and lifetime
stream_ids         ids of stream entries: milliseconds and a number
versions           words for compare-and-set that never repeat
refusals           what Redis refuses: a key of another type, a command without permission
watchdog           notices that Redis does not answer
script_loader      loads the Lua scripts, each with the shared parts that it uses
pool               connections to Redis, used again
error_translation  our error for each error of Redis
connection         runs scripts and commands; Redis' clock
requirements       what Redis must be: settings, permissions, clock
poll_errors        the last failed poll of each source
stalled_sources    sources whose token is refused
failing_jobs       jobs whose polls fail, by source
persistence        whether what Redis answered is in its append-only file
clock_steps        notices that Redis' clock was set, and undoes what that did
replacement        whether Redis or its data was replaced
fleet              the processes that share a store, and the store's identity
key_scan           finds and renames keys, a page at a time
schema_3           the step of the migration from schema 2 to 3
migration          brings a store of an older version to our schema
group_commit       one write while the last is in flight
read_size          how many values to read at once
work_items         the nouns of a backlog: items, claims, settlements, limits of lanes
planned_poll       polls that wait: the next one of a job, and how they are brought forward
change             what a commit writes of one job
script_args        assembles the keys and arguments of a script call
backlogs           durable work: claim, settle, renew
buckets            what is left of a credential's budget, for all processes
waiters            jobs that somebody waits for
wait_tasks         waits that are asked about later (MCP tasks)
held               updates that wait for the registration of their job
names              names of jobs that are yet to be made, reserved
inbox              accepts updates of pushes, each once
expiry_list        names of jobs or groups in the order in which they expire, of all shards
job_lookup         what is stored under a name: a job, an alias, a tombstone, a reservation
jobs               jobs: read, commit, aliases, history
groups             groups: records, members, commits
events             the event log
subscription_copies  the same subscriptions in every shard
subscriptions      subscriptions and callbacks
deliveries         the deliveries of a subscription: pending, ended, overflow
redeliveries       deliveries made again
subscriber_health  failure scores of subscribers
statistics         statistics of sources, written every few seconds
reseal             encrypts stored secrets with the newest master key
memory             how full Redis is, and what waits in it
reserve            what the accepted work will still need, priced
memory_budget      admission: what may come in beside it
store              the store as one value
"""

from processor.store.store import Store

__all__ = ["Store"]
