"""The client of Ringback, which calls you back when the job is done.

client      `Ringback` and `AsyncRingback`: watch jobs, wait for them, follow events
signature   `verify`: a callback is genuine, and this is its event
model       what the calls return
errors      what they raise

`calls` has what each call does, once for both clients; `settings` finds the server and the key;
`event_stream` reads server-sent events.
"""

from ringback.client import AsyncRingback, Ringback
from ringback.errors import (
    BadSignature,
    Conflict,
    EventsTrimmed,
    Forbidden,
    Invalid,
    NotFound,
    RingbackError,
    Timeout,
    Unauthorized,
    Unavailable,
)
from ringback.model import Event, Group, Job, Subscription
from ringback.signature import verify

__all__ = [
    "AsyncRingback",
    "BadSignature",
    "Conflict",
    "Event",
    "EventsTrimmed",
    "Forbidden",
    "Group",
    "Invalid",
    "Job",
    "NotFound",
    "Ringback",
    "RingbackError",
    "Subscription",
    "Timeout",
    "Unauthorized",
    "Unavailable",
    "verify",
]
