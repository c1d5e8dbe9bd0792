"""The Dramatiq workers and the clock.

broker     how a nudge gets from Redis to an actor
pump       claims work and keeps it going, many at a time
ingest     actor: updates into jobs
poll       actor: questions to providers
deliver    actor: events to subscribers
clock      the process that nudges what falls due
__main__   one worker process
"""
