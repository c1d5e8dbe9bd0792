"""The load: one process, on raw sockets, the same for all contenders.

workload   what is pushed: signed pushes of 1 KiB, as ready bytes
loadgen    connections that push
sink       the subscriber that everyone calls back
http11     just enough HTTP/1.1 to frame messages
driver     drives one run: pushes, waits for every callback, measures processor time
latency    from push to callback, at a given rate
"""
