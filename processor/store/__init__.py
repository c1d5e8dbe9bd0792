"""Redis, where the truth is: one method per script.

clock_steps  notices that Redis' clock was set, and undoes what that did
requirements what Redis must be: settings, rights, clock
watchdog     whether Redis answers at all
batch        group commit: one round trip while the last is under way
connection   the scripts, Redis' clock, one error
persistence  whether what Redis answered is in its file
keys         every key, its type and lifetime
lanes        what waits, what is claimed, and how the scripts are told of it
backlogs     work that waits: claim, settle, renew, park
names        names of jobs that are yet to be made, reserved
jobs         jobs: read, commit, aliases, history
places       places in streams
events       the event log
targets      subscriptions and callback targets
deliveries   what they are to get, and what they got
replays      deliveries made once more
health       how well those take it
memory       how full Redis is, and what waits in it
reserve      what the accepted work will still take, priced
memory_budget  admission: what may come in beside it
read_size    how many values to read at once
sealing      their secrets, sealed again with a newer master key
versions     words for compare-and-set that never repeat
fleet        the processes of a store: what it is, and whether it is still it
replacement  what it means if it is not
migration    a store of an older version, brought to our schema
"""

from processor.store.store import Store

__all__ = ["Store"]
