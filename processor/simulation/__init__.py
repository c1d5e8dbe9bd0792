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

from processor.simulation.job import SimulatedJob
from processor.simulation.poll_response import write_poll_response, write_submit_response
from processor.simulation.push import UnsignedPush, write_push
from processor.simulation.push_plan import Faults, PlannedPush, PushPlan, plan_pushes
from processor.simulation.timeline import Moment, timeline
from processor.simulation.vocabulary import params_from_provider, vocabulary

__all__ = [
    "Faults",
    "Moment",
    "PlannedPush",
    "PushPlan",
    "SimulatedJob",
    "UnsignedPush",
    "params_from_provider",
    "plan_pushes",
    "timeline",
    "vocabulary",
    "write_poll_response",
    "write_push",
    "write_submit_response",
]
