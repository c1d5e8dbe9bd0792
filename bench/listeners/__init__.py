"""Listeners of /v1/events: what they cost while nothing happens, and what their events cost.

measure    section: runs so many listeners through idleness, a steady load and a burst
running    one web process, one worker and the clock, and a crowd beside them
crowd      the readers, a process of its own
pushes     pushes of which one in twenty causes an event
report     the tables
"""
