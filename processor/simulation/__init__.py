"""A provider's documented life, played: reading, turned round. In reading order:

drafting    values put where a profile's places will look for them
writing     one update as a document from which its profile reads that update
wrapping    a push's document as headers and body
pushing     the pushes that a provider would send, and how it signs them
answering   its answers to polls and to submit calls
words       which of a profile's words a push can say, and which an answer
life        a job's life as data: what is said of it, and when
job         one simulated job
plan        which pushes are sent when: repeated, reordered and lost as asked

What is written is what the profile reads, at the places that it names; everything else of a
real payload is absent. Nothing here does I/O.
"""

from processor.simulation.job import Job
from processor.simulation.poll_response import write_answer, write_submit
from processor.simulation.push import Unsigned, write_push
from processor.simulation.push_plan import Due, Mishaps, Plan, plan
from processor.simulation.timeline import Moment, life
from processor.simulation.vocabulary import told_params, vocabulary

__all__ = [
    "Due",
    "Job",
    "Mishaps",
    "Moment",
    "Plan",
    "Unsigned",
    "life",
    "plan",
    "told_params",
    "vocabulary",
    "write_answer",
    "write_push",
    "write_submit",
]
