"""The event log. In reading order:

ordering   which later event of a job may supersede an earlier one
publish    an event of a job, and its deliveries
selection  which events a caller wants to read, and pages of them
listener   one reader of the log, which may be slower than the log grows
tail       one log follower a process, for SSE listeners and callers that wait for a job
"""
