"""All sections of the bench, in the order of the page, each with the seconds after which it fails."""

from bench import (
    bytecodes,
    curve,
    fsync,
    groups,
    growth,
    hostile,
    idle,
    memory,
    polling,
    post,
    reading,
    receiver,
    reserve,
    scaling,
    steps,
    throughput,
)
from bench.dashboard import measure as dashboard
from bench.delivery import alone, noise
from bench.listeners import measure as listeners
from bench.polls import learnt, rate as polls, watching
from bench.runner import Section

SECTIONS = {
    "throughput": Section("Throughput, before and after", throughput.measure, 900, standard=True),
    "curve": Section("Latency up to saturation", curve.measure, 600, standard=True),
    "steps": Section("Where a lone push's time goes", steps.measure, 120),
    "bytecodes": Section("Bytecodes of a push and of a job", bytecodes.measure, 200),
    "idle": Section("Idle", idle.measure, 400, standard=True),
    "receiver": Section("The receiver alone", receiver.measure, 600),
    "deliveries": Section("Deliveries alone", alone.measure, 900),
    "polls": Section("Polls of one worker", polls.measure, 300),
    "watching": Section("100,000 watched jobs", watching.measure, 600),
    "post": Section("What a POST costs", post.measure, 200),
    "noise": Section("Failing neighbours", noise.measure, 900),
    "growth": Section("A million finished jobs", growth.measure, 900),
    "workers": Section("More workers, a second receiver", scaling.workers, 400),
    "python": Section("Another Python", scaling.other_python, 600),
    "groups": Section("A group of 10,000 jobs", groups.measure, 300),
    "fsync": Section("appendfsync always", fsync.measure, 300),
    "memory": Section("Memory of jobs and deliveries", memory.measure, 300),
    "reserve": Section("Memory that accepted work still takes", reserve.measure, 300),
    "listeners": Section("Listeners", listeners.measure, 900),
    "dashboard": Section("The dashboard with 100,000 jobs", dashboard.measure, 400),
    "hostile": Section("Honest pushes during attacks", hostile.measure, 900),
    "polling": Section("Polls learnt from durations", polling.measure, 900),
    "learnt": Section("The learnt schedule on a real worker", learnt.measure, 300),
    "reading": Section("Reading a push", reading.measure, 300),
}
