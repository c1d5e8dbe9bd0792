"""Acceptance: real processes over real sockets, driven and observed from outside.

processes  child processes: started, waited for, ended by their pid
system     one whole Ringback on an embedded Redis
lost       runs a process whose own nudges go astray
asleep     runs a process on a machine that may sleep
provider   a simulated provider: status calls
sink       a subscriber that checks signatures and remembers
feed       signed pushes
waiting    conditions instead of sleeps
"""
