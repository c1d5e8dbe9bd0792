"""The Dramatiq workers and the clock.

broker      brings nudges from Redis to the actors
nudges      where an actor waits for its next nudge before it ends
pump        claims work and runs it, many items at a time
handover    hands deliveries from the commit that makes them to their pump
pumps       the three pumps: ingest, poll, deliver
event_loop  the event loop that the actors share
clock       the process that nudges due work
__main__    one worker process: declares the actors
"""
