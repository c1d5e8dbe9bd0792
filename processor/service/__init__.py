"""Use cases: read, decide, write.

context      what every use case works with
running      what every process does around its work
batching     natural batching
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
standing     how subscribers stand: who rests, who gets less, who is given up
watching     jobs as callers see them
subscribing  subscriptions and their deliveries
mirroring    the provider's own status call
registering  where a provider is to push; requesting
tailing      who waits for events; listening
metrics      what a process counts
"""
