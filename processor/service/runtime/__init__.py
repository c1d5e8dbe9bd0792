"""What every process and every use case works with. In reading order:

context      what every use case gets
process      lifecycle of a process: settings, signals, exit codes
logs         JSON log lines
outage       outages of Redis: logged once, survived by periodic tasks
ticks        the pauses of periodic tasks
metrics      counters of one process, and those of the workers
tracing      spans of a push on its way to a delivery, if OpenTelemetry is configured
open_tracer  the tracer that OpenTelemetry's variables ask for
otel         the same, recorded with OpenTelemetry
redis_check  checks Redis' settings, rights and clock every few seconds
store_watch  notices that Redis was replaced, and starts over
open_files   raises the limit of open files
contention   commits a change again after a conflict
in_parts     calls something for many items, for some at the same time
listening_sockets  sockets that a receiver opens, or inherits from `ringback up`
replaced_process  ended by the one that `ringback up` starts in its place
size_limits  limits of the metadata and filters that callers may store
"""
