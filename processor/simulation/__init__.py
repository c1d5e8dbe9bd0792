"""Simulates a provider's jobs: writes the pushes and responses that its profile reads.

In reading order:

document_builder  builds a document with values where a profile's pointers will find them
write_update      one update as a document from which its profile reads that update
encode_push       encodes a push's document as headers and body
push              the pushes that a provider would send, signed
poll_response     the provider's responses to polls and to submit calls
list_response     the provider's responses to requests that poll many jobs
vocabulary        which of a profile's status words a push can contain, and which a response
timeline          a job's states, statuses and progress over time
job               one simulated job
push_plan         which pushes are sent when: once, repeated, reordered or lost

A document holds only what the profile reads; a real payload holds more. Nothing here does I/O.
"""

from processor.simulation.job import SimulatedJob
from processor.simulation.list_response import write_list_response
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
    "write_list_response",
    "write_poll_response",
    "write_push",
    "write_submit_response",
]
