"""Use cases: read, decide, write.

context      what every use case works with
running      what every process does around its work
redis_check  looks at Redis' settings, rights and clock
store_watch  notices that Redis was replaced, and starts over
open_files   the limit of open files, raised
keyring      public keys that signatures are checked with, fetched and kept
accepting    a push, from bytes to durable
resolving    which job an update is about
deciding     what is to be written, without I/O
hinting      pushes as hints, where a poll must agree
advancing    updates into jobs
ingesting    the `ingest` backlog
polling      the `poll` backlog
keeping      a provider's last answer, for the mirror and for a 304
masking      what providers said, without our secrets
delivering   the `deliver` backlog
ordering     what a later event of a job may overtake
catching     what was left in the log for subscriptions that have too much waiting
standing     how subscribers stand: who rests, who gets less, who is given up
addressing   where callers want to be called back
wishing      what callers wish for jobs
size_limits  how large what callers give us to keep may become
watching     jobs that callers watch
subscribing  subscriptions and their deliveries
mirroring    the provider's own status call; coalescing, recent
registering  where a provider is to push; requesting
tailing      who waits for events; listening
metrics      what a process counts
"""
