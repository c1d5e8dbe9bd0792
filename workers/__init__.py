"""The Dramatiq workers and the clock.

broker      how a nudge gets from Redis to an actor
pump        claims work and keeps it going, many at a time
pumps       the three pumps: ingest, poll, deliver
event_loop  the event loop that the actors share
clock       the process that nudges what falls due
__main__    one worker process: declares the actors
"""
