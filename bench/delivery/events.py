"""What every contender of the delivery bench posts: the same events, named by run and number.

Imported in arq's environment too, so it knows nothing of Ringback.
"""

import msgspec

from bench.contenders import callbacks, standard
from bench.load import workload

KIND = "job.succeeded"
AT = 1_767_225_600.0  # the moment of every event: 2026-01-01
PADDING = 600  # bytes of a result, which make a body of about 1 KiB


def event_id(run: int, number: int) -> str:
    """Return an event's webhook-id; the sink's mark is not in it."""
    return f"evt_{run}_{number:0{workload.ID_DIGITS}d}"


def body(run: int, number: int) -> bytes:
    """Return an event as it is signed and posted."""
    result = msgspec.Raw(b'{"note":"%s"}' % (b"x" * PADDING))
    job = workload.job_id(run, number).decode()
    return callbacks.encode(callbacks.event(standard.Push(job, "succeeded", 1.0, result), AT))
