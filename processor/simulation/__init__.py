"""A provider's documented life, simulated: a profile read backwards. In reading order:

document_builder  puts values where a profile's pointers will find them
write_update      one update as a document from which its profile reads that update
encode_push       a push's document as headers and body
push              the pushes that a provider would send, and how it signs them
poll_response     its responses to polls and to submit calls
vocabulary        which of a profile's words a push can carry, and which a response
timeline          a job's life as data: which status, and when
job               one simulated job
push_plan         which pushes are sent when: repeated, reordered and lost as requested

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
